// Random batches of every type, and the rows they hold as plain values.
#pragma once

#include <optional>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "proxist/column/batch.h"

namespace proxist::column {

/// A cell as a test compares it: nothing for null, bits for fixed-width values, text otherwise.
using Cell = std::optional<std::variant<uint64_t, std::string>>;

struct Row {
  std::string symbol;
  int64_t ts = 0;
  uint64_t seq = 0;
  Op op = Op::kPut;
  std::vector<Cell> cells;
  bool operator==(const Row&) const = default;
};

/// One column of every type, each once nullable and once not, after two series columns.
SchemaPtr EveryType(SeqMode seq = SeqMode::kProducer);
/// Rows with every kind of value at its limits; keys are unique, in no order.
std::vector<Row> RandomRows(const TableSchema& schema, size_t count, std::mt19937_64* random);
Batch BatchOf(const SchemaPtr& schema, const std::vector<Row>& rows);
std::vector<Row> RowsOf(const Batch& batch);
std::vector<std::byte> Encoded(const Batch& batch);
/// Decodes a copy of `bytes` that has exactly their size, so that a read past the end is seen.
StatusOr<Batch> Decoded(const std::vector<std::byte>& bytes, const SchemaPtr& schema);
/// Reads every cell; what does not crash here is safe to read.
void TouchAll(const Batch& batch);

}  // namespace proxist::column
