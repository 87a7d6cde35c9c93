// Listening addresses.
#include "proxist/server/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace proxist::server
