// What a pool takes, refuses and finishes.
#include "proxist/env/work_pool.h"

#include <algorithm>
#include <atomic>
#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

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

TEST(WorkPool, ThreadsGiveWayAsAsked) {
  const int before = getpriority(PRIO_PROCESS, 0);
  std::promise<int> niceness;
  {
    WorkPool pool("queries", 1, 1, {.niceness = 3, .slice = Duration::Micros(100)});
    ASSERT_TRUE(pool.Submit([&] { niceness.set_value(getpriority(PRIO_PROCESS, gettid())); }).ok());
  }
  EXPECT_EQ(niceness.get_future().get(), std::min(before + 3, 19));
  EXPECT_EQ(getpriority(PRIO_PROCESS, 0), before) << "who made the pool keeps its share";
}

}  // namespace
}  // namespace proxist::env
