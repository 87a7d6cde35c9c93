// CSV records as rows of a table, chunk by chunk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/client/csv_reader.h"
#include "proxist/client/import_map.h"
#include "proxist/column/batch.h"

namespace proxist::client {

/// Applies a map to records. One thread.
class RowMapper {
 public:
  /// Chunks have at most `chunk_rows` rows, fewer when their texts are long. INVALID_ARGUMENT names
  /// the map's file and line when it asks for a column that the table does not have, leaves one out
  /// that every row needs, or reads one in a way that its type does not allow.
  static StatusOr<std::unique_ptr<RowMapper>> Create(const ImportMap& map, column::SchemaPtr schema,
                                                     size_t chunk_rows);
  ~RowMapper();
  RowMapper(const RowMapper&) = delete;
  RowMapper& operator=(const RowMapper&) = delete;

  /// Finds the map's names in the header. Once, before the first Add, if the map has a header.
  Status BindHeader(const CsvRecord& header);
  /// Adds a row to the chunk, which is not full. INVALID_ARGUMENT: "line N, column M (name):
  /// reason"; after an error the mapper is of no further use.
  Status Add(const CsvRecord& record);

  [[nodiscard]] size_t rows() const;
  [[nodiscard]] bool full() const;
  /// The chunk, which has at least one row; the next one is empty.
  column::Batch Take();

 private:
  struct State;
  explicit RowMapper(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace proxist::client
