// What the engine does beyond answering: errors of history, retries, bounds, batches, explain.
#include "proxist/query/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/query/world.h"

namespace proxist::query {
namespace {

using column::TypeKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kHour = 3'600'000'000'000;

column::SchemaPtr Ticks() {
  static const column::SchemaPtr schema = [] {
    column::TableSchema s;
    s.name = "engine_ticks";
    s.columns = {{ColumnId(1), "venue", {TypeKind::kSymbol, 0}, false},
                 {ColumnId(2), "price", {TypeKind::kInt64, 0}, true},
                 {ColumnId(3), "note", {TypeKind::kString, 0}, true}};
    s.series = {0};
    return ApplyTable(std::move(s));
  }();
  return schema;
}

ModelRow Row(std::string symbol, int64_t ts, int64_t price, column::Op op = column::Op::kPut) {
  ModelRow row;
  row.symbol = std::move(symbol);
  row.ts = ts;
  row.seq = 1;
  row.op = op;
  row.cells = {std::string("P"), price, std::string("text that is longer than a small string")};
  if (op == column::Op::kCancel) row.cells = {std::string("P"), Cell(), Cell()};
  return row;
}

Plan Last(Timestamp at, std::vector<std::string> symbols = {}) {
  LastBy op;
  op.from.table = Ticks()->name;
  op.from.symbols = std::move(symbols);
  op.at = at;
  op.columns = {"price"};
  return {op, std::nullopt};
}

Plan All(std::vector<std::string> columns = {"price"}) {
  Range op;
  op.from.table = Ticks()->name;
  op.columns = std::move(columns);
  return {op, std::nullopt};
}

/// Rows 1, 2, 3 hours of AIG; those before hour 3 are evicted.
class EngineTest : public ::testing::Test {
 protected:
  void Fill(World* world) {
    world->AddTable(Ticks());
    for (const int64_t hour : {1, 2, 3}) world->Publish(Ticks(), {Row("AIG", hour * kHour, hour)});
    world->PersistAll();
    world->Evict(Ticks(), Timestamp(3 * kHour));
  }
};

TEST_F(EngineTest, ManySymbolsOfSeveralShardsKeepTheirNames) {
  // The answers of groups, each with codes of its own, are copied into batches across their bounds.
  for (const size_t shards : {2, 3}) {
    World world(shards);
    world.AddTable(Ticks());
    std::vector<ModelRow> rows;
    for (int64_t symbol = 0; symbol < 200; ++symbol) {
      for (const int64_t ts : {1, 2}) rows.push_back(Row(std::to_string(symbol), ts, symbol));
    }
    world.Publish(Ticks(), std::move(rows));
    const Plan plan = All({"price", "note"});
    const Answer expected = world.Expected(plan);
    Explain explain;
    for (const size_t batch_rows : {3, 5, 64}) {
      const StatusOr<Answer> answer = world.Ask(plan, {.batch_rows = batch_rows}, &explain);
      ASSERT_TRUE(answer.ok()) << answer.status().ToString();
      EXPECT_EQ(FormatAnswer(*answer), FormatAnswer(expected)) << shards << " " << batch_rows;
      EXPECT_EQ(explain.rows_hot, 400U);
    }
  }
}

TEST_F(EngineTest, AsksHistoryOnlyWhenMemoryCannotAnswer) {
  World world;
  Fill(&world);
  Explain explain;
  EXPECT_EQ(world.Ask(Last(Timestamp::Max()), {}, &explain)->rows.size(), 1U);
  // The boundary answers below the floor.
  EXPECT_EQ(world.Ask(Last(Timestamp(3 * kHour - 1)), {}, &explain)->rows[0][3], "2");
  EXPECT_EQ(explain.history_reads, 0U);
  EXPECT_TRUE(world.history().reads.empty());
  EXPECT_EQ(world.Ask(Last(Timestamp(2 * kHour - 1)), {}, &explain)->rows[0][3], "1");
  EXPECT_GT(explain.history_reads, 0U);
  EXPECT_FALSE(world.history().reads.empty());
}

TEST_F(EngineTest, ExplainsTheSeam) {
  World world;
  Fill(&world);
  Explain explain;
  ASSERT_TRUE(world.Ask(All(), {}, &explain).ok());
  ASSERT_EQ(explain.seams.size(), 1U);
  EXPECT_EQ(explain.seams[0].table, Ticks()->name);
  EXPECT_EQ(explain.seams[0].cut, Lsn(3));
  EXPECT_EQ(explain.seams[0].persisted, Lsn(3));
  EXPECT_LT(explain.seams[0].floor, Timestamp(3 * kHour));
  EXPECT_GE(explain.seams[0].floor, Timestamp(2 * kHour));
  EXPECT_EQ(explain.rows_hot, 1U);
  EXPECT_EQ(explain.rows_cold, 2U);
  EXPECT_EQ(explain.attempts, 1U);
}

TEST_F(EngineTest, AnswersFromMemoryAloneWhenToldSo) {
  World world;
  Fill(&world);
  QueryOptions options;
  options.memory_only = true;
  EXPECT_EQ(world.Ask(Last(Timestamp(3 * kHour - 1)), options)->rows[0][3], "2");
  for (const Plan& plan : {Last(Timestamp(kHour)), All()}) {
    EXPECT_EQ(world.Ask(plan, options).status().code(), absl::StatusCode::kAborted);
  }
  EXPECT_TRUE(world.history().reads.empty());
}

TEST_F(EngineTest, EndsOnceNobodyWaits) {
  World world;
  Fill(&world);
  std::atomic<bool> cancelled{false};
  QueryOptions options;
  options.cancelled = &cancelled;
  EXPECT_TRUE(world.Ask(All(), options).ok());
  ASSERT_FALSE(world.history().reads.empty());
  EXPECT_EQ(world.history().reads.back().bounds.cancelled, &cancelled);
  cancelled = true;
  EXPECT_EQ(world.Ask(All(), options).status().code(), absl::StatusCode::kCancelled);
}

TEST_F(EngineTest, SaysThatHistoryIsAway) {
  World world;
  Fill(&world);
  world.history().failure = Unavailable("connection refused");
  EXPECT_TRUE(world.Ask(Last(Timestamp::Max())).ok());
  for (const Plan& plan : {Last(Timestamp(kHour)), All()}) {
    const Status status = world.Ask(plan).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(Message(status)),
                HasSubstr("the answer needs rows at or below the hot floor"));
    EXPECT_THAT(std::string(Message(status)), HasSubstr("connection refused"));
  }
  World without(1, false, false);
  Fill(&without);
  EXPECT_TRUE(without.Ask(Last(Timestamp::Max())).ok());
  EXPECT_EQ(without.Ask(All()).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(without.Ask(Last(Timestamp(kHour))).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(EngineTest, APartialAnswerIsWhatMemoryKnowsAndSaysSo) {
  QueryOptions partial;
  partial.allow_partial = true;
  LastBy first;
  first.from.table = Ticks()->name;
  first.first = true;
  first.at = Timestamp(0);
  Bars bars;
  bars.from.table = Ticks()->name;
  bars.interval = Duration(2 * kHour);
  bars.aggregates = {"count", "sum(price)"};
  Asof asof;
  asof.left.table = Ticks()->name;
  asof.rights.emplace_back().from.table = Ticks()->name;
  asof.rights[0].strict = true;
  for (const int variant : {0, 1, 2, 3}) {
    const bool without = variant % 2 == 1;
    const bool late = variant >= 2;
    World world(1, false, !without);
    Fill(&world);
    // Rows of hours 2 (the boundary) and 3; or 3 and a row of hour 1 that is not persisted yet,
    // after which the boundary is not known.
    World known;
    known.AddTable(Ticks());
    if (late) {
      world.Publish(Ticks(), {Row("AIG", kHour + 1, 7)});
      known.Publish(Ticks(), {Row("AIG", kHour + 1, 7)});
    } else {
      known.Publish(Ticks(), {Row("AIG", 2 * kHour, 2)});
    }
    known.Publish(Ticks(), {Row("AIG", 3 * kHour, 3)});
    world.history().failure = Unavailable("connection refused");
    for (const Plan& plan :
         {All(), Last(Timestamp(kHour + 5)), Last(Timestamp(kHour)), Plan{first, std::nullopt},
          Plan{bars, std::nullopt}, Plan{asof, std::nullopt}, Plan{first, 1}}) {
      EXPECT_FALSE(world.Ask(plan).ok());
      Explain explain;
      const StatusOr<Answer> answer = world.Ask(plan, partial, &explain);
      ASSERT_TRUE(answer.ok()) << answer.status().ToString();
      EXPECT_EQ(FormatAnswer(*answer), FormatAnswer(known.Expected(plan)));
      ASSERT_EQ(explain.missing.size(), 1U);
      EXPECT_EQ(explain.missing[0].table, Ticks()->name);
      EXPECT_LE(explain.missing[0].from, Timestamp(kHour));
      EXPECT_GE(explain.missing[0].to, Timestamp(kHour));
      EXPECT_LT(explain.missing[0].to, Timestamp(3 * kHour));
    }
    Explain explain;
    EXPECT_EQ(world.Ask(Last(Timestamp::Max()), partial, &explain)->rows[0][3], "3");
    EXPECT_TRUE(explain.missing.empty());
  }
  World well;
  Fill(&well);
  Explain explain;
  EXPECT_EQ(well.Ask(All(), partial, &explain)->rows.size(), 3U);
  EXPECT_TRUE(explain.missing.empty());
  // What is wrong with the query, or with what history says, is an error as ever.
  World emptied;
  Fill(&emptied);
  emptied.history().failure = DataLoss("emptied");
  EXPECT_EQ(emptied.Ask(All(), partial).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(EngineTest, APartialAnswerIsNeverMixedWithHistory) {
  World world(2);
  world.AddTable(Ticks());
  for (const int64_t hour : {1, 2, 3}) {
    for (int i = 0; i < 200; ++i) {
      world.Publish(Ticks(), {Row(fmt::format("S{:03}", i), hour * kHour, hour)});
    }
  }
  world.PersistAll();
  world.Evict(Ticks(), Timestamp(3 * kHour));
  size_t reads = 0;
  world.history().before_answer = [&] {
    if (++reads == 2) world.history().failure = Unavailable("gone");
  };
  QueryOptions partial;
  partial.allow_partial = true;
  Explain explain;
  const StatusOr<Answer> answer = world.Ask(All(), partial, &explain);
  ASSERT_TRUE(answer.ok()) << answer.status().ToString();
  EXPECT_GE(reads, 2U);
  EXPECT_EQ(answer->rows.size(), 400U);  // the boundary and the row above it, of every symbol
  EXPECT_EQ(explain.missing.size(), 2U);
  EXPECT_EQ(explain.history_reads, 0U);
  // Rows that were shown already cannot be taken back.
  world.history().failure = OkStatus();
  size_t batches = 0;
  const Status status = world.engine().Run(
      All(), {.batch_rows = 1, .allow_partial = true},
      [&](const ResultBatch&) {
        if (++batches == 1) world.history().failure = Unavailable("gone");
        return OkStatus();
      },
      nullptr);
  EXPECT_TRUE(status.ok() || absl::IsUnavailable(status)) << status.ToString();
}

column::SchemaPtr AllVersions() {
  static const column::SchemaPtr schema = [] {
    column::TableSchema s = *Ticks();
    s.name = "engine_versions";
    s.versions = column::Versions::kAll;
    return ApplyTable(std::move(s));
  }();
  return schema;
}

TEST_F(EngineTest, AnswersAsOfAMomentOfTheLog) {
  World world;
  world.AddTable(AllVersions());
  std::vector<Answer> then;
  Range range;
  range.from.table = AllVersions()->name;
  LastBy last;
  last.from.table = AllVersions()->name;
  last.at = Timestamp(3 * kHour);
  Bars bars;
  bars.from.table = AllVersions()->name;
  bars.interval = Duration(2 * kHour);
  bars.aggregates = {"count", "sum(price)", "last(price)"};
  const std::vector<Plan> plans = {
      {range, std::nullopt}, {last, std::nullopt}, {bars, std::nullopt}};
  const std::vector<ModelRow> steps = {Row("AIG", 2 * kHour, 2),
                                       Row("AIG", 3 * kHour, 3),
                                       Row("AIG", kHour, 1),       // late
                                       Row("AIG", 2 * kHour, 20),  // a correction
                                       Row("AIG", 3 * kHour, 0, column::Op::kCancel),
                                       Row("AIG", 4 * kHour, 4)};
  for (const ModelRow& row : steps) {
    world.Publish(AllVersions(), {row});
    for (const Plan& plan : plans) then.push_back(*world.Ask(plan));
  }
  const auto compare = [&] {
    for (size_t step = 0; step < steps.size(); ++step) {
      for (size_t p = 0; p < plans.size(); ++p) {
        Plan plan = plans[p];
        plan.as_of_log = AsOfLog{{{ShardId(0), Lsn(step + 1)}}, std::nullopt};
        const StatusOr<Answer> answer = world.Ask(plan);
        ASSERT_TRUE(answer.ok()) << answer.status().ToString();
        EXPECT_EQ(FormatAnswer(*answer), FormatAnswer(then[step * plans.size() + p]))
            << "LSN " << step + 1 << ", plan " << p;
      }
    }
  };
  world.PersistAll();
  compare();
  world.Evict(AllVersions(), Timestamp(3 * kHour));
  compare();
  world.Evict(AllVersions(), Timestamp::Max());
  compare();
}

TEST_F(EngineTest, AMomentOfTheLogNeedsAllVersionsAndHistory) {
  World world;
  Fill(&world);
  Plan plan = All();
  plan.as_of_log = AsOfLog{{{ShardId(0), Lsn(1)}}, std::nullopt};
  EXPECT_THAT(world.Ask(plan).status().ToString(), HasSubstr("versions: all"));
  World versions;
  versions.AddTable(AllVersions());
  versions.Publish(AllVersions(), {Row("AIG", kHour, 1)});
  std::get<Range>(plan.op).from.table = AllVersions()->name;
  QueryOptions hurried;
  hurried.deadline = Duration::Millis(20);
  // It is not persisted.
  EXPECT_EQ(versions.Ask(plan, hurried).status().code(), absl::StatusCode::kDeadlineExceeded);
  versions.PersistAll();
  EXPECT_EQ(versions.Ask(plan)->rows.size(), 1U);
  plan.as_of_log->lsns = {{ShardId(3), Lsn(1)}};
  EXPECT_THAT(versions.Ask(plan).status().ToString(), HasSubstr("names no LSN of shard 0"));
  World without(1, false, false);
  without.AddTable(AllVersions());
  without.Publish(AllVersions(), {Row("AIG", kHour, 1)});
  EXPECT_EQ(without.Ask(plan).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(EngineTest, StartsAgainWhenACorrectionReachesHistory) {
  World world(1, true);
  Fill(&world);
  int answers = 0;
  world.history().before_answer = [&] {
    if (++answers > 1) return;
    // The old version is merged away before it is read.
    world.Publish(Ticks(), {Row("AIG", kHour, 100)});
    world.shard(0).handed = world.shard(0).store().published();
    world.PersistAll();
  };
  Explain explain;
  const StatusOr<Answer> answer = world.Ask(All(), {}, &explain);
  ASSERT_TRUE(answer.ok()) << answer.status().ToString();
  EXPECT_EQ(explain.attempts, 2U);
  EXPECT_EQ(FormatAnswer(*answer), FormatAnswer(world.Expected(All())));
}

TEST_F(EngineTest, GivesUpAfterFiveCorrections) {
  World world;
  Fill(&world);
  world.history().before_answer = [&] {
    world.Publish(Ticks(), {Row("AIG", kHour, 100)});
    world.shard(0).handed = world.shard(0).store().published();
  };
  Explain explain;
  EXPECT_EQ(world.Ask(All(), {}, &explain).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(explain.attempts, 5U);
}

TEST_F(EngineTest, KeepsToItsBounds) {
  World world;
  Fill(&world);
  QueryOptions little;
  little.memory_bytes = 40;
  EXPECT_EQ(world.Ask(All(), little).status().code(), absl::StatusCode::kResourceExhausted);
  QueryOptions late;
  late.deadline = Duration(0);
  EXPECT_EQ(world.Ask(All(), late).status().code(), absl::StatusCode::kDeadlineExceeded);
  Bars bars;
  bars.from.table = Ticks()->name;
  bars.interval = Duration(1);
  bars.aggregates = {"close"};
  bars.fill = Fill::kPrevious;
  EXPECT_EQ(world.Ask({bars, std::nullopt}).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(EngineTest, SinkErrorsStopTheQuery) {
  World world;
  Fill(&world);
  int calls = 0;
  const Status status = world.engine().Run(
      All(), {.batch_rows = 1},
      [&](const ResultBatch&) {
        ++calls;
        return Cancelled("enough");
      },
      nullptr);
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(calls, 1);
}

TEST_F(EngineTest, BatchesHoldTheirStringsBeyondTheQuery) {
  std::vector<ResultBatch> batches;
  auto world = std::make_unique<World>();
  Fill(world.get());
  ASSERT_TRUE(world->engine()
                  .Run(
                      All({"note"}), {.batch_rows = 2},
                      [&](ResultBatch batch) {
                        batches.push_back(std::move(batch));
                        return OkStatus();
                      },
                      nullptr)
                  .ok());
  ASSERT_EQ(batches.size(), 2U);
  EXPECT_EQ(batches[0].rows(), 2U);
  for (const ResultBatch& batch : batches) {
    for (size_t row = 0; row < batch.rows(); ++row) {
      EXPECT_EQ(batch.columns[3].column.data<std::string_view>()[row],
                "text that is longer than a small string");
    }
  }
}

TEST_F(EngineTest, AnEmptyAnswerIsOneBatchWithColumns) {
  World world;
  world.AddTable(Ticks());
  for (const Plan& plan : {All(), Last(Timestamp::Max()), Last(Timestamp::Max(), {"NONE"})}) {
    int calls = 0;
    ASSERT_TRUE(world.engine()
                    .Run(
                        plan, {},
                        [&](const ResultBatch& batch) {
                          ++calls;
                          EXPECT_EQ(batch.rows(), 0U);
                          EXPECT_EQ(batch.columns.size(), 4U);
                          return OkStatus();
                        },
                        nullptr)
                    .ok());
    EXPECT_EQ(calls, 1);
  }
}

TEST_F(EngineTest, ManyColdSymbolsShareRequests) {
  World world(2);
  world.AddTable(Ticks());
  std::vector<ModelRow> rows;
  for (int i = 0; i < 1500; ++i) {
    rows.push_back(Row(fmt::format("S{:04}", i), kHour + i, i));
    rows.push_back(Row(fmt::format("S{:04}", i), 2 * kHour + i, i));
  }
  world.Publish(Ticks(), rows);
  world.PersistAll();
  world.Evict(Ticks(), Timestamp::Max());
  Explain explain;
  const Plan plan = Last(Timestamp(2 * kHour - 1));
  const StatusOr<Answer> answer = world.Ask(plan, {}, &explain);
  ASSERT_TRUE(answer.ok()) << answer.status().ToString();
  EXPECT_EQ(FormatAnswer(*answer), FormatAnswer(world.Expected(plan)));
  EXPECT_EQ(answer->rows.size(), 1500U);
  EXPECT_LE(explain.history_reads, 20U);
}

}  // namespace
}  // namespace proxist::query
