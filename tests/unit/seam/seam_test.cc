// Random worlds over a real ClickHouse: every query at every seam is the naive model's answer,
// also while rows are flushed and evicted. PROXIST_SEAM_SECONDS makes it go on for so long.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/history/shared_server.h"
#include "tests/unit/query/random_plan.h"
#include "tests/unit/query/world.h"

namespace proxist::query {
namespace {

constexpr size_t kSeams = 50;

column::SchemaPtr Quotes() {
  static const column::SchemaPtr schema = ApplyTable(RandomQuotesTable());
  return schema;
}

column::SchemaPtr Trades() {
  static const column::SchemaPtr schema = ApplyTable(RandomTradesTable());
  return schema;
}

history::History& RealHistory() {
  static const std::unique_ptr<history::History> real =
      history::MakeClickHouseHistory(history::SharedServer().address());
  return *real;
}

/// An empty table, whatever an earlier world left.
void MakeTable(const column::TableSchema& schema) {
  history::Connection connection(history::SharedServer().address());
  const std::string drop =
      fmt::format("DROP TABLE IF EXISTS `{}`.`{}_history` SYNC", schema.tenant, schema.name);
  ASSERT_EQ(connection.Query(drop, {}, Duration::Seconds(30)).status(), OkStatus());
  ASSERT_EQ(RealHistory().EnsureTable(schema), OkStatus());
}

/// What the worlds went through, so that a test which checks nothing is noticed.
struct Seen {
  uint64_t rows = 0, hot = 0, cold = 0, answers = 0;
};

class SeamWorld {
 public:
  explicit SeamWorld(uint64_t seed)
      : random_(seed),
        plans_(&random_, Quotes(), Trades()),
        world_(1 + seed % 2, &RealHistory(), seed % 4 < 2 ? 3 : hot::kChunkRows) {
    const std::vector<int64_t> units = {1, 1'000'000'000, 3'600'000'000'000,
                                        7LL * 3'600'000'000'000};
    ticks_.unit = units[Below(units.size())];
    // Rows lie around a midnight.
    ticks_.origin =
        history::kDayStart.ns() - static_cast<int64_t>(Below(ticks_.ticks)) * ticks_.unit;
    plans_.SetTicks(ticks_);
    for (const column::SchemaPtr& table : {Quotes(), Trades()}) {
      MakeTable(*table);
      world_.AddTable(table);
    }
    const size_t batches = 4 + Below(8);
    for (size_t i = 0; i < batches; ++i) {
      for (const column::SchemaPtr& table : {Quotes(), Trades()}) {
        world_.Publish(table, plans_.Rows(table, 1 + Below(12)));
      }
      if (Below(3) == 0) PersistSome();
      if (Below(4) == 0) EvictSome();
    }
  }

  /// With the seam where flush and eviction left it; late rows are in the overlay.
  void AskAsItIs(int queries, Seen* seen) {
    for (int i = 0; i < queries && !::testing::Test::HasFatalFailure(); ++i) Ask(seen);
  }

  /// While every row goes to history and leaves memory, in small steps.
  void AskWhileItMoves(int queries, Seen* seen) {
    std::atomic<bool> done = false;
    std::thread mover([&] {
      std::mt19937_64 steps(7);
      while (!done && !AllPersisted()) {
        for (size_t s = 0; s < world_.shards(); ++s) {
          const hot::Store& store = world_.shard(s).store();
          const uint64_t next = store.persisted().value() + 1 + steps() % 8;
          world_.Persist(s, Lsn(std::min(next, store.published().value())));
        }
        const Timestamp before(ticks_.origin +
                               static_cast<int64_t>(steps() % ticks_.ticks) * ticks_.unit);
        world_.Evict(steps() % 2 == 0 ? Quotes() : Trades(), before);
      }
    });
    for (int i = 0; i < queries && !::testing::Test::HasFatalFailure(); ++i) Ask(seen);
    done = true;
    mover.join();
  }

  /// At one cut with the seam at 50 moments: at ties, 1 ns either side, at midnight, all cold.
  void AskAtSeams(int queries, Seen* seen) {
    world_.PersistAll();
    for (int i = 0; i < queries; ++i) {
      RowTests tests;
      const Plan plan = plans_.MakePlan(&tests);
      const std::string expected = FormatAnswer(world_.Expected(plan, tests));
      const std::vector<Timestamp> seams = Seams();
      std::vector<Answer> answers(seams.size() + 1);
      std::vector<Explain> explains(answers.size());
      const Status status = world_.engine().RunAtSeams(
          plan, {}, seams, [&](size_t at, const ResultBatch& batch, const Explain& explain) {
            AppendBatch(batch, &answers[at]);
            explains[at] = explain;
            return OkStatus();
          });
      ASSERT_EQ(status, OkStatus()) << plans_.description();
      for (size_t at = 0; at < answers.size(); ++at) {
        ASSERT_EQ(FormatAnswer(answers[at]), expected)
            << plans_.description() << " seam " << (at == 0 ? -1 : seams[at - 1].ns());
        Count(answers[at], explains[at], seen);
      }
    }
  }

  /// Raises floors over everything that is persisted.
  void EvictAll() {
    world_.PersistAll();
    for (const column::SchemaPtr& table : {Quotes(), Trades()}) {
      world_.Evict(table, Timestamp::Max());
    }
  }

 private:
  size_t Below(size_t n) { return plans_.Below(n); }

  void Ask(Seen* seen) {
    RowTests tests;
    const Plan plan = plans_.MakePlan(&tests);
    QueryOptions options;
    if (Below(2) == 0) options.batch_rows = 1 + Below(3);
    Explain explain;
    StatusOr<Answer> answer = world_.Ask(plan, options, &explain);
    // Corrections that are flushed without a pause may overtake every attempt.
    while (absl::IsAborted(answer.status())) answer = world_.Ask(plan, options, &explain);
    ASSERT_EQ(answer.status(), OkStatus()) << plans_.description();
    ASSERT_EQ(FormatAnswer(*answer), FormatAnswer(world_.Expected(plan, tests)))
        << plans_.description();
    Count(*answer, explain, seen);
  }

  static void Count(const Answer& answer, const Explain& explain, Seen* seen) {
    ++seen->answers;
    seen->rows += answer.rows.size();
    seen->hot += explain.rows_hot;
    seen->cold += explain.rows_cold;
  }

  std::vector<Timestamp> Seams() {
    std::vector<Timestamp> seams = {Timestamp::Max(), history::kDayStart,
                                    history::kDayStart.Minus(Duration(1))};
    while (seams.size() < kSeams) {
      const Timestamp at(plans_.Time());
      seams.insert(seams.end(), {at, at.Minus(Duration(1)), at.Plus(Duration(1))});
    }
    seams.resize(kSeams);
    return seams;
  }

  [[nodiscard]] bool AllPersisted() {
    for (size_t s = 0; s < world_.shards(); ++s) {
      const hot::Store& store = world_.shard(s).store();
      if (store.persisted() < store.published()) return false;
    }
    return true;
  }

  void PersistSome() {
    for (size_t s = 0; s < world_.shards(); ++s) {
      world_.Persist(s, Lsn(Below(world_.shard(s).store().published().value() + 1)));
    }
  }

  void EvictSome() {
    world_.Evict(Below(2) == 0 ? Quotes() : Trades(), plans_.Bound(),
                 [&](std::vector<hot::SeriesRecord>* plan) {
                   std::erase_if(*plan, [&](const hot::SeriesRecord&) { return Below(3) == 0; });
                 });
  }

  std::mt19937_64 random_;
  TickRange ticks_;
  RandomPlans plans_;
  World world_;
};

void OneWorld(uint64_t seed, Seen* seen) {
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeamWorld world(seed);
  world.AskAsItIs(4, seen);
  if (::testing::Test::HasFatalFailure()) return;
  world.AskWhileItMoves(4, seen);
  if (::testing::Test::HasFatalFailure()) return;
  world.AskAtSeams(3, seen);
  if (::testing::Test::HasFatalFailure()) return;
  world.EvictAll();
  world.AskAsItIs(4, seen);
}

TEST(SeamTest, EveryAnswerAtEverySeamIsTheModels) {
  Seen seen;
  const char* seconds = std::getenv("PROXIST_SEAM_SECONDS");
  const auto until =
      std::chrono::steady_clock::now() +
      std::chrono::seconds(seconds == nullptr ? 0 : std::strtoll(seconds, nullptr, 10));
  const char* first = std::getenv("PROXIST_SEAM_SEED");
  const uint64_t begin = first == nullptr ? 1 : std::strtoull(first, nullptr, 10);
  constexpr uint64_t kWorlds = 2;
  for (uint64_t seed = begin; seed < begin + kWorlds || std::chrono::steady_clock::now() < until;
       ++seed) {
    OneWorld(seed, &seen);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(seen.answers, 300U);
  EXPECT_GT(seen.rows, 300U);
  EXPECT_GT(seen.hot, 300U);
  EXPECT_GT(seen.cold, 300U);
  fmt::print("{} answers, {} rows of memory and {} of ClickHouse read\n", seen.answers, seen.hot,
             seen.cold);
}

}  // namespace
}  // namespace proxist::query
