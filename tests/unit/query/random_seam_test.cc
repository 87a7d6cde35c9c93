// Random worlds, random seams, random queries: the engine against the naive model.
#include <algorithm>
#include <cstdlib>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/query/random_plan.h"
#include "tests/unit/query/world.h"

namespace proxist::query {
namespace {

column::SchemaPtr Quotes() {
  static const column::SchemaPtr schema = ApplyTable(RandomQuotesTable());
  return schema;
}

column::SchemaPtr Trades() {
  static const column::SchemaPtr schema = ApplyTable(RandomTradesTable());
  return schema;
}

/// What the queries went through, so that a test which checks nothing is noticed.
struct Seen {
  uint64_t rows = 0, hot = 0, cold = 0, history_reads = 0;
};

class RandomWorld {
 public:
  explicit RandomWorld(uint64_t seed)
      : random_(seed),
        plans_(&random_, Quotes(), Trades()),
        world_(1 + seed % 2, seed % 3 == 0, /*with_history=*/true,
               seed % 4 < 2 ? 3 : hot::kChunkRows) {
    const std::vector<int64_t> units = {1, 7, 1'000'000'000, 3'600'000'000'000,
                                        50LL * 3'600'000'000'000};
    // The last ones lie around changes of clocks.
    const std::vector<int64_t> origins = {0, 0, 1362801600, 1383350400, 1541203200};
    plans_.SetTicks({.origin = origins[Below(origins.size())] * 1'000'000'000,
                     .unit = units[Below(units.size())]});
    world_.AddTable(Quotes());
    world_.AddTable(Trades());
    const size_t batches = 4 + Below(14);
    for (size_t i = 0; i < batches; ++i) {
      PublishSome(Below(2) == 0 ? Quotes() : Trades());
      if (Below(2) == 0) PersistSome();
      if (Below(3) == 0) EvictSome(Below(2) == 0 ? Quotes() : Trades());
    }
    if (Below(4) == 0) {
      world_.PersistAll();
      world_.Evict(Quotes(), Timestamp::Max());
      world_.Evict(Trades(), Timestamp::Max());
    }
  }

  void AskSome(int queries, Seen* seen) {
    for (int i = 0; i < queries; ++i) {
      RowTests tests;
      const Plan plan = plans_.MakePlan(&tests);
      QueryOptions options;
      if (Below(2) == 0) options.batch_rows = 1 + Below(3);
      options.threads = Below(3);
      Explain explain;
      const StatusOr<Answer> answer = world_.Ask(plan, options, &explain);
      ASSERT_TRUE(answer.ok()) << answer.status().ToString() << plans_.description();
      const Answer expected = world_.Expected(plan, tests);
      ASSERT_EQ(FormatAnswer(*answer), FormatAnswer(expected)) << plans_.description();
      AskWithoutHistory(plan, options, expected);
      seen->rows += answer->rows.size();
      seen->hot += explain.rows_hot;
      seen->cold += explain.rows_cold;
      seen->history_reads += explain.history_reads;
    }
  }

 private:
  size_t Below(size_t n) { return plans_.Below(n); }

  /// What is not marked as partial is whole.
  void AskWithoutHistory(const Plan& plan, QueryOptions options, const Answer& expected) {
    if (Below(4) != 0) return;
    options.allow_partial = true;
    world_.history().failure = Unavailable("away");
    Explain explain;
    const StatusOr<Answer> answer = world_.Ask(plan, options, &explain);
    world_.history().failure = OkStatus();
    ASSERT_TRUE(answer.ok()) << answer.status().ToString() << plans_.description();
    if (!explain.missing.empty()) return;
    ASSERT_EQ(FormatAnswer(*answer), FormatAnswer(expected)) << plans_.description();
  }

  void PublishSome(const column::SchemaPtr& schema) {
    world_.Publish(schema, plans_.Rows(schema, 1 + Below(12)));
  }

  void PersistSome() {
    for (size_t s = 0; s < world_.shards(); ++s) {
      world_.Persist(s, Lsn(Below(world_.shard(s).store().published().value() + 1)));
    }
  }

  void EvictSome(const column::SchemaPtr& schema) {
    world_.Evict(schema, plans_.Bound(), [&](std::vector<hot::SeriesRecord>* plan) {
      std::erase_if(*plan, [&](const hot::SeriesRecord&) { return Below(3) == 0; });
      for (hot::SeriesRecord& series : *plan) {
        if (Below(2) == 0) series.floor = std::min(series.floor, Timestamp(plans_.Time() + 1));
      }
    });
  }

  std::mt19937_64 random_;
  RandomPlans plans_;
  World world_;
};

TEST(RandomSeamTest, EveryAnswerIsTheModels) {
  Seen seen;
  const char* more = std::getenv("PROXIST_TEST_SEEDS");
  const uint64_t seeds = more == nullptr ? 400 : std::stoull(more);
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    RandomWorld(seed).AskSome(25, &seen);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(seen.rows, 10'000U);
  EXPECT_GT(seen.hot, 10'000U);
  EXPECT_GT(seen.cold, 10'000U);
  EXPECT_GT(seen.history_reads, 1'000U);
}

}  // namespace
}  // namespace proxist::query
