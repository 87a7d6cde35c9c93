// Who takes which group of symbols, and in which order answers go out.
#include "proxist/query/internal/shared_groups.h"

#include <atomic>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "proxist/env/clock.h"

namespace proxist::query::internal {
namespace {

using Answer = SharedGroups::Answer;

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

  const std::vector<QuerySymbol> symbols_ = Symbols(10);
  SharedGroups groups_{symbols_, 4};
  Budget budget_{&env::SystemClock(), Duration::Seconds(60), 1 << 20};
  std::vector<uint64_t> out_;
  Status failed_;
};

TEST_F(SharedGroupsTest, AnswersGoOutInOrderWhoeverGaveThem) {
  ASSERT_TRUE(groups_.Join());
  EXPECT_EQ(groups_.TakeToHelp()->symbols.size(), 4U);
  EXPECT_EQ(Take(), 1);
  groups_.Give(1, Rows(11));
  const auto last = groups_.TakeToHelp();
  EXPECT_EQ(last->index, 2U);
  EXPECT_EQ(last->symbols.size(), 2U);
  EXPECT_FALSE(groups_.TakeToHelp().has_value());
  EXPECT_TRUE(out_.empty());
  groups_.Give(2, Rows(12));
  std::thread assistant([&] {
    groups_.Give(0, Rows(10));
    groups_.Leave();
  });
  EXPECT_EQ(Take(), -1) << "waits for the assistant's group";
  EXPECT_EQ(out_, (std::vector<uint64_t>{10, 11, 12}));
  assistant.join();
  groups_.Close();
}

TEST_F(SharedGroupsTest, WhatAnAssistantReturnsIsTheQuerysOwn) {
  ASSERT_TRUE(groups_.Join());
  EXPECT_EQ(groups_.TakeToHelp()->index, 0U);
  groups_.Return(0, /*alone=*/false);
  EXPECT_EQ(groups_.TakeToHelp()->index, 1U) << "the others may still be helped with";
  groups_.Return(1, /*alone=*/true);
  EXPECT_FALSE(groups_.TakeToHelp().has_value());
  EXPECT_TRUE(groups_.stopped());
  groups_.Leave();
  EXPECT_FALSE(groups_.Join());
  EXPECT_EQ(Take(), 1);
  groups_.Give(1, Rows(11));
  EXPECT_EQ(Take(), 0);
  groups_.Give(0, Rows(10));
  EXPECT_EQ(Take(), 2);
  groups_.Give(2, Rows(12));
  EXPECT_EQ(Take(), -1);
  EXPECT_EQ(out_, (std::vector<uint64_t>{10, 11, 12}));
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
