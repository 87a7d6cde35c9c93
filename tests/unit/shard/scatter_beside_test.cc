// Rows that are scattered beside their write are visible when they are acked, and not before.
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/shard/shard_fixture.h"

namespace proxist::shard {
namespace {

using ScatterBesideTest = ShardFixture;

TEST_F(ScatterBesideTest, LargeGroupsAreVisibleWhenTheyAreAcked) {
  uint64_t seq = 1;
  std::vector<std::pair<int64_t, uint64_t>> expected;
  const auto rows = [&](size_t count) {
    const auto first = static_cast<int64_t>(seq);
    for (size_t i = 0; i < count; ++i) expected.emplace_back(kStartNs + first + i, seq + i);
    seq += count;
    return Rows(count, kStartNs + first, seq - count);
  };
  uint64_t number = 0;
  for (const size_t count : {3, 1000, 255, 2, 3000}) {
    ASSERT_TRUE(Send("p", ++number, rows(count)).status.ok());
    EXPECT_EQ(Visible(), expected);
  }
  // Several batches of a group, a repeated one among them.
  Ack acks[4];
  std::vector<Write> writes;
  for (size_t i = 0; i < 3; ++i) writes.push_back(WriteOf("p", ++number, rows(200), &acks[i]));
  writes.push_back(WriteOf("p", number, Rows(200, kStartNs, 1), &acks[3]));
  EXPECT_EQ(shard_->Commit(writes), 4u);
  EXPECT_TRUE(acks[3].duplicate);
  EXPECT_EQ(Visible(), expected);
  EXPECT_EQ(shard_->Stats().rows, expected.size());

  files_.wait_error = Unavailable("the disk is gone");
  EXPECT_TRUE(absl::IsUnavailable(
      Send("p", number + 1, Rows(1000, kStartNs + static_cast<int64_t>(seq), seq)).status));
  EXPECT_EQ(Visible(), expected) << "rows of a failed write are never visible";
  files_.wait_error = OkStatus();
  ASSERT_TRUE(Reopen().ok());
  ASSERT_TRUE(Send("p", number + 1, rows(1000)).status.ok());
  EXPECT_EQ(Visible(), expected);
}

}  // namespace
}  // namespace proxist::shard
