// Table declarations in YAML.
#include "proxist/client/table_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "proxist/client/internal/fixed_point.h"
#include "proxist/client/internal/raw_file.h"
#include "proxist/client/internal/yaml_reader.h"

namespace proxist::client {
namespace {

using column::ColumnDef;
using column::SeqMode;
using column::TableSchema;

Status Require(const YamlNode& node, const char* key, std::string_view what) {
  if (node.Has(key)) return OkStatus();
  return node.Error(fmt::format("{} lacks '{}'", what, key));
}

StatusOr<ColumnDef> ReadColumn(const YamlNode& node, uint32_t number) {
  PX_RETURN_IF_ERROR(node.RequireMapping("a column", {"name", "type", "nullable", "aliases"}));
  PX_RETURN_IF_ERROR(Require(node, "name", "the column"));
  PX_RETURN_IF_ERROR(Require(node, "type", "the column"));
  ColumnDef column;
  column.id = ColumnId(number);
  PX_ASSIGN_OR_RETURN(column.name, node.At("name").Text("name"));
  PX_ASSIGN_OR_RETURN(const std::string type_name, node.At("type").Text("type"));
  StatusOr<column::Type> type = column::ParseType(type_name);
  if (!type.ok()) return node.At("type").Error(Message(type.status()));
  column.type = *type;
  if (node.Has("nullable")) {
    PX_ASSIGN_OR_RETURN(column.nullable, node.At("nullable").Bool("nullable"));
  }
  if (node.Has("aliases")) {
    PX_ASSIGN_OR_RETURN(const std::vector<YamlNode> names, node.At("aliases").Elements("aliases"));
    for (const YamlNode& element : names) {
      PX_ASSIGN_OR_RETURN(std::string alias, element.Text("an alias"));
      column.aliases.push_back(std::move(alias));
    }
  }
  return column;
}

Status ReadSeries(const YamlNode& node, TableSchema* schema) {
  PX_ASSIGN_OR_RETURN(const std::vector<YamlNode> names, node.Elements("series"));
  for (const YamlNode& element : names) {
    PX_ASSIGN_OR_RETURN(const std::string name, element.Text("a series column"));
    const auto index = schema->Find(name);
    if (!index) return element.Error(fmt::format("series column {} is not declared", Quoted(name)));
    schema->series.push_back(*index);
  }
  return OkStatus();
}

Status ReadSeq(const YamlNode& node, SeqMode* seq) {
  PX_ASSIGN_OR_RETURN(const std::string text, node.Text("seq"));
  if (text != "producer" && text != "assigned") {
    return node.Error(fmt::format("seq is {}, expected producer or assigned", Quoted(text)));
  }
  *seq = text == "producer" ? SeqMode::kProducer : SeqMode::kAssigned;
  return OkStatus();
}

/// One of `known`, by its name.
template <typename T>
Status ReadNamed(const YamlNode& node, const char* what, std::array<T, 2> known, T* out) {
  PX_ASSIGN_OR_RETURN(const std::string text, node.Text(what));
  for (const T value : known) {
    if (text != column::NameOf(value)) continue;
    *out = value;
    return OkStatus();
  }
  return node.Error(fmt::format("{} is {}, expected {} or {}", what, Quoted(text),
                                column::NameOf(known[0]), column::NameOf(known[1])));
}

Status ReadDurability(const YamlNode& node, column::Durability* durability) {
  return ReadNamed(node, "durability",
                   std::array{column::Durability::kSync, column::Durability::kProcess}, durability);
}

constexpr std::string_view kForever = "forever";

struct ByteUnit {
  std::string_view name;
  int shift;
};
constexpr ByteUnit kByteUnits[] = {{"TiB", 40}, {"GiB", 30}, {"MiB", 20}};

/// "2GiB": a whole number of one unit.
std::optional<uint64_t> ParseBytes(std::string_view text) {
  for (const ByteUnit& unit : kByteUnits) {
    if (!text.ends_with(unit.name)) continue;
    const char* end = text.data() + text.size() - unit.name.size();
    uint32_t count = 0;
    const auto [rest, error] = std::from_chars(text.data(), end, count);
    if (error != std::errc() || rest != end || count >= 1u << 20) return std::nullopt;
    return uint64_t{count} << unit.shift;
  }
  return std::nullopt;
}

/// The largest unit that divides it, as ParseBytes reads it back.
std::string FormatBytes(uint64_t bytes) {
  for (const ByteUnit& unit : kByteUnits) {
    if (bytes % (uint64_t{1} << unit.shift) == 0) {
      return fmt::format("{}{}", bytes >> unit.shift, unit.name);
    }
  }
  return fmt::format("{}MiB", bytes >> kByteUnits[2].shift);
}

Status ReadHot(const YamlNode& node, TableSchema* schema) {
  PX_RETURN_IF_ERROR(node.RequireMapping("hot", {"retain", "memory"}));
  if (node.Has("retain")) {
    PX_ASSIGN_OR_RETURN(const std::string text, node.At("retain").Text("retain"));
    StatusOr<Duration> parsed = ParseDuration(text);
    if (!parsed.ok()) return node.At("retain").Error(Message(parsed.status()));
    schema->hot_retain = *parsed;
  }
  if (!node.Has("memory")) return OkStatus();
  PX_ASSIGN_OR_RETURN(const std::string text, node.At("memory").Text("memory"));
  const std::optional<uint64_t> bytes = ParseBytes(text);
  if (!bytes.has_value() || *bytes == 0) {
    return node.At("memory").Error(
        fmt::format("memory is {}, expected a whole number of MiB, GiB or TiB", Quoted(text)));
  }
  schema->hot_memory_bytes = *bytes;
  return OkStatus();
}

Status ReadHistory(const YamlNode& node, TableSchema* schema) {
  PX_RETURN_IF_ERROR(node.RequireMapping("history", {"retain"}));
  PX_RETURN_IF_ERROR(Require(node, "retain", "history"));
  PX_ASSIGN_OR_RETURN(const std::string text, node.At("retain").Text("retain"));
  if (text == kForever) return OkStatus();
  StatusOr<Duration> parsed = ParseDuration(text);
  if (!parsed.ok()) return node.At("retain").Error(Message(parsed.status()));
  if (*parsed <= Duration()) return node.At("retain").Error("it keeps nothing: leave it out");
  schema->history_retain = *parsed;
  return OkStatus();
}

Status ReadVersions(const YamlNode& node, column::Versions* versions) {
  return ReadNamed(node, "versions", std::array{column::Versions::kLatest, column::Versions::kAll},
                   versions);
}

StatusOr<TableSchema> ReadTable(const YamlNode& node, std::string_view tenant) {
  PX_RETURN_IF_ERROR(
      node.RequireMapping("a table", {"kind", "tenant", "name", "series", "columns", "seq", "hot",
                                      "history", "versions", "durability"}));
  PX_ASSIGN_OR_RETURN(const std::string kind, node.At("kind").Text("kind"));
  if (kind != "Table") {
    return node.At("kind").Error(fmt::format("kind is {}, expected Table", Quoted(kind)));
  }
  PX_RETURN_IF_ERROR(Require(node, "name", "the table"));
  PX_RETURN_IF_ERROR(Require(node, "columns", "the table"));
  TableSchema schema;
  schema.tenant = tenant;
  if (node.Has("tenant")) {
    PX_ASSIGN_OR_RETURN(schema.tenant, node.At("tenant").Text("tenant"));
  }
  PX_ASSIGN_OR_RETURN(schema.name, node.At("name").Text("name"));
  PX_ASSIGN_OR_RETURN(const std::vector<YamlNode> columns, node.At("columns").Elements("columns"));
  for (const YamlNode& element : columns) {
    const auto number = static_cast<uint32_t>(schema.columns.size() + 1);
    PX_ASSIGN_OR_RETURN(ColumnDef column, ReadColumn(element, number));
    schema.columns.push_back(std::move(column));
  }
  if (node.Has("series")) PX_RETURN_IF_ERROR(ReadSeries(node.At("series"), &schema));
  if (node.Has("seq")) PX_RETURN_IF_ERROR(ReadSeq(node.At("seq"), &schema.seq));
  if (node.Has("hot")) PX_RETURN_IF_ERROR(ReadHot(node.At("hot"), &schema));
  if (node.Has("durability")) {
    PX_RETURN_IF_ERROR(ReadDurability(node.At("durability"), &schema.durability));
  }
  if (node.Has("history")) PX_RETURN_IF_ERROR(ReadHistory(node.At("history"), &schema));
  if (node.Has("versions")) {
    PX_RETURN_IF_ERROR(ReadVersions(node.At("versions"), &schema.versions));
  }
  const Status valid = column::Validate(schema);
  if (!valid.ok()) return node.Error(Message(valid));
  return schema;
}

StatusOr<std::vector<TableSchema>> ReadDocuments(const std::vector<YamlNode>& documents,
                                                 std::string_view tenant) {
  std::vector<TableSchema> tables;
  for (const YamlNode& document : documents) {
    if (document.IsMappingWith("map")) continue;
    if (!document.IsMappingWith("kind")) {
      return document.Error("a document must have 'kind: Table'");
    }
    PX_ASSIGN_OR_RETURN(TableSchema table, ReadTable(document, tenant));
    const bool twice = std::any_of(tables.begin(), tables.end(), [&](const TableSchema& other) {
      return other.tenant == table.tenant && other.name == table.name;
    });
    if (twice) return document.Error(fmt::format("table {} is declared twice", table.name));
    tables.push_back(std::move(table));
  }
  return tables;
}

}  // namespace

StatusOr<std::vector<TableSchema>> ParseTables(std::string_view yaml, const std::string& file,
                                               std::string_view tenant) {
  PX_ASSIGN_OR_RETURN(const std::vector<YamlNode> documents, LoadYaml(yaml, file));
  PX_ASSIGN_OR_RETURN(std::vector<TableSchema> tables,
                      WithYaml(file, [&] { return ReadDocuments(documents, tenant); }));
  if (tables.empty()) return InvalidArgument("{} declares no table ('kind: Table')", file);
  return tables;
}

StatusOr<std::vector<TableSchema>> ReadTables(const std::string& path, std::string_view tenant) {
  PX_ASSIGN_OR_RETURN(const std::string yaml, ReadTextFile(path, kMaxYamlBytes));
  return ParseTables(yaml, path, tenant);
}

std::string FormatTable(const TableSchema& schema) {
  std::string out = fmt::format("kind: Table\nname: {}\n", schema.name);
  if (schema.tenant != column::kDefaultTenant) out += fmt::format("tenant: {}\n", schema.tenant);
  std::vector<std::string_view> series;
  for (const size_t index : schema.series) series.push_back(schema.columns[index].name);
  out += fmt::format("series: [{}]\ncolumns:\n", fmt::join(series, ", "));
  for (const ColumnDef& column : schema.columns) {
    if (column.dropped) continue;
    const std::string aliases =
        column.aliases.empty() ? ""
                               : fmt::format(", aliases: [{}]", fmt::join(column.aliases, ", "));
    out += fmt::format("  - {{name: {}, type: {}{}{}}}\n", column.name,
                       column::FormatType(column.type), column.nullable ? ", nullable: true" : "",
                       aliases);
  }
  const std::string memory =
      schema.hot_memory_bytes == 0 ? "" : ", memory: " + FormatBytes(schema.hot_memory_bytes);
  out += fmt::format("seq: {}\nhot: {{retain: {}{}}}\ndurability: {}\n",
                     schema.seq == SeqMode::kProducer ? "producer" : "assigned",
                     FormatDuration(schema.hot_retain), memory, column::NameOf(schema.durability));
  if (schema.history_retain != Duration()) {
    out += fmt::format("history: {{retain: {}}}\n", FormatDuration(schema.history_retain));
  }
  if (schema.versions != column::Versions::kLatest) {
    out += fmt::format("versions: {}\n", column::NameOf(schema.versions));
  }
  return out;
}

}  // namespace proxist::client
