// What is freed beside readers that load on, and beside those that have settled.
#include "proxist/hot/internal/epochs.h"

#include <atomic>
#include <cstdint>
#include <set>

#include <gtest/gtest.h>

namespace proxist::hot::internal {
namespace {

class EpochsTest : public testing::Test {
 protected:
  size_t Pin() {
    uint64_t cut = 0;
    return epochs_.Pin(published_, &cut);
  }
  /// Something that is made now, by its number.
  struct Made {
    int number;
    uint64_t epoch;
  };
  Made Make() { return {next_++, epochs_.current()}; }
  void Retire(const Made& made) {
    epochs_.Retire(
        [](void* freed, void* number) {
          static_cast<std::set<int>*>(freed)->insert(
              static_cast<int>(reinterpret_cast<intptr_t>(number)));
        },
        &freed_, reinterpret_cast<void*>(static_cast<intptr_t>(made.number)), made.epoch);
  }
  std::set<int> Reclaimed() {
    while (epochs_.Reclaim(1)) {
    }
    return freed_;
  }

  Epochs epochs_{4};
  std::atomic<uint64_t> published_{10};
  std::set<int> freed_;
  int next_ = 1;
};

TEST_F(EpochsTest, AReaderThatLoadsOnHoldsBackAllThatIsRetired) {
  const Made before = Make();
  const size_t slot = Pin();
  Retire(before);
  EXPECT_TRUE(Reclaimed().empty());
  const Made after = Make();
  Retire(after);
  EXPECT_TRUE(Reclaimed().empty());
  EXPECT_EQ(epochs_.waiting(), 2U);
  epochs_.Unpin(slot);
  EXPECT_EQ(Reclaimed(), (std::set{before.number, after.number}));
  EXPECT_EQ(epochs_.waiting(), 0U);
}

TEST_F(EpochsTest, ASettledReaderHoldsBackWhatThereWasAlone) {
  const Made before = Make();
  const size_t slot = Pin();
  const Made same_epoch = Make();
  epochs_.Settle(slot);
  epochs_.Advance();
  const Made after = Make();
  for (const Made& made : {before, same_epoch, after}) Retire(made);
  EXPECT_EQ(Reclaimed(), std::set{after.number});
  EXPECT_EQ(epochs_.waiting(), 2U);
  EXPECT_EQ(epochs_.LeastPinned(), UINT64_MAX);
  epochs_.Unpin(slot);
  EXPECT_EQ(Reclaimed(), (std::set{before.number, same_epoch.number, after.number}));
}

TEST_F(EpochsTest, BesideASettledReaderOthersHoldBackWhatTheyMay) {
  const Made before = Make();
  const size_t settled = Pin();
  epochs_.Settle(settled);
  epochs_.Advance();
  const Made after = Make();
  const size_t loading = Pin();
  Retire(before);
  Retire(after);
  EXPECT_TRUE(Reclaimed().empty());
  epochs_.Unpin(loading);
  EXPECT_EQ(Reclaimed(), std::set{after.number});
  // Whoever pins now does not see it, and whoever settles later does not hold it.
  const size_t later = Pin();
  epochs_.Settle(later);
  epochs_.Unpin(settled);
  EXPECT_EQ(Reclaimed(), (std::set{after.number, before.number}));
  epochs_.Unpin(later);
}

TEST_F(EpochsTest, TwoSettledReadersHoldBackWhatEitherHas) {
  const Made first = Make();
  const size_t early = Pin();
  epochs_.Settle(early);
  epochs_.Advance();
  const Made second = Make();
  const size_t late = Pin();
  epochs_.Settle(late);
  epochs_.Advance();
  const Made third = Make();
  for (const Made& made : {first, second, third}) Retire(made);
  EXPECT_EQ(Reclaimed(), std::set{third.number});
  epochs_.Unpin(early);
  EXPECT_EQ(Reclaimed(), std::set{third.number}) << "both were there when the late one pinned";
  epochs_.Unpin(late);
  EXPECT_EQ(Reclaimed(), (std::set{first.number, second.number, third.number}));
}

TEST_F(EpochsTest, ASettledReadersCutHoldsNobodyBack) {
  const size_t settled = Pin();
  epochs_.Settle(settled);
  published_ = 20;
  EXPECT_EQ(epochs_.LeastCut(20), 20U);
  const size_t loading = Pin();
  published_ = 30;
  EXPECT_EQ(epochs_.LeastCut(30), 20U);
  epochs_.Unpin(settled);
  epochs_.Unpin(loading);
  // A slot's next owner has not settled.
  const size_t next = Pin();
  EXPECT_EQ(next, settled);
  published_ = 40;
  EXPECT_EQ(epochs_.LeastCut(40), 30U);
  epochs_.Unpin(next);
}

}  // namespace
}  // namespace proxist::hot::internal
