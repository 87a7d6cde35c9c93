// Rows above a seam against a naive resolution, and the view's statement on a real ClickHouse.
#include "proxist/history/live_rows.h"

#include <algorithm>
#include <map>
#include <random>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/history/internal/live_view.h"
#include "proxist/history/internal/native_reader.h"
#include "proxist/history/internal/sql.h"
#include "tests/unit/history/shared_server.h"

namespace proxist::history {
namespace {

using column::Op;
using column::TypeKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

column::SchemaPtr Schema(std::string name) {
  return MakeSchema(std::move(name),
                    {{ColumnId(), "venue", {TypeKind::kSymbol}, false},
                     {ColumnId(), "price", {TypeKind::kInt64}, true}},
                    {0});
}

using Key = std::tuple<std::string, int64_t, uint64_t, std::string>;

struct ModelRow {
  Key key;
  std::optional<int64_t> price;
  Op op;
};

std::shared_ptr<const SourceBatch> Source(const column::SchemaPtr& schema, ShardId shard, Lsn first,
                                          const std::vector<ModelRow>& rows) {
  column::BatchBuilder builder(schema);
  for (const ModelRow& row : rows) {
    const auto& [symbol, ts, seq, venue] = row.key;
    builder.AddRow(symbol, Timestamp(ts), seq, row.op);
    builder.SetText(0, venue);
    if (row.price) builder.SetInt(1, *row.price);
  }
  SourceBatch source;
  source.shard = shard;
  source.batch = builder.Build();
  source.first = first;
  return std::make_shared<const SourceBatch>(std::move(source));
}

std::vector<HistoryColumn> Columns(const column::SchemaPtr& schema, LiveRows::What what) {
  std::vector<HistoryColumn> columns = HistoryColumns(*schema);
  columns.resize(columns.size() - 3);
  if (what == LiveRows::What::kKeys) columns.pop_back();
  return columns;
}

/// Key to price of what the blocks say; a key twice is a failure.
std::map<Key, std::optional<int64_t>> Read(const column::SchemaPtr& schema, LiveRows rows,
                                           LiveRows::What what) {
  NativeReader reader(Columns(schema, what));
  while (true) {
    const std::string block = rows.Next();
    if (block.empty()) break;
    EXPECT_EQ(reader.Append(AsBytes(block), 1'000'000), OkStatus());
  }
  EXPECT_EQ(rows.Next(), "");
  std::map<Key, std::optional<int64_t>> found;
  for (size_t i = 0; i < reader.rows(); ++i) {
    const Key key{std::string(reader.columns()[0].View().TextAt(i)),
                  reader.columns()[1].View().At<int64_t>(i),
                  reader.columns()[2].View().At<uint64_t>(i),
                  std::string(reader.columns()[3].View().TextAt(i))};
    std::optional<int64_t> price;
    if (what == LiveRows::What::kRows && reader.columns()[4].View().IsValid(i)) {
      price = reader.columns()[4].View().At<int64_t>(i);
    }
    EXPECT_TRUE(found.emplace(key, price).second) << "a key twice";
  }
  return found;
}

TEST(LiveRows, AreTheHighestVersionsAboveTheSeam) {
  const auto schema = Schema("live_model");
  std::mt19937 random(7);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (int round = 0; round < 60; ++round) {
    std::map<Key, std::optional<int64_t>> rows;  // of the naive model
    std::map<Key, std::optional<int64_t>> keys;
    std::vector<LiveSource> sources;
    // Days 0 and 2 are rewritten, in day 1 every key is new.
    const Day day = DayOf(kDayStart);
    const std::vector<Day> rewritten = {day, day.Next().Next()};
    for (int shard = 0; shard < 2; ++shard) {
      LiveSource source{Lsn(static_cast<uint64_t>(below(30))), {}};
      uint64_t lsn = 1 + source.above.value() / 2;
      for (int batch = 0; batch < 6; ++batch) {
        std::map<Key, ModelRow> unique;
        for (int i = below(8); i >= 0; --i) {
          const int on = below(3);
          const uint64_t seq = on == 1 ? 1000 + lsn * 10 + static_cast<uint64_t>(i)
                                       : static_cast<uint64_t>(below(4));
          const Key key{fmt::format("S{}{}", shard, below(2)),
                        StartOf(Day(day.value() + on)).ns() + below(2), seq,
                        below(2) == 0 ? "P" : ""};
          ModelRow row{key, std::nullopt, on != 1 && below(4) == 0 ? Op::kCancel : Op::kPut};
          if (below(5) > 0 && row.op == Op::kPut) row.price = below(100);
          unique.try_emplace(key, row);
        }
        std::vector<ModelRow> list;
        for (const auto& [key, row] : unique) list.push_back(row);
        for (size_t i = 0; i < list.size(); ++i) {
          if (lsn + i <= source.above.value()) continue;
          const bool dirty = std::get<1>(list[i].key) < StartOf(day.Next()).ns() ||
                             std::get<1>(list[i].key) >= StartOf(day.Next().Next()).ns();
          rows.erase(list[i].key);
          if (list[i].op == Op::kPut) rows[list[i].key] = list[i].price;
          if (dirty) keys[list[i].key] = std::nullopt;
        }
        source.batches.push_back(
            Source(schema, ShardId(static_cast<uint16_t>(shard)), Lsn(lsn), list));
        lsn += list.size();
      }
      sources.push_back(std::move(source));
    }
    using What = LiveRows::What;
    EXPECT_EQ(Read(schema, LiveRows(schema, sources, rewritten, What::kRows), What::kRows), rows);
    EXPECT_EQ(Read(schema, LiveRows(schema, sources, rewritten, What::kKeys), What::kKeys), keys);
    EXPECT_TRUE(Read(schema, LiveRows(schema, sources, {}, What::kKeys), What::kKeys).empty());
  }
}

TEST(LiveRows, ComeInBlocksAndAreOfTheirTable) {
  const auto schema = Schema("live_blocks");
  const auto other = Schema("live_other");
  std::vector<ModelRow> many;
  for (uint64_t i = 0; i < 70'000; ++i) {
    many.push_back({{"S", kDayStart.ns() + static_cast<int64_t>(i), i, "P"}, 1, Op::kPut});
  }
  const LiveSource source{
      Lsn(0),
      {Source(other, ShardId(0), Lsn(1), {many[0]}), Source(schema, ShardId(0), Lsn(2), many)}};
  LiveRows rows(schema, {source}, {}, LiveRows::What::kRows);
  std::vector<size_t> blocks;
  for (std::string block = rows.Next(); !block.empty(); block = rows.Next()) {
    NativeReader reader(Columns(schema, LiveRows::What::kRows));
    ASSERT_EQ(reader.Append(AsBytes(block), 1'000'000), OkStatus());
    blocks.push_back(reader.rows());
  }
  EXPECT_THAT(blocks, ElementsAre(65'536, 70'000 - 65'536));
}

TEST(LiveView, IsMadeOnceAndReplacesNothingElse) {
  auto history = MakeClickHouseHistory(SharedServer().address());
  Connection connection(SharedServer().address());
  const auto ask = [&](const std::string& sql) {
    return connection.Query(sql, {}, Duration::Seconds(20)).value();
  };
  const auto schema = MakeSchema("live_made", {{ColumnId(), "a", {TypeKind::kDecimal, 4}, true},
                                               {ColumnId(), "b", {TypeKind::kSymbol}, true},
                                               {ColumnId(), "c", {TypeKind::kTimestamp}, false},
                                               {ColumnId(), "d", {TypeKind::kBool}, true},
                                               {ColumnId(), "e", {TypeKind::kString}, false},
                                               {ColumnId(), "f", {TypeKind::kFloat32}, false}});
  const LiveEndpoint endpoint{"http://127.0.0.1:9", "t'oken", 1};
  ASSERT_EQ(history->EnsureTable(*schema), OkStatus());
  ASSERT_EQ(history->EnsureView(*schema, endpoint), OkStatus());
  const std::string made = ask("SELECT comment FROM system.tables WHERE name = 'live_made'");
  ASSERT_EQ(history->EnsureView(*schema, endpoint), OkStatus());
  EXPECT_EQ(ask("SELECT comment FROM system.tables WHERE name = 'live_made'"), made);
  ASSERT_EQ(history->EnsureView(*schema, {"http://127.0.0.1:10", "t'oken", 3}), OkStatus());
  EXPECT_NE(ask("SELECT comment FROM system.tables WHERE name = 'live_made'"), made);
  // The columns are the history's, without the system ones.
  EXPECT_EQ(ask("SELECT name, type FROM system.columns WHERE table = 'live_made' FORMAT TSVRaw"),
            ask("SELECT name, type FROM system.columns WHERE table = 'live_made_history' AND name "
                "NOT IN ('version', 'shard', 'deleted') FORMAT TSVRaw"));
  // Nobody answers there, and the query says so.
  const auto refused =
      connection.Query("SELECT count() FROM default.live_made", {}, Duration::Seconds(20));
  EXPECT_THAT(std::string(Message(refused.status())), HasSubstr("Connection refused"));

  const auto taken = MakeSchema("live_taken", {{ColumnId(), "a", {TypeKind::kInt8}, false}});
  ask("CREATE TABLE default.live_taken (x Int8) ENGINE = Memory");
  const Status status = history->EnsureView(*taken, endpoint);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(Message(status)), HasSubstr("is a Memory that Proxist did not make"));
  EXPECT_EQ(ask("SELECT engine FROM system.tables WHERE name = 'live_taken'"), "Memory\n");
}

TEST(Embedded, TheReaderReadsAndDoesNothingElse) {
  Connection connection(SharedServer().sql_address());
  const auto code = [&](const std::string& sql) {
    return connection.Query(sql, {}, Duration::Seconds(20)).status().code();
  };
  EXPECT_EQ(code("SELECT count() FROM system.tables"), absl::StatusCode::kOk);
  EXPECT_EQ(code("SELECT 1 SETTINGS max_threads = 1"), absl::StatusCode::kOk);
  for (const char* sql :
       {"CREATE TABLE default.no (a Int8) ENGINE = Memory", "DROP DATABASE default",
        "SELECT * FROM url('http://127.0.0.1:9/', 'TSV', 'a String')",
        "SELECT * FROM file('x', 'TSV', 'a String')", "SYSTEM FLUSH LOGS"}) {
    EXPECT_EQ(code(sql), absl::StatusCode::kPermissionDenied) << sql;
  }
  EXPECT_NE(code("SELECT 1 SETTINGS readonly = 0"), absl::StatusCode::kOk);
}

}  // namespace
}  // namespace proxist::history
