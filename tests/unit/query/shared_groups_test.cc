// Who takes which group of symbols, and in which order answers go out.
#include "proxist/query/internal/shared_groups.h"

#include <atomic>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "proxist/env/clock.h"
#include "proxist/query/internal/explain.h"

namespace proxist::query::internal {
namespace {

using Answer = SharedGroups::Answer;

constexpr uint64_t kHeld = 1000;

std::vector<QuerySymbol> Symbols(size_t n) {
  std::vector<QuerySymbol> out;
  for (size_t i = 0; i < n; ++i) out.push_back({std::to_string(i), nullptr, 0});
  return out;
}

/// An answer that is told by the rows it counted.
Answer Rows(uint64_t rows) {
  Answer answer;
  answer.explain.rows_hot = rows;
  return answer;
}

class SharedGroupsTest : public testing::Test {
 protected:
  /// The next group for the query's thread; -1: no more.
  int64_t Take(Status status = OkStatus()) {
    const auto group = groups_.Take(budget_, [&](const Answer& answer) {
      out_.push_back(answer.explain.rows_hot);
      return status;
    });
    if (!group.ok()) {
      failed_ = group.status();
      return -2;
    }
    return group->has_value() ? static_cast<int64_t>((*group)->index) : -1;
  }

  /// An assistant has group 1, the query's thread group 2.
  void BehindAnAssistant() {
    ASSERT_TRUE(groups_.Join());
    EXPECT_EQ(Take(), 0);
    ASSERT_EQ(groups_.TakeToHelp()->index, 1U);
    groups_.Give(0, Rows(10));
    EXPECT_EQ(Take(), 2);
  }

  const std::vector<QuerySymbol> symbols_ = Symbols(10);
  SharedGroups groups_{symbols_, 4, kHeld};
  Budget budget_{&env::SystemClock(), Duration::Seconds(60), 1 << 20};
  std::vector<uint64_t> out_;
  Status failed_;
};

TEST_F(SharedGroupsTest, AnswersGoOutInOrderWhoeverGaveThem) {
  ASSERT_TRUE(groups_.Join());
  const auto taken = groups_.TakeToHelp();
  EXPECT_EQ(taken->index, 1U) << "the first one is the query's own";
  EXPECT_EQ(taken->symbols.size(), 4U);
  EXPECT_EQ(Take(), 0);
  const auto last = groups_.TakeToHelp();
  EXPECT_EQ(last->index, 2U);
  EXPECT_EQ(last->symbols.size(), 2U);
  EXPECT_FALSE(groups_.TakeToHelp().has_value());
  groups_.Give(2, Rows(12));
  groups_.Give(0, Rows(10));
  EXPECT_TRUE(out_.empty());
  std::thread assistant([&] {
    groups_.Give(1, Rows(11));
    groups_.Leave();
  });
  EXPECT_EQ(Take(), -1) << "waits for the assistant's group";
  EXPECT_EQ(out_, (std::vector<uint64_t>{10, 11, 12}));
  assistant.join();
  groups_.Close();
}

TEST_F(SharedGroupsTest, WhatAnAssistantReturnsIsTheQuerysOwn) {
  ASSERT_TRUE(groups_.Join());
  EXPECT_EQ(groups_.TakeToHelp()->index, 1U);
  groups_.Return(1, /*alone=*/false);
  EXPECT_EQ(groups_.TakeToHelp()->index, 2U) << "the others may still be helped with";
  groups_.Leave();
  EXPECT_EQ(Take(), 0);
  groups_.Give(0, Rows(10));
  EXPECT_EQ(Take(), 1);
  groups_.Return(2, /*alone=*/false);
  groups_.Give(1, Rows(11));
  EXPECT_EQ(Take(), 2);
  groups_.Give(2, Rows(12));
  EXPECT_EQ(Take(), -1);
  EXPECT_EQ(out_, (std::vector<uint64_t>{10, 11, 12}));
}

TEST_F(SharedGroupsTest, AloneTheQueryTakesAllThatIsLeft) {
  ASSERT_TRUE(groups_.Join());
  EXPECT_EQ(Take(), 0);
  groups_.GoAlone();
  EXPECT_FALSE(groups_.TakeToHelp().has_value());
  EXPECT_FALSE(groups_.stopped()) << "what others have under way they may finish";
  groups_.Leave();
  EXPECT_FALSE(groups_.Join());
  groups_.Give(0, Rows(10));
  const auto rest = groups_.Take(budget_, [](const Answer&) { return OkStatus(); });
  ASSERT_TRUE(rest.ok() && rest->has_value());
  EXPECT_EQ((*rest)->symbols.size(), 6U);
  groups_.Return((*rest)->index, /*alone=*/true);
  const auto again = groups_.Take(budget_, [](const Answer&) { return OkStatus(); });
  EXPECT_EQ((*again)->symbols.size(), 6U) << "put back it is as large";
  groups_.Give((*again)->index, Rows(11));
  EXPECT_EQ(Take(), -1);
}

TEST_F(SharedGroupsTest, AmidAGroupThoseBeforeItAreAwaited) {
  BehindAnAssistant();
  std::thread assistant([&] {
    groups_.Give(1, Rows(11));
    groups_.Leave();
  });
  const auto turn = groups_.AwaitTurn(2, budget_, [&](const Answer& answer) {
    out_.push_back(answer.explain.rows_hot);
    return OkStatus();
  });
  EXPECT_TRUE(turn.ok() && *turn && groups_.IsDue(2));
  EXPECT_EQ(out_, (std::vector<uint64_t>{10, 11}));
  assistant.join();
}

TEST_F(SharedGroupsTest, NoTurnIsAwaitedBehindAReturnedGroup) {
  BehindAnAssistant();
  groups_.Return(1, /*alone=*/true);
  groups_.Leave();
  const auto turn = groups_.AwaitTurn(2, budget_, [](const Answer&) { return OkStatus(); });
  EXPECT_TRUE(turn.ok() && !*turn);
}

TEST_F(SharedGroupsTest, NothingFreshIsTakenWhileMuchIsHeld) {
  ASSERT_TRUE(groups_.Join());
  EXPECT_EQ(Take(), 0);
  ASSERT_EQ(groups_.TakeToHelp()->index, 1U);
  groups_.Give(1, {.batches = {}, .bytes = kHeld + 1, .explain = {}});
  EXPECT_FALSE(groups_.TakeToHelp().has_value());
  groups_.Leave();
  groups_.Give(0, Rows(10));
  EXPECT_EQ(Take(), 2) << "once these are out";
  EXPECT_EQ(out_.size(), 2U);
}

TEST_F(SharedGroupsTest, AnErrorOfTheSinkEndsIt) {
  EXPECT_EQ(Take(), 0);
  groups_.Give(0, Rows(10));
  EXPECT_EQ(Take(Unavailable("the client left")), -2);
  EXPECT_EQ(failed_.code(), absl::StatusCode::kUnavailable);
}

TEST_F(SharedGroupsTest, CloseWaitsForAssistants) {
  ASSERT_TRUE(groups_.Join());
  std::atomic<bool> left = false;
  std::thread assistant([&] {
    while (!groups_.stopped()) std::this_thread::yield();
    left = true;
    groups_.Leave();
  });
  groups_.Close();
  EXPECT_TRUE(left);
  assistant.join();
  EXPECT_FALSE(groups_.Join()) << "one that comes later touches nothing";
}

TEST_F(SharedGroupsTest, TheDeadlineHoldsWhileItWaits) {
  ASSERT_TRUE(groups_.Join());
  EXPECT_EQ(Take(), 0);
  groups_.Give(0, Rows(10));
  while (groups_.TakeToHelp().has_value()) {
  }
  const Budget over(&env::SystemClock(), Duration::Millis(1), 1 << 20);
  const auto group = groups_.Take(over, [](const Answer&) { return OkStatus(); });
  EXPECT_EQ(group.status().code(), absl::StatusCode::kDeadlineExceeded);
  groups_.Leave();
}

TEST(AddToTest, SeamsOfATableAndShardAreOne) {
  Explain all;
  all.seams.push_back({ShardId(0), "quotes", Lsn(5), Lsn(3), Timestamp(10)});
  all.rows_hot = 1;
  Explain more;
  more.seams.push_back({ShardId(0), "quotes", Lsn(5), Lsn(3), Timestamp(20)});
  more.seams.push_back({ShardId(1), "quotes", Lsn(7), Lsn(3), Timestamp(5)});
  more.rows_hot = 2;
  more.compute = Duration(9);
  AddTo(&all, more);
  ASSERT_EQ(all.seams.size(), 2U);
  EXPECT_EQ(all.seams[0].floor, Timestamp(20));
  EXPECT_EQ(all.rows_hot, 3U);
  EXPECT_EQ(all.compute, Duration(9));
}

}  // namespace
}  // namespace proxist::query::internal
