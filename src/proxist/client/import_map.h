// How the columns of a CSV file become the columns of a table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/client/csv_reader.h"

namespace proxist::client {

/// Where the values of one table column come from, and how their text is read. Reference:
/// docs/import.md.
struct CellRule {
  enum class Source : uint8_t { kConst, kPosition, kName, kLine };
  Source source = Source::kConst;
  std::string text;                     // kConst: the value; kName: the name in the header
  size_t position = 0;                  // kPosition: from 1
  std::optional<unsigned> unit_digits;  // timestamps as numbers: 0 s, 3 ms, 6 us, 9 ns
  Timestamp base;                       // what these numbers count from
  bool iso = false;                     // timestamps as ISO-8601 text
  std::string timezone;                 // of ISO texts without an offset; empty: UTC
  std::optional<unsigned> scaled;       // decimals as integers times 10^scaled
  std::vector<std::string> null_tokens;
  int map_line = 0;  // in the map file
};

struct NamedRule {
  std::string column;  // a column of the table, or symbol, ts, seq, op
  CellRule rule;
};

struct ImportMap {
  std::string file;  // for errors
  std::string table;
  CsvOptions csv;
  bool header = false;
  uint64_t skip_lines = 0;  // before the header
  std::vector<NamedRule> columns;
  int line = 0;  // of the map in its file
};

/// The map for `table` among the documents of `yaml` (tables may share the file and are passed
/// over). INVALID_ARGUMENT names `file`, the line and what is expected; what depends on the table's
/// schema is checked by RowMapper.
StatusOr<ImportMap> ParseImportMap(std::string_view yaml, const std::string& file,
                                   std::string_view table);
/// ParseImportMap of the file at `path`; its errors, and NOT_FOUND, PERMISSION_DENIED.
StatusOr<ImportMap> ReadImportMap(const std::string& path, std::string_view table);

/// The same text for maps that mean the same, whatever their order, comments and layout. Goes into
/// the producer id of an import: a change here makes repeated imports count twice.
std::string CanonicalText(const ImportMap& map);

}  // namespace proxist::client
