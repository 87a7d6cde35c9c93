// Rows as columns: what producers send, what the log holds, what history returns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/bytes.h"
#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/column/schema.h"

namespace proxist::column {

/// Values are durable.
enum class Op : uint8_t { kPut = 0, kCancel = 1 };

/// One column of n values, immutable, little-endian, possibly unaligned (use LoadAt). The memory
/// belongs to the batch's owner.
struct ColumnView {
  Type type;
  /// Fixed width: n values. Symbol: n uint32 codes into `dictionary`. String: n+1 uint32 end
  /// offsets into `text`, the first 0.
  ByteSpan values;
  /// ceil(n/8) bytes, bit i (least significant first) set when row i has a value; empty: all have.
  ByteSpan validity;
  ByteSpan text;                             // strings only
  std::vector<std::string_view> dictionary;  // symbols only

  [[nodiscard]] bool IsValid(size_t row) const {
    return validity.empty() || ((static_cast<uint8_t>(validity[row >> 3]) >> (row & 7)) & 1) != 0;
  }
  template <typename T>
  [[nodiscard]] T At(size_t row) const {
    return LoadAt<T>(values.data(), row);
  }
  /// Strings and symbols; the row must be valid.
  [[nodiscard]] std::string_view TextAt(size_t row) const;
};

/// Rows of one table in the order they were sent. Cheap to copy: views plus a shared owner.
struct Batch {
  SchemaPtr schema;  // the version the columns follow
  size_t rows = 0;
  ColumnView symbol;  // kSymbol, never null
  ColumnView ts;      // kTimestamp, never null
  ColumnView seq;     // kUint64, never null; empty values in a table with assigned seq
  ColumnView op;      // one byte a row (Op); empty values: all puts
  std::vector<ColumnView> columns;  // one for each column of `schema`, in its order
  std::shared_ptr<const void> owner;

  [[nodiscard]] Op OpAt(size_t row) const {
    return op.values.empty() ? Op::kPut : static_cast<Op>(op.values[row]);
  }
};

/// Checks everything a decoder must not believe: lengths, codes within dictionaries, offsets
/// ascending, ops known, ts within kMinRowTimestamp..kMaxRowTimestamp, decimals within bounds,
/// bools 0 or 1, symbols not empty, nulls only where allowed, padding bits irrelevant, no key twice
/// (series columns, symbol, ts, seq), cancels refused where seq is assigned; a batch without rows
/// is refused too. INVALID_ARGUMENT names row (from 0), column and reason.
Status ValidateBatch(const Batch& batch);

/// The rows whose index is in `rows` (ascending), as a new batch that owns its memory.
Batch Gather(const Batch& batch, std::span<const uint32_t> rows);

/// Bytes in memory that the batch's views cover; what backlog bounds count.
size_t SizeBytes(const Batch& batch);

/// Flat encoding (FORMAT.md), the payload of a log record. Appends to the writer.
void EncodeBatch(const Batch& batch, ByteWriter* out);
/// Views into `bytes`, kept alive by `owner`. Checks structure (never reads out of bounds later),
/// not row semantics. `schema` must be the version named by the record.
StatusOr<Batch> DecodeBatch(ByteSpan bytes, SchemaPtr schema, std::shared_ptr<const void> owner);

/// Builds a batch row by row or column by column; for clients, tests and history reads. One thread.
class BatchBuilder {
 public:
  explicit BatchBuilder(SchemaPtr schema);
  ~BatchBuilder();
  BatchBuilder(BatchBuilder&&) noexcept;
  BatchBuilder& operator=(BatchBuilder&&) noexcept;

  /// Starts a row; every column is null until set. `seq` is ignored in a table with assigned seq.
  void AddRow(std::string_view symbol, Timestamp ts, uint64_t seq, Op op = Op::kPut);
  /// Set a cell of the current row. `column` indexes schema->columns; the type must match its kind:
  /// Bool, intN, uintN, decimal, timestamp. Narrow types keep the low bits: the caller has checked.
  void SetInt(size_t column, int64_t value);
  void SetFloat(size_t column, double value);           // float32, float64
  void SetText(size_t column, std::string_view value);  // string, symbol
  [[nodiscard]] size_t rows() const;
  /// The batch so far; the builder is empty afterwards. A cell never set in a column that is not
  /// nullable stays null, for ValidateBatch to report.
  Batch Build();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace proxist::column
