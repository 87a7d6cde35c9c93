// What a pool takes, refuses and finishes.
#include "proxist/env/work_pool.h"

#include <atomic>
#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace proxist::env {
namespace {

using testing::HasSubstr;

TEST(WorkPool, RefusesBeyondItsQueue) {
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  std::promise<void> started;
  std::atomic<int> ran{0};
  {
    WorkPool pool("queries", 1, 2);
    ASSERT_TRUE(pool.Submit([&] {
                      started.set_value();
                      released.wait();
                      ++ran;
                    })
                    .ok());
    started.get_future().wait();
    EXPECT_TRUE(pool.Submit([&] { ++ran; }).ok());
    EXPECT_TRUE(pool.Submit([&] { ++ran; }).ok());
    const Status full = pool.Submit([&] { ran += 100; });
    EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(full.ToString(), HasSubstr("1 queries run and 2 wait already; retry after"));
    release.set_value();
  }
  EXPECT_EQ(ran, 3) << "what was taken runs before the pool ends";
}

}  // namespace
}  // namespace proxist::env
