// How the columns of a CSV file become the columns of a table.
#include "proxist/client/import_map.h"

#include <algorithm>
#include <array>
#include <utility>

#include "proxist/client/internal/fixed_point.h"
#include "proxist/client/internal/raw_file.h"
#include "proxist/client/internal/yaml_reader.h"
#include "proxist/column/type.h"

namespace proxist::client {
namespace {

constexpr uint64_t kMaxPosition = 65536;

struct Unit {
  std::string_view name;
  unsigned digits;
};
constexpr std::array<Unit, 4> kUnits{{{"s", 0}, {"ms", 3}, {"us", 6}, {"ns", 9}}};

Status ReadSource(const YamlNode& node, CellRule* rule) {
  const int sources =
      (node.Has("const") ? 1 : 0) + (node.Has("column") ? 1 : 0) + (node.Has("line") ? 1 : 0);
  if (sources != 1) {
    return node.Error(
        "expected exactly one of: const (a fixed value), column (a position from 1, or a name of "
        "the header), line: true (the line number)");
  }
  if (node.Has("const")) {
    rule->source = CellRule::Source::kConst;
    PX_ASSIGN_OR_RETURN(rule->text, node.At("const").Text("const"));
    return OkStatus();
  }
  if (node.Has("line")) {
    PX_ASSIGN_OR_RETURN(const bool line, node.At("line").Bool("line"));
    if (!line) return node.At("line").Error("line can only be true");
    rule->source = CellRule::Source::kLine;
    return OkStatus();
  }
  PX_ASSIGN_OR_RETURN(rule->text, node.At("column").Text("column"));
  const bool number =
      !rule->text.empty() && std::all_of(rule->text.begin(), rule->text.end(),
                                         [](char c) { return c >= '0' && c <= '9'; });
  if (!number) {
    if (rule->text.empty()) return node.At("column").Error("column is empty");
    rule->source = CellRule::Source::kName;
    return OkStatus();
  }
  rule->source = CellRule::Source::kPosition;
  PX_ASSIGN_OR_RETURN(rule->position, node.At("column").Unsigned("column", 1, kMaxPosition));
  rule->text.clear();
  return OkStatus();
}

Status ReadUnit(const YamlNode& node, CellRule* rule) {
  PX_ASSIGN_OR_RETURN(const std::string text, node.Text("unit"));
  for (const Unit& unit : kUnits) {
    if (unit.name == text) rule->unit_digits = unit.digits;
  }
  if (!rule->unit_digits) {
    return node.Error(fmt::format("unit is {}, expected ns, us, ms or s", Quoted(text)));
  }
  return OkStatus();
}

Status ReadZone(const YamlNode& node, CellRule* rule) {
  PX_ASSIGN_OR_RETURN(rule->timezone, node.Text("timezone"));
  const StatusOr<Timestamp> known = LocalToUtc("2000-01-01T00:00:00", rule->timezone);
  if (!known.ok()) return node.Error(Message(known.status()));
  return OkStatus();
}

// `base` in the rule's time zone, or with an offset of its own.
Status ReadBase(const YamlNode& node, CellRule* rule) {
  PX_ASSIGN_OR_RETURN(const std::string text, node.Text("base"));
  const StatusOr<Timestamp> local =
      LocalToUtc(text, rule->timezone.empty() ? "UTC" : rule->timezone);
  if (local.ok()) {
    rule->base = *local;
    return OkStatus();
  }
  const StatusOr<Timestamp> absolute = ParseTimestamp(text);
  if (!absolute.ok() || text.find('T') == std::string::npos) {
    return node.Error(
        fmt::format("base is {}, expected a time as 2013-10-09T00:00:00", Quoted(text)));
  }
  if (!rule->timezone.empty()) {
    return node.Error("base has an offset, so timezone must be left out");
  }
  rule->base = *absolute;
  return OkStatus();
}

Status ReadTime(const YamlNode& node, CellRule* rule) {
  if (node.Has("unit")) PX_RETURN_IF_ERROR(ReadUnit(node.At("unit"), rule));
  if (node.Has("format")) {
    PX_ASSIGN_OR_RETURN(const std::string format, node.At("format").Text("format"));
    if (format != "iso") {
      return node.At("format").Error(fmt::format("format is {}, expected iso", Quoted(format)));
    }
    rule->iso = true;
  }
  if (rule->iso && (rule->unit_digits || node.Has("base"))) {
    return node.Error("format: iso excludes unit and base");
  }
  if (node.Has("timezone")) {
    if (!rule->iso && !node.Has("base")) {
      return node.At("timezone").Error("timezone needs base or format: iso");
    }
    PX_RETURN_IF_ERROR(ReadZone(node.At("timezone"), rule));
  }
  if (node.Has("base")) {
    if (!rule->unit_digits) return node.At("base").Error("base needs unit (ns, us, ms or s)");
    PX_RETURN_IF_ERROR(ReadBase(node.At("base"), rule));
  }
  return OkStatus();
}

StatusOr<CellRule> ReadRule(const YamlNode& node, const std::string& column) {
  PX_RETURN_IF_ERROR(node.RequireMapping(
      fmt::format("column {}", column),
      {"const", "column", "line", "unit", "base", "timezone", "format", "scaled", "null"}));
  CellRule rule;
  rule.map_line = node.line();
  PX_RETURN_IF_ERROR(ReadSource(node, &rule));
  PX_RETURN_IF_ERROR(ReadTime(node, &rule));
  if (node.Has("scaled")) {
    PX_ASSIGN_OR_RETURN(const uint64_t scaled,
                        node.At("scaled").Unsigned("scaled", 0, column::kMaxDecimalScale));
    rule.scaled = static_cast<unsigned>(scaled);
  }
  if (node.Has("null")) {
    PX_ASSIGN_OR_RETURN(rule.null_tokens, node.At("null").Texts("null"));
  }
  return rule;
}

Status ReadRules(const YamlNode& node, ImportMap* map) {
  if (!node.IsMapping()) return node.Error("columns must be a mapping (column: {...})");
  for (const auto& [key, value] : node.Entries()) {
    PX_ASSIGN_OR_RETURN(std::string column, key.Text("a column"));
    for (const NamedRule& other : map->columns) {
      if (other.column == column) {
        return key.Error(fmt::format("column {} stands twice", Quoted(column)));
      }
    }
    PX_ASSIGN_OR_RETURN(CellRule rule, ReadRule(value, column));
    if (rule.source == CellRule::Source::kName && !map->header) {
      return value.Error(
          fmt::format("column {} is a name, which needs 'header: true'", Quoted(rule.text)));
    }
    map->columns.push_back({std::move(column), std::move(rule)});
  }
  return OkStatus();
}

Status ReadFileOptions(const YamlNode& node, ImportMap* map) {
  if (node.Has("delimiter")) {
    PX_ASSIGN_OR_RETURN(std::string text, node.At("delimiter").Text("delimiter"));
    if (text == "tab" || text == "\\t") text = "\t";
    if (text.size() != 1 || text == "\n" || text == "\r") {
      return node.At("delimiter").Error("delimiter must be one byte, or tab");
    }
    map->csv.delimiter = text[0];
  }
  if (node.Has("quote")) {
    PX_ASSIGN_OR_RETURN(const std::string text, node.At("quote").Text("quote"));
    if (text.size() > 1 || text == "\n" || text == "\r") {
      return node.At("quote").Error("quote must be one byte, or '' for no quoting");
    }
    map->csv.quote = text.empty() ? std::nullopt : std::optional<char>(text[0]);
  }
  if (map->csv.quote == map->csv.delimiter) return node.Error("quote and delimiter are the same");
  if (node.Has("header")) {
    PX_ASSIGN_OR_RETURN(map->header, node.At("header").Bool("header"));
  }
  if (node.Has("skip_lines")) {
    PX_ASSIGN_OR_RETURN(map->skip_lines,
                        node.At("skip_lines").Unsigned("skip_lines", 0, 1'000'000'000));
  }
  return OkStatus();
}

StatusOr<ImportMap> ReadMap(const YamlNode& node, const std::string& file, std::string table) {
  PX_RETURN_IF_ERROR(node.RequireMapping(
      "a map", {"map", "columns", "delimiter", "quote", "header", "skip_lines", "op"}));
  ImportMap map;
  map.file = file;
  map.table = std::move(table);
  map.line = node.line();
  PX_RETURN_IF_ERROR(ReadFileOptions(node, &map));
  if (!node.Has("columns")) return node.Error("the map lacks 'columns'");
  PX_RETURN_IF_ERROR(ReadRules(node.At("columns"), &map));
  if (!node.Has("op")) return map;
  const YamlNode op = node.At("op");
  for (const NamedRule& other : map.columns) {
    if (other.column == "op") return op.Error("op stands here and among the columns");
  }
  PX_ASSIGN_OR_RETURN(CellRule rule, ReadRule(op, "op"));
  if (rule.source == CellRule::Source::kName && !map.header) {
    return op.Error(
        fmt::format("column {} is a name, which needs 'header: true'", Quoted(rule.text)));
  }
  map.columns.push_back({"op", std::move(rule)});
  return map;
}

StatusOr<ImportMap> FindMap(const std::vector<YamlNode>& documents, const std::string& file,
                            std::string_view table) {
  std::vector<std::string> others;
  std::optional<ImportMap> found;
  for (const YamlNode& document : documents) {
    if (!document.IsMappingWith("map")) {
      if (document.IsMappingWith("kind")) continue;
      return document.Error("a document must have 'map: TABLE'");
    }
    PX_ASSIGN_OR_RETURN(std::string name, document.At("map").Text("map"));
    if (name != table) {
      others.push_back(std::move(name));
      continue;
    }
    if (found) return document.Error(fmt::format("a second map for table {}", table));
    PX_ASSIGN_OR_RETURN(found, ReadMap(document, file, std::move(name)));
  }
  if (found) return *std::move(found);
  if (others.empty()) return InvalidArgument("{} holds no map ('map: {}')", file, table);
  return InvalidArgument("{} holds no map for table {}, only for: {}", file, table,
                         fmt::join(others, ", "));
}

// A length before the text keeps neighbouring texts apart.
void AppendText(std::string_view name, std::string_view text, std::string* out) {
  *out += fmt::format(" {}={}:{}", name, text.size(), text);
}

}  // namespace

StatusOr<ImportMap> ParseImportMap(std::string_view yaml, const std::string& file,
                                   std::string_view table) {
  PX_ASSIGN_OR_RETURN(const std::vector<YamlNode> documents, LoadYaml(yaml, file));
  return WithYaml(file, [&] { return FindMap(documents, file, table); });
}

StatusOr<ImportMap> ReadImportMap(const std::string& path, std::string_view table) {
  PX_ASSIGN_OR_RETURN(const std::string yaml, ReadTextFile(path, kMaxYamlBytes));
  return ParseImportMap(yaml, path, table);
}

std::string CanonicalText(const ImportMap& map) {
  std::vector<const NamedRule*> rules;
  for (const NamedRule& rule : map.columns) rules.push_back(&rule);
  std::sort(rules.begin(), rules.end(),
            [](const NamedRule* a, const NamedRule* b) { return a->column < b->column; });
  std::string out = fmt::format(
      "map 1 delimiter={} quote={} header={} skip_lines={}\n", static_cast<int>(map.csv.delimiter),
      map.csv.quote ? static_cast<int>(*map.csv.quote) : -1, map.header ? 1 : 0, map.skip_lines);
  for (const NamedRule* named : rules) {
    const CellRule& rule = named->rule;
    AppendText("column", named->column, &out);
    out += fmt::format(" source={} position={}", static_cast<int>(rule.source), rule.position);
    AppendText("text", rule.text, &out);
    out += fmt::format(" unit={} base={} iso={}",
                       rule.unit_digits ? static_cast<int>(*rule.unit_digits) : -1, rule.base.ns(),
                       rule.iso ? 1 : 0);
    AppendText("timezone", rule.iso ? std::string_view(rule.timezone) : "", &out);
    out += fmt::format(" scaled={}", rule.scaled ? static_cast<int>(*rule.scaled) : -1);
    std::vector<std::string> tokens = rule.null_tokens;
    std::sort(tokens.begin(), tokens.end());
    for (const std::string& token : tokens) AppendText("null", token, &out);
    out += '\n';
  }
  return out;
}

}  // namespace proxist::client
