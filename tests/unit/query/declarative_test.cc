// Runs tests/query/*.test: each query hot, cold, and at every seam between.
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "proxist/column/type.h"
#include "tests/unit/query/world.h"

namespace proxist::query {
namespace {

using column::TypeKind;

struct Block {
  std::string table;
  std::vector<ModelRow> rows;
};
struct Case {
  size_t line = 0;
  std::string text;
  Plan plan;
  std::vector<std::string> expected;
};
struct Script {
  std::map<std::string, column::SchemaPtr> tables;
  std::vector<Block> blocks;
  std::vector<Case> cases;
};

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> out;
  std::stringstream stream{std::string(text)};
  for (std::string part; std::getline(stream, part, separator);) out.push_back(part);
  return out;
}

/// Words; double quotes keep the spaces between them.
std::vector<std::string> Words(const std::string& line) {
  std::vector<std::string> out;
  std::string word;
  char quote = 0;
  bool any = false;
  for (const char c : line) {
    if (quote == 0 && c == '"') {
      quote = c;
      any = true;
    } else if (c == quote) {
      quote = 0;
    } else if (quote == 0 && c == ' ') {
      if (any) out.push_back(word);
      word.clear();
      any = false;
    } else {
      word.push_back(c);
      any = true;
    }
  }
  if (any) out.push_back(word);
  return out;
}

/// "table NAME series=a,b name:type name:type? ..."
column::SchemaPtr ParseTable(const std::vector<std::string>& words, const std::string& prefix) {
  column::TableSchema schema;
  schema.name = prefix + words[1];
  std::vector<std::string> series;
  for (size_t i = 2; i < words.size(); ++i) {
    if (words[i].starts_with("series=")) {
      series = Split(words[i].substr(7), ',');
      continue;
    }
    const size_t colon = words[i].find(':');
    column::ColumnDef def;
    def.name = words[i].substr(0, colon);
    std::string type = words[i].substr(colon + 1);
    def.nullable = type.back() == '?';
    if (def.nullable) type.pop_back();
    def.type = column::ParseType(type).value();
    schema.columns.push_back(def);
  }
  for (const std::string& name : series) schema.series.push_back(schema.Find(name).value());
  return ApplyTable(schema);
}

Cell ParseCell(const std::string& text, column::Type type) {
  if (text == "_") return {};
  if (column::IsText(type.kind)) return text == "''" ? std::string() : text;
  if (column::IsFloat(type.kind)) return std::stod(text);
  if (type.kind == TypeKind::kDecimal) return column::ParseDecimal(text, type.scale).value();
  if (type.kind == TypeKind::kBool) return int64_t{text == "true"};
  return static_cast<int64_t>(std::stoll(text));
}

/// "SYMBOL TS SEQ cell..."; with "cancel" in front the cells beyond the series columns are null.
ModelRow ParseRow(std::vector<std::string> words, const column::TableSchema& schema) {
  ModelRow row;
  if (words[0] == "cancel") {
    row.op = column::Op::kCancel;
    words.erase(words.begin());
  }
  row.symbol = words[0];
  row.ts = ParseTimestamp(words[1]).value().ns();
  row.seq = std::stoull(words[2]);
  row.cells.resize(schema.columns.size());
  for (size_t i = 3; i < words.size(); ++i) {
    row.cells[i - 3] = ParseCell(words[i], schema.columns[i - 3].type);
  }
  return row;
}

/// The command line of pxctl query, as far as tests need it.
class PlanParser {
 public:
  PlanParser(std::vector<std::string> words, const Script& script)
      : words_(std::move(words)), script_(script) {}

  Plan Parse() {
    ReadOptions();
    Plan plan;
    const std::string& op = words_[0];
    if (op == "last-by" || op == "first-by") {
      plan.op = ParseLastBy(op == "first-by");
    } else if (op == "range") {
      plan.op = ParseRange();
    } else if (op == "asof") {
      plan.op = ParseAsof();
    } else if (op == "book") {
      plan.op = ParseBook();
    } else if (op == "window-join") {
      plan.op = ParseWindowJoin();
    } else if (op == "bars" || op == "aggregate") {
      plan.op = ParseBars();
    } else {
      plan.op = ParseRolling();
    }
    if (Has("--limit")) plan.limit = std::stoull(options_["--limit"]);
    return plan;
  }

 private:
  void ReadOptions() {
    for (size_t i = 1; i < words_.size(); ++i) {
      if (!words_[i].starts_with("--")) {
        table_ = words_[i];
      } else if (words_[i] == "--strict" || words_[i] == "--centred" ||
                 words_[i] == "--prevailing") {
        options_[words_[i]] = "true";
      } else {
        options_[words_[i]] = words_[i + 1];
        ++i;
      }
    }
  }

  LastBy ParseLastBy(bool first) {
    LastBy out;
    out.from = From(table_);
    out.first = first;
    if (Has("--at")) out.at = ParseTimestamp(options_["--at"]).value();
    if (out.first && !Has("--at")) out.at = Timestamp::Min();
    if (Has("--count")) out.count = std::stoull(options_["--count"]);
    out.by = List("--by");
    out.columns = List("--columns");
    return out;
  }

  Range ParseRange() {
    Range out;
    out.from = From(table_);
    Bounds(&out);
    out.columns = List("--columns");
    return out;
  }

  Asof ParseAsof() {
    Asof out;
    out.left = From(options_["--left"]);
    out.right.table = NameOf(options_["--right"]);
    out.right.where = options_["--right-where"];
    Bounds(&out);
    out.columns = List("--columns");
    out.right_columns = List("--right-columns");
    out.by = List("--by");
    out.forward = options_["--direction"] == "forward";
    out.nearest = options_["--direction"] == "nearest";
    out.strict = Has("--strict");
    if (Has("--tolerance")) out.tolerance = ParseDuration(options_["--tolerance"]).value();
    return out;
  }

  Bars ParseBars() {
    Bars out;
    out.from = From(table_);
    Bounds(&out);
    if (Has("--interval")) out.interval = ParseDuration(options_["--interval"]).value();
    if (Has("--origin")) out.origin = ParseTimestamp(options_["--origin"]).value();
    out.zone = options_["--zone"];
    out.aggregates = List("--aggregates");
    out.by = List("--by");
    PriceAndSize(&out);
    static const std::vector<std::string> kFills = {"none", "null", "zero", "previous", "linear"};
    const auto fill = std::find(kFills.begin(), kFills.end(), options_["--fill"]);
    if (fill != kFills.end()) out.fill = static_cast<Fill>(fill - kFills.begin());
    return out;
  }

  Book ParseBook() {
    Book out;
    out.from = From(table_);
    if (Has("--at")) out.at = ParseTimestamp(options_["--at"]).value();
    if (Has("--since")) out.since = ParseTimestamp(options_["--since"]).value();
    out.key = List("--key");
    if (Has("--side")) out.side = options_["--side"];
    if (Has("--bid")) out.bid = options_["--bid"];
    if (Has("--ask")) out.ask = options_["--ask"];
    PriceAndSize(&out);
    out.remove = options_["--remove"];
    out.clear = options_["--clear"];
    if (Has("--depth")) out.depth = std::stoull(options_["--depth"]);
    return out;
  }

  WindowJoin ParseWindowJoin() {
    WindowJoin out;
    out.left = From(options_["--left"]);
    out.right.table = NameOf(options_["--right"]);
    out.right.where = options_["--right-where"];
    Bounds(&out);
    out.columns = List("--columns");
    out.by = List("--by");
    const auto signed_duration = [&](const std::string& name) {
      const std::string text = options_[name];
      if (text.empty()) return Duration();
      if (text[0] != '-') return ParseDuration(text).value();
      return Duration(-ParseDuration(text.substr(1)).value().ns());
    };
    out.before = signed_duration("--before");
    out.after = signed_duration("--after");
    out.prevailing = Has("--prevailing");
    out.aggregates = List("--aggregates");
    PriceAndSize(&out);
    return out;
  }

  Rolling ParseRolling() {
    Rolling out;
    out.from = From(table_);
    Bounds(&out);
    const std::string window = options_["--window"];
    if (window.ends_with("rows")) {
      out.window_rows = std::stoull(window);
    } else if (!window.empty()) {
      out.window = ParseDuration(window).value();
    }
    out.aggregates = List("--aggregates");
    out.columns = List("--columns");
    out.by = List("--by");
    out.centred = Has("--centred");
    PriceAndSize(&out);
    return out;
  }

  bool Has(const std::string& name) { return options_.contains(name); }
  /// Elements at commas outside parentheses.
  std::vector<std::string> List(const std::string& name) {
    std::vector<std::string> out;
    int depth = 0;
    for (const std::string& part : Split(options_[name], ',')) {
      if (depth > 0) {
        out.back() += "," + part;
      } else {
        out.push_back(part);
      }
      depth += static_cast<int>(std::count(part.begin(), part.end(), '(')) -
               static_cast<int>(std::count(part.begin(), part.end(), ')'));
    }
    return out;
  }
  std::string NameOf(const std::string& table) {
    const auto known = script_.tables.find(table);
    return known == script_.tables.end() ? table : known->second->name;
  }
  Selection From(const std::string& table) {
    Selection out;
    out.table = NameOf(table);
    out.symbols = List("--symbols");
    out.where = options_["--where"];
    return out;
  }
  template <typename Op>
  void Bounds(Op* op) {
    if (Has("--from")) op->begin = ParseTimestamp(options_["--from"]).value();
    if (Has("--to")) op->end = ParseTimestamp(options_["--to"]).value();
  }
  template <typename Op>
  void PriceAndSize(Op* op) {
    if (Has("--price")) op->price = options_["--price"];
    if (Has("--size")) op->size = options_["--size"];
  }

  std::vector<std::string> words_;
  const Script& script_;
  std::string table_;
  std::map<std::string, std::string> options_;
};

Script ParseScript(const std::filesystem::path& path) {
  Script script;
  std::ifstream file(path);
  const std::string prefix = path.stem().string() + "_";
  std::vector<std::string>* expecting = nullptr;
  bool answer = false;
  size_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.starts_with("#")) continue;
    const std::vector<std::string> words = Words(line);
    if (words.empty()) {
      expecting = nullptr;
      answer = false;
    } else if (answer) {
      expecting->push_back(line);
    } else if (line == "----") {
      answer = true;
      expecting = &script.cases.back().expected;
    } else if (words[0] == "table") {
      script.tables[words[1]] = ParseTable(words, prefix);
    } else if (words[0] == "rows") {
      script.blocks.push_back({words[1], {}});
    } else if (words[0] == "query") {
      Case one;
      one.line = number;
      one.text = line;
      one.plan = PlanParser({words.begin() + 1, words.end()}, script).Parse();
      script.cases.push_back(one);
    } else {
      Block& block = script.blocks.back();
      block.rows.push_back(ParseRow(words, *script.tables.at(block.table)));
    }
  }
  return script;
}

std::string TextOf(const ResultBatch& batch, const exec::NamedColumn& column, size_t row) {
  const exec::Column& values = column.column;
  if (!values.IsValid(row)) return "";
  switch (values.type().kind) {
    case TypeKind::kFloat64:
      return column::FormatFloat64(values.data<double>()[row]);
    case TypeKind::kDecimal:
      return column::FormatDecimal(values.data<int64_t>()[row], values.type().scale);
    case TypeKind::kSymbol:
      return std::string(batch.symbols->Text(values.data<uint32_t>()[row]));
    case TypeKind::kString:
      return std::string(values.data<std::string_view>()[row]);
    case TypeKind::kBool:
      return values.data<uint8_t>()[row] != 0 ? "true" : "false";
    case TypeKind::kInt32:
      return std::to_string(values.data<int32_t>()[row]);
    case TypeKind::kUint64:
      return std::to_string(values.data<uint64_t>()[row]);
    default:
      return std::to_string(values.data<int64_t>()[row]);
  }
}

/// The lines that a .test file expects: names, rows, or "error: message".
std::vector<std::string> Lines(World* world, const Plan& plan) {
  std::vector<std::string> out;
  const Status status = world->engine().Run(
      plan, {.batch_rows = 2},
      [&](ResultBatch batch) {
        std::string line;
        for (const exec::NamedColumn& column : batch.columns) {
          line += (line.empty() ? "" : ",") + column.name;
        }
        if (out.empty()) out.push_back(line);
        for (size_t row = 0; row < batch.rows(); ++row) {
          line.clear();
          for (size_t c = 0; c < batch.columns.size(); ++c) {
            line += (c == 0 ? "" : ",") + TextOf(batch, batch.columns[c], row);
          }
          out.push_back(line);
        }
        return OkStatus();
      },
      nullptr);
  if (!status.ok()) return {fmt::format("error: {}", Message(status))};
  return out;
}

void Check(const Script& script, World* world, const std::string& seam) {
  for (const Case& one : script.cases) {
    std::vector<std::string> lines = Lines(world, one.plan);
    if (lines[0].starts_with("error: ") && one.expected[0].starts_with("error: ") &&
        lines[0].find(one.expected[0].substr(7)) != std::string::npos) {
      continue;
    }
    EXPECT_EQ(lines, one.expected) << "line " << one.line << " " << one.text << "\nat " << seam;
  }
}

/// How a world comes to be: what is persisted and evicted after which block.
struct Seam {
  size_t blocks = 0;  // published before the first flush and eviction
  Timestamp floor;    // exclusive
  bool merged = false;
  bool persist_rest = false;
  size_t shards = 1;
};

void RunAt(const Script& script, const Seam& seam) {
  World world(seam.shards, seam.merged);
  for (const auto& [name, schema] : script.tables) world.AddTable(schema);
  for (size_t i = 0; i < script.blocks.size(); ++i) {
    const Block& block = script.blocks[i];
    world.Publish(script.tables.at(block.table), block.rows);
    if (i + 1 != seam.blocks) continue;
    world.PersistAll();
    for (const auto& [name, schema] : script.tables)
      world.Evict(schema, seam.floor.Plus(Duration(1)));
  }
  if (seam.persist_rest) world.PersistAll();
  Check(script, &world,
        fmt::format("{} blocks before floor {}, merged {}, rest persisted {}, {} shards",
                    seam.blocks, seam.floor.ns(), seam.merged, seam.persist_rest, seam.shards));
}

class DeclarativeTest : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(DeclarativeTest, AnswersAtEverySeam) {
  const Script script = ParseScript(GetParam());
  ASSERT_FALSE(script.cases.empty());
  std::set<int64_t> floors;
  for (const Block& block : script.blocks) {
    for (const ModelRow& row : block.rows) {
      for (const int64_t nudge : {-1, 0, 1}) floors.insert(row.ts + nudge);
    }
  }
  RunAt(script, {});
  RunAt(script, {.shards = 3});
  for (size_t blocks = 1; blocks <= script.blocks.size() && !HasFailure(); ++blocks) {
    for (const int64_t floor : floors) {
      for (const int variant : {0, 1, 2, 3}) {
        RunAt(script, {.blocks = blocks,
                       .floor = Timestamp(floor),
                       .merged = (variant & 1) != 0,
                       .persist_rest = (variant & 2) != 0,
                       .shards = floor % 2 == 0 ? 1U : 2U});
        if (HasFailure()) return;
      }
    }
  }
}

std::vector<std::filesystem::path> Scripts() {
  std::vector<std::filesystem::path> out;
  const auto folder = std::filesystem::path(__FILE__).parent_path() / "../../query";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".test") out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

INSTANTIATE_TEST_SUITE_P(Files, DeclarativeTest, ::testing::ValuesIn(Scripts()),
                         [](const auto& info) { return info.param.stem().string(); });

}  // namespace
}  // namespace proxist::query
