// The text of a cell as a value of its column, exactly.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxist/base/status.h"
#include "proxist/client/csv_reader.h"
#include "proxist/client/import_map.h"
#include "proxist/client/internal/chunk_column.h"
#include "proxist/column/type.h"

namespace proxist::client {

/// What the parser must know about the column that it fills.
struct CellTarget {
  column::Type type;
  bool nullable = false;
  bool row_time = false;    // ts: within kMinRowTimestamp..kMaxRowTimestamp
  bool row_op = false;      // put, cancel, 0 or 1
  bool row_symbol = false;  // not empty
};

/// One thread.
class CellParser {
 public:
  /// INVALID_ARGUMENT when `rule` does not fit the column; the message says what does.
  static StatusOr<CellParser> Create(const CellRule& rule, const CellTarget& target);

  /// Puts the value of `field` into `out`. An empty field that is not quoted, and a null token, is
  /// a null where the column is nullable; elsewhere it is an error, except that it is an empty
  /// string in a string column. INVALID_ARGUMENT says what was found and what is expected; then
  /// nothing was put.
  Status Parse(const CsvField& field, ChunkColumn* out);

 private:
  CellParser(const CellRule& rule, const CellTarget& target) : rule_(rule), target_(target) {}

  Status ParseValue(std::string_view text, ChunkColumn* out);
  Status ParseBool(std::string_view text, ChunkColumn* out) const;
  Status ParseText(std::string_view text, ChunkColumn* out) const;
  Status ParseOp(std::string_view text, ChunkColumn* out) const;
  Status ParseDecimalCell(std::string_view text, ChunkColumn* out) const;
  Status ParseTime(std::string_view text, ChunkColumn* out);
  StatusOr<Timestamp> ParseIso(std::string_view text);
  [[nodiscard]] Status Expected(std::string_view text, std::string_view what) const;
  [[nodiscard]] bool IsNullToken(const CsvField& field) const;

  CellRule rule_;
  CellTarget target_;
  // The last ISO time without its fraction, and what it is in UTC: most rows share it with the row
  // before.
  std::string iso_seen_;
  Timestamp iso_second_;
};

}  // namespace proxist::client
