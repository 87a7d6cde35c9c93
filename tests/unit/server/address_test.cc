// Listening addresses and the bounded pool.
#include "proxist/server/address.h"

#include <atomic>
#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/server/work_pool.h"

namespace proxist::server {
namespace {

using testing::HasSubstr;

TEST(Address, ReadsAndWrites) {
  for (const char* text : {"127.0.0.1:7401", "localhost:0", "[::1]:65535"}) {
    const StatusOr<Address> address = ParseListenAddress(text);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(Format(*address), text);
  }
  for (const char* text :
       {"", ":", "7401", ":7401", "a:", "a:-1", "a:65536", "a:1x", "a:+1", "::1:80", "[]:80"}) {
    const Status status = ParseListenAddress(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(Message(status)), HasSubstr(fmt::format("\"{}\"", text)));
  }
}

TEST(Address, KnowsLoopback) {
  EXPECT_TRUE(*IsLoopback({"127.0.0.1", 1}));
  EXPECT_TRUE(*IsLoopback({"127.9.9.9", 1}));
  EXPECT_TRUE(*IsLoopback({"::1", 1}));
  EXPECT_TRUE(*IsLoopback({"localhost", 1}));
  EXPECT_FALSE(*IsLoopback({"0.0.0.0", 1}));
  EXPECT_FALSE(*IsLoopback({"::", 1}));
  EXPECT_FALSE(*IsLoopback({"10.0.0.1", 1}));
  EXPECT_EQ(IsLoopback({"no such host!", 1}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Address, OnesOfOtherMachinesCannotBeTaken) {
  EXPECT_THAT(CheckFree({"192.0.2.1", 9}, "--grpc").ToString(),
              HasSubstr("--grpc: 192.0.2.1:9 is not an address of this machine"));
  EXPECT_TRUE(CheckFree({"127.0.0.1", 0}, "--grpc").ok());
}

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
}  // namespace proxist::server
