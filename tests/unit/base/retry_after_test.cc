// A pause travels with the status that asks for it.
#include "proxist/base/retry_after.h"

#include <gtest/gtest.h>

namespace proxist {
namespace {

TEST(RetryAfterTest, TravelsWithTheStatus) {
  const Status plain = ResourceExhausted("full");
  EXPECT_EQ(RetryAfter(plain), std::nullopt);
  EXPECT_EQ(RetryAfter(OkStatus()), std::nullopt);
  const Status paused = WithRetryAfter(plain, Duration::Millis(1500));
  EXPECT_EQ(paused.code(), plain.code());
  EXPECT_EQ(Message(paused), "full");
  EXPECT_EQ(RetryAfter(paused), Duration::Millis(1500));
}

}  // namespace
}  // namespace proxist
