// Runs tests/query/*.test and the examples of docs/queries: each query hot, cold, and at every seam
// between.
#include <algorithm>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "proxist/base/check.h"
#include "proxist/client/query_flags.h"
#include "proxist/client/query_words.h"
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
  StatusOr<Plan> plan;
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
column::SchemaPtr ParseTable(const std::vector<std::string>& words, const std::string& tenant) {
  column::TableSchema schema;
  schema.tenant = tenant;
  schema.name = words[1];
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

/// What "list NAME name:type..." begins: rows that come with a query, as they stand, symbol, ts and
/// seq like the others.
class RowList {
 public:
  explicit RowList(const std::vector<std::string>& words) {
    for (size_t i = 2; i < words.size(); ++i) {
      const size_t colon = words[i].find(':');
      batch_.columns.push_back(
          {words[i].substr(0, colon),
           exec::Column(column::ParseType(words[i].substr(colon + 1)).value())});
    }
    batch_.symbols = symbols_;
    batch_.keepalive = {texts_};
  }
  void Add(const std::vector<std::string>& words) {
    for (size_t c = 0; c < batch_.columns.size(); ++c) {
      exec::Column& column = batch_.columns[c].column;
      const bool time = column.type().kind == TypeKind::kTimestamp && words[c] != "_";
      Put(time ? Cell(ParseTimestamp(words[c]).value().ns()) : ParseCell(words[c], column.type()),
          &column);
    }
  }
  [[nodiscard]] std::shared_ptr<const ResultBatch> rows() const {
    return std::make_shared<const ResultBatch>(batch_);
  }

 private:
  void Put(const Cell& cell, exec::Column* column) {
    if (const auto* real = std::get_if<double>(&cell)) {
      column->Append(*real);
    } else if (const auto* whole = std::get_if<int64_t>(&cell)) {
      std::memcpy(column->Extend(1), whole, column->stride());
    } else if (const auto* text = std::get_if<std::string>(&cell)) {
      if (column->type().kind == TypeKind::kSymbol) {
        column->Append(symbols_->Code(*text));
      } else {
        column->Append(std::string_view(texts_->emplace_back(*text)));
      }
    } else {
      column->AppendNull();
    }
  }

  ResultBatch batch_;
  std::shared_ptr<exec::Symbols> symbols_ = std::make_shared<exec::Symbols>(nullptr);
  std::shared_ptr<std::deque<std::string>> texts_ = std::make_shared<std::deque<std::string>>();
};

/// The plan that follows "query" in a script, in the grammar of pxctl. @NAME stands for a list of
/// rows of the script.
StatusOr<Plan> ParsePlan(const std::string& text, const std::string& tenant,
                         const std::map<std::string, RowList>& lists) {
  const client::RowReader reader = [&](const std::string& name) {
    return StatusOr<std::shared_ptr<const ResultBatch>>(lists.at(name).rows());
  };
  PX_ASSIGN_OR_RETURN(client::QueryFlags flags, client::ParseQueryWords(text));
  flags.tenant = tenant;
  return client::BuildPlan(flags, reader);
}

/// What a page of docs/queries has its examples in.
constexpr std::string_view kFence = "```proxist";

/// Of a script or page, for test names and as the tenant of its tables.
std::string NameOf(const std::filesystem::path& path) {
  std::string name = path.stem().string();
  std::replace(name.begin(), name.end(), '-', '_');
  return path.extension() == ".md" ? "page_" + name : name;
}

Script ParseScript(const std::filesystem::path& path) {
  Script script;
  std::ifstream file(path);
  const std::string tenant = NameOf(path);
  std::map<std::string, RowList> lists;
  RowList* list = nullptr;
  std::vector<std::string>* expecting = nullptr;
  bool answer = false;
  size_t number = 0;
  const bool page = path.extension() == ".md";
  bool inside = !page;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (page && line.starts_with("```")) {
      inside = line == kFence;
      line.clear();
    }
    if (!inside || line.starts_with("#")) continue;
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
      script.tables[words[1]] = ParseTable(words, tenant);
    } else if (words[0] == "rows") {
      script.blocks.push_back({words[1], {}});
      list = nullptr;
    } else if (words[0] == "list") {
      list = &lists.emplace(words[1], RowList(words)).first->second;
    } else if (words[0] == "query") {
      const std::string text = line.substr(words[0].size() + 1);
      script.cases.push_back({number, line, ParsePlan(text, tenant, lists), {}});
    } else if (list != nullptr) {
      list->Add(words);
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
    case TypeKind::kFloat32:
      return column::FormatFloat32(values.data<float>()[row]);
    case TypeKind::kInt16:
      return std::to_string(values.data<int16_t>()[row]);
    case TypeKind::kInt32:
      return std::to_string(values.data<int32_t>()[row]);
    case TypeKind::kUint64:
      return std::to_string(values.data<uint64_t>()[row]);
    default:
      return std::to_string(values.data<int64_t>()[row]);
  }
}

/// The lines that a .test file expects: names, rows, or "error: message".
std::vector<std::string> Lines(World* world, const StatusOr<Plan>& plan, size_t threads) {
  std::vector<std::string> out;
  if (!plan.ok()) return {fmt::format("error: {}", Message(plan.status()))};
  const Status status = world->engine().Run(
      *plan, {.batch_rows = 2, .threads = threads},
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
    // Of one thread, and with assistants.
    for (const size_t threads : {1, 0}) {
      std::vector<std::string> lines = Lines(world, one.plan, threads);
      if (lines[0].starts_with("error: ") && one.expected[0].starts_with("error: ") &&
          lines[0].find(one.expected[0].substr(7)) != std::string::npos) {
        continue;
      }
      EXPECT_EQ(lines, one.expected)
          << "line " << one.line << " " << one.text << "\nat " << seam << ", threads " << threads;
    }
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
  const auto root = std::filesystem::path(__FILE__).parent_path() / "../../..";
  for (const auto& entry : std::filesystem::directory_iterator(root / "tests/query")) {
    if (entry.path().extension() == ".test") out.push_back(entry.path());
  }
  for (const auto& entry : std::filesystem::directory_iterator(root / "docs/queries")) {
    std::ifstream page(entry.path());
    const std::string text{std::istreambuf_iterator<char>(page), {}};
    if (text.find(kFence) != std::string::npos) out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

INSTANTIATE_TEST_SUITE_P(Files, DeclarativeTest, ::testing::ValuesIn(Scripts()),
                         [](const auto& info) { return NameOf(info.param); });

}  // namespace
}  // namespace proxist::query
