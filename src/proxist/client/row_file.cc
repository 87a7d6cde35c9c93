// Reads the file whole, finds the types, then parses column by column.
#include "proxist/client/row_file.h"

#include <cstdlib>
#include <string_view>
#include <tuple>
#include <vector>

#include <google/protobuf/repeated_field.h>

#include "proxist/api/column_message.h"
#include "proxist/api/row_list.h"
#include "proxist/client/csv_reader.h"
#include "proxist/client/data_file.h"
#include "proxist/client/internal/cell_parser.h"
#include "proxist/client/internal/fixed_point.h"
#include "proxist/v1/column.pb.h"

namespace proxist::client {
namespace {

using column::TypeKind;

struct Cell {
  std::string text;
  bool quoted = false;
};
struct FileColumn {
  std::string name;
  std::string type;  // as the header says; empty: to be found
  std::vector<Cell> cells;
};
struct FileRows {
  std::vector<FileColumn> columns;
  std::vector<uint64_t> lines;  // by row
};

bool IsKey(std::string_view name) { return name == "symbol" || name == "ts" || name == "seq"; }

bool IsDigits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool IsNumber(const std::string& text) {
  if (text.find_first_of("0123456789") == std::string::npos) {
    return text == "nan" || text == "inf" || text == "-inf";
  }
  char* end = nullptr;
  std::ignore = std::strtod(text.c_str(), &end);
  return end == text.c_str() + text.size();
}

StatusOr<FileRows> ReadCells(DataFile* file) {
  CsvReader reader([&](std::span<char> out) { return file->Read(out); }, CsvOptions{});
  FileRows rows;
  CsvRecord record;
  PX_ASSIGN_OR_RETURN(bool more, reader.Next(&record));
  if (!more) return InvalidArgument("the file is empty, a header is expected");
  for (const CsvField& field : record.fields) {
    const size_t colon = field.text.find(':');
    FileColumn& column = rows.columns.emplace_back();
    column.name = field.text.substr(0, colon);
    if (colon != std::string_view::npos) column.type = field.text.substr(colon + 1);
  }
  while (true) {
    PX_ASSIGN_OR_RETURN(more, reader.Next(&record));
    if (!more) return rows;
    if (record.fields.size() != rows.columns.size()) {
      return InvalidArgument("line {}: {} fields, the header has {}", record.line,
                             record.fields.size(), rows.columns.size());
    }
    if (rows.lines.size() == kMaxFileRows) {
      return ResourceExhausted("more than {} rows: import them into a table", kMaxFileRows);
    }
    rows.lines.push_back(record.line);
    for (size_t c = 0; c < record.fields.size(); ++c) {
      const CsvField& field = record.fields[c];
      rows.columns[c].cells.push_back({std::string(field.text), field.quoted});
    }
  }
}

StatusOr<column::Type> TypeOf(const FileColumn& column) {
  if (column.name == "symbol") return column::Type{TypeKind::kSymbol, 0};
  if (column.name == "ts") return column::Type{TypeKind::kTimestamp, 0};
  if (column.name == "seq") return column::Type{TypeKind::kUint64, 0};
  if (!column.type.empty()) {
    StatusOr<column::Type> type = column::ParseType(column.type);
    if (!type.ok()) return Annotate(type.status(), "line 1, " + column.name);
    return type;
  }
  bool whole = true;
  bool number = true;
  for (const Cell& cell : column.cells) {
    if (cell.text.empty() && !cell.quoted) continue;
    int64_t value = 0;
    whole = whole && ParseFixedPoint(cell.text, 0, &value) == NumberFault::kNone &&
            cell.text.find('.') == std::string::npos;
    number = number && IsNumber(cell.text);
  }
  if (whole) return column::Type{TypeKind::kInt64, 0};
  return column::Type{number ? TypeKind::kFloat64 : TypeKind::kString, 0};
}

Status EncodeCells(const FileColumn& column, const std::vector<uint64_t>& lines,
                   v1::Column* message) {
  PX_ASSIGN_OR_RETURN(const column::Type type, TypeOf(column));
  const bool key = IsKey(column.name);
  CellRule rule;
  rule.source = CellRule::Source::kName;
  if (type.kind == TypeKind::kTimestamp) {
    rule.iso = column.cells.empty() || !IsDigits(column.cells[0].text);
    if (!rule.iso) rule.unit_digits = 9;
  }
  const CellTarget target{type, /*nullable=*/!key, /*row_time=*/column.name == "ts",
                          /*row_op=*/false, /*row_symbol=*/column.name == "symbol"};
  PX_ASSIGN_OR_RETURN(CellParser parser, CellParser::Create(rule, target));
  ChunkColumn values(type, column.cells.size());
  for (size_t row = 0; row < column.cells.size(); ++row) {
    const Status parsed = parser.Parse({column.cells[row].text, column.cells[row].quoted}, &values);
    if (!parsed.ok()) {
      return Annotate(parsed, fmt::format("line {}, {}", lines[row], column.name));
    }
  }
  api::EncodeColumn(column.name, values.View(), column.cells.size(), message);
  return OkStatus();
}

StatusOr<std::shared_ptr<const query::ResultBatch>> ReadRows(const std::string& path) {
  PX_ASSIGN_OR_RETURN(const std::unique_ptr<DataFile> file, DataFile::Open(path));
  PX_ASSIGN_OR_RETURN(const FileRows rows, ReadCells(file.get()));
  google::protobuf::RepeatedPtrField<v1::Column> columns;
  for (const FileColumn& column : rows.columns) {
    PX_RETURN_IF_ERROR(EncodeCells(column, rows.lines, columns.Add()));
  }
  return api::DecodeRows(columns);
}

}  // namespace

StatusOr<std::shared_ptr<const query::ResultBatch>> ReadRowFile(const std::string& path) {
  auto rows = ReadRows(path);
  if (!rows.ok()) return Annotate(rows.status(), path);
  return rows;
}

}  // namespace proxist::client
