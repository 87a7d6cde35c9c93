// The control loop of the flush against a ClickHouse of a few lines: it merges so many parts a
// second, and an insert takes a while for itself and for each row.
#include "proxist/shard/flush_control.h"

#include <algorithm>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

namespace proxist::shard {
namespace {

struct Weather {
  double rows_per_second = 100'000;
  Duration insert = Duration::Millis(5);
  double rows_per_insert_second = 2'000'000;
  double merges_per_second = 1000;  // each makes two parts one
  bool away = false;
  bool delays = false;
};

struct Observed {
  uint64_t inserts = 0;
  uint64_t rows = 0;
  uint32_t most_parts = 0;
  uint64_t most_waiting = 0;
  std::vector<double> lags_ms;    // of each insert's oldest row, until it is persisted
  std::vector<double> pauses_ms;  // between the end of an insert and the start of the next

  [[nodiscard]] double Lag(double percent) const {
    std::vector<double> sorted = lags_ms;
    std::sort(sorted.begin(), sorted.end());
    return sorted.empty() ? 0 : sorted[static_cast<size_t>(percent / 100 * (sorted.size() - 1))];
  }
};

/// Virtual time in steps of 1 ms.
class World {
 public:
  explicit World(const FlushControlOptions& options = {}) : control(options) {}

  Observed Run(Duration span, const Weather& weather) {
    Observed seen;
    const int64_t end = now_ns_ + span.ns();
    for (; now_ns_ < end; now_ns_ += kStepNs) Step(weather, &seen);
    return seen;
  }

  FlushControl control;
  double waiting = 0;
  double parts = 1;

 private:
  static constexpr int64_t kStepNs = 1'000'000;
  struct InFlight {
    int64_t begun, done, oldest;
    uint64_t rows;
  };

  void Step(const Weather& weather, Observed* seen) {
    const Duration now(now_ns_);
    if (waiting == 0) oldest_ = now_ns_;
    waiting += weather.rows_per_second * 1e-3;
    parts = std::max(1.0, parts - weather.merges_per_second * 1e-3);
    seen->most_waiting = std::max(seen->most_waiting, static_cast<uint64_t>(waiting));
    if (now_ns_ % 500'000'000 == 0 && !weather.away) Poll(weather);
    for (auto it = flying_.begin(); it != flying_.end();) {
      if (weather.away || now_ns_ < it->done) {
        ++it;
        continue;
      }
      parts += 1;
      seen->most_parts = std::max(seen->most_parts, static_cast<uint32_t>(parts));
      ++seen->inserts;
      seen->rows += it->rows;
      seen->lags_ms.push_back(static_cast<double>(now_ns_ - it->oldest) * 1e-6);
      control.OnInserted(now, Duration(now_ns_ - it->begun));
      ended_ = now_ns_;
      it = flying_.erase(it);
    }
    if (weather.away && now_ns_ >= retry_at_) {
      if (!flying_.empty() || waiting > 0) control.OnFailed(now);
      retry_at_ = now_ns_ + control.RetryPause().ns();
      return;
    }
    if (weather.away) return;
    if (control.state() == FlushState::kAway && flying_.empty()) control.OnReconnected(false);
    if (!flying_.empty() && control.state() == FlushState::kAway) {
      for (InFlight& one : flying_) one.done = now_ns_ + weather.insert.ns();
    }
    FlushBacklog backlog{static_cast<uint64_t>(waiting), static_cast<int>(flying_.size()), false};
    const FlushStep step = control.Next(now, backlog);
    if (!step.open) return;
    if (ended_ > 0) seen->pauses_ms.push_back(static_cast<double>(now_ns_ - ended_) * 1e-6);
    const uint64_t rows = std::min(step.rows, static_cast<uint64_t>(waiting));
    const double span_ns = static_cast<double>(rows) / weather.rows_per_insert_second * 1e9;
    control.OnSend(1);
    flying_.push_back(
        {now_ns_, now_ns_ + weather.insert.ns() + static_cast<int64_t>(span_ns), oldest_, rows});
    waiting -= static_cast<double>(rows);
    oldest_ = now_ns_;
  }

  void Poll(const Weather& weather) {
    if (weather.delays) ++delayed_;
    control.OnParts(control.sent() - flying_.size(), static_cast<uint32_t>(parts), delayed_);
  }

  int64_t now_ns_ = 1'000'000'000;
  int64_t oldest_ = 0;
  int64_t ended_ = 0;
  int64_t retry_at_ = 0;
  uint64_t delayed_ = 0;
  std::vector<InFlight> flying_;
};

TEST(FlushControlTest, SteadyRowsGoOutWithinTheirPauseAndNothingSwings) {
  World world;
  world.Run(Duration::Seconds(2), {});
  const Observed seen = world.Run(Duration::Seconds(60), {});
  EXPECT_LE(seen.Lag(50), 60) << "of the oldest row";
  EXPECT_LE(seen.Lag(100), 100);
  EXPECT_GT(seen.inserts, 60U * 15);
  EXPECT_LT(seen.inserts, 60U * 25) << "ClickHouse pays for each";
  EXPECT_EQ(world.control.state(), FlushState::kSteady);
  const auto [least, most] = std::minmax_element(seen.pauses_ms.begin(), seen.pauses_ms.end());
  EXPECT_LE(*most - *least, 3) << "pauses swing";
}

TEST(FlushControlTest, TheMeanLagOfARowStaysAtItsAimWhateverAnInsertTakes) {
  for (const int64_t ms : {1, 5, 10, 15, 20, 22}) {
    FlushControl control({});
    control.OnInserted(Duration::Millis(1000), Duration::Millis(ms));
    control.Next(Duration::Millis(1000), {.rows = 5000});
    const double pause = static_cast<double>(control.pause().ns()) * 1e-6;
    EXPECT_LE((pause + ms) / 2 + ms, ms <= 20 ? 42.51 : 44.01) << ms;
    EXPECT_GE(pause, ms);
    EXPECT_LE(ms / (pause + ms), ms <= 10 ? 0.17 : 0.51) << "share of time that it inserts";
  }
}

TEST(FlushControlTest, AThinStreamDoesNotWaitLonger) {
  World world;
  const Observed seen =
      world.Run(Duration::Seconds(10), {.rows_per_second = 1000, .insert = Duration::Millis(2)});
  EXPECT_LE(seen.Lag(99), 20);
}

TEST(FlushControlTest, HighRatesGoOutInLargeBlocks) {
  World world;
  const Observed seen = world.Run(Duration::Seconds(30), {.rows_per_second = 1'500'000});
  EXPECT_GE(seen.rows / seen.inserts, 70'000U);
  EXPECT_LE(seen.most_waiting, 1'000'000U);
  EXPECT_GE(seen.rows, 1'500'000U * 29);
}

TEST(FlushControlTest, ABurstIsTakenInFullRoundsAndThenItIsSteadyAgain) {
  World world;
  world.Run(Duration::Seconds(2), {});
  world.waiting += 5'000'000;
  const Observed burst = world.Run(Duration::Seconds(1), {});
  EXPECT_EQ(world.control.state() == FlushState::kHeldBack, false);
  EXPECT_GE(burst.rows, 1'500'000U);
  const Observed after = world.Run(Duration::Seconds(10), {});
  EXPECT_LE(world.waiting, 20'000);
  EXPECT_EQ(world.control.state(), FlushState::kSteady);
  const Observed steady = world.Run(Duration::Seconds(10), {});
  EXPECT_LE(steady.Lag(100), 100);
}

TEST(FlushControlTest, AHundredTimesSlowerMeansFewerLargerInsertsAndBackAgain) {
  World world;
  const Weather slow{.insert = Duration::Millis(500), .rows_per_insert_second = 400'000};
  world.Run(Duration::Seconds(10), slow);
  const Observed seen = world.Run(Duration::Seconds(60), slow);
  EXPECT_LE(seen.inserts, 75U);
  EXPECT_GE(seen.rows, 100'000U * 57) << "it keeps up all the same";
  EXPECT_LE(seen.most_waiting, 300'000U);
  EXPECT_EQ(world.control.state(), FlushState::kStretched);
  world.Run(Duration::Seconds(10), {});
  EXPECT_EQ(world.control.state(), FlushState::kSteady);
  EXPECT_LE(world.Run(Duration::Seconds(5), {}).Lag(100), 100);
}

TEST(FlushControlTest, PartsNeverExceedTheLimitAndPausesSettle) {
  for (const double merges : {0.5, 2.0, 10.0}) {
    World world;
    const Weather weather{.merges_per_second = merges};
    world.Run(Duration::Seconds(600), weather);
    const Observed seen = world.Run(Duration::Seconds(200), weather);
    EXPECT_LE(seen.most_parts, 150U) << merges;
    // As many inserts as merges make room for, evenly: not full stops and bursts.
    EXPECT_NEAR(static_cast<double>(seen.inserts), merges * 200, merges * 200 * 0.1 + 2);
    if (merges < 2) continue;
    const auto [least, most] = std::minmax_element(seen.pauses_ms.begin(), seen.pauses_ms.end());
    EXPECT_LE(*most, 3 * *least + 100) << merges;
    EXPECT_LT(world.control.parts(), 150U);
  }
}

TEST(FlushControlTest, AtTheLimitNothingGoesOut) {
  World world;
  world.parts = 5000;
  const Observed seen = world.Run(Duration::Seconds(5), {.merges_per_second = 1});
  EXPECT_LE(seen.inserts, 40U) << "until the first poll";
  EXPECT_EQ(world.control.state(), FlushState::kHeldBack);
  world.Run(Duration::Seconds(10), {.merges_per_second = 2000});
  EXPECT_LE(world.waiting, 100'000);
}

TEST(FlushControlTest, DelayedInsertsLengthenThePauseUntilTheyEnd) {
  World world;
  world.Run(Duration::Seconds(10), {.delays = true});
  EXPECT_EQ(world.control.pause(), Duration::Millis(2000));
  world.Run(Duration::Seconds(10), {});
  EXPECT_LE(world.control.pause(), Duration::Millis(50));
}

TEST(FlushControlTest, AnOutageIsTriedLessAndLessOftenAndCaughtUpAtFullSpeed) {
  World world;
  world.Run(Duration::Seconds(2), {.rows_per_second = 200'000});
  world.Run(Duration::Seconds(60), {.rows_per_second = 200'000, .away = true});
  EXPECT_EQ(world.control.state(), FlushState::kAway);
  EXPECT_EQ(world.control.RetryPause(), Duration::Seconds(2));
  EXPECT_GE(world.waiting, 11'000'000);
  const Observed seen = world.Run(Duration::Seconds(15), {.rows_per_second = 200'000});
  EXPECT_LE(world.waiting, 100'000) << "12 million rows at 2 million a second and 0.2 coming in";
  EXPECT_LE(seen.most_parts, 150U);
  world.Run(Duration::Seconds(5), {.rows_per_second = 200'000});
  EXPECT_EQ(world.control.state(), FlushState::kSteady);
}

TEST(FlushControlTest, NothingToDoIsIdle) {
  FlushControl control({});
  EXPECT_FALSE(control.Next(Duration::Seconds(1), {}).open);
  EXPECT_EQ(control.state(), FlushState::kIdle);
  EXPECT_TRUE(control.Next(Duration::Seconds(2), {.rows = 1}).open);
  EXPECT_FALSE(control.Next(Duration::Seconds(2), {.rows = 1, .in_flight = 1}).open);
  EXPECT_TRUE(control.Next(Duration::Seconds(2), {.rows = 600'000, .in_flight = 1}).open);
  EXPECT_FALSE(control.Next(Duration::Seconds(2), {.rows = 600'000, .in_flight = 2}).open);
}

}  // namespace
}  // namespace proxist::shard
