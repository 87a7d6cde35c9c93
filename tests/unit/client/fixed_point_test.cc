// Exact decimal text.
#include "proxist/client/internal/fixed_point.h"

#include <limits>

#include <gtest/gtest.h>

namespace proxist::client {
namespace {

constexpr int64_t kUnset = -77;

struct Parsed {
  NumberFault fault;
  int64_t value;
  bool operator==(const Parsed&) const = default;
};
Parsed Parse(std::string_view text, unsigned scale) {
  int64_t value = kUnset;
  const NumberFault fault = ParseFixedPoint(text, scale, &value);
  return {fault, value};
}
Parsed Value(int64_t value) { return {NumberFault::kNone, value}; }
Parsed Fault(NumberFault fault) { return {fault, kUnset}; }

TEST(FixedPoint, Exact) {
  EXPECT_EQ(Parse("47.5", 4), Value(475000));
  EXPECT_EQ(Parse("47.50000000000000000000000", 4), Value(475000));
  EXPECT_EQ(Parse("-0.0001", 4), Value(-1));
  EXPECT_EQ(Parse("+7", 0), Value(7));
  EXPECT_EQ(Parse(".5", 1), Value(5));
  EXPECT_EQ(Parse("5.", 1), Value(50));
  EXPECT_EQ(Parse("000000000000000000000000000012", 0), Value(12));
  EXPECT_EQ(Parse("1.5", 6), Value(1500000));
}

TEST(FixedPoint, Limits) {
  EXPECT_EQ(Parse("9223372036854775807", 0), Value(std::numeric_limits<int64_t>::max()));
  EXPECT_EQ(Parse("-9223372036854775808", 0), Value(std::numeric_limits<int64_t>::min()));
  EXPECT_EQ(Parse("-9.223372036854775808", 18), Value(std::numeric_limits<int64_t>::min()));
  EXPECT_EQ(Parse("9223372036854775808", 0), Fault(NumberFault::kTooLarge));
  EXPECT_EQ(Parse("922337203685477581", 1 + 1), Fault(NumberFault::kTooLarge));
  EXPECT_EQ(Parse("99999999999999999999999999", 0), Fault(NumberFault::kTooLarge));
}

TEST(FixedPoint, NeverRounds) {
  EXPECT_EQ(Parse("0.00005", 4), Fault(NumberFault::kTooFine));
  EXPECT_EQ(Parse("1.0000000001", 9), Fault(NumberFault::kTooFine));
  EXPECT_EQ(Parse("1.5", 0), Fault(NumberFault::kTooFine));
}

TEST(FixedPoint, RefusesWhatIsNoNumber) {
  for (const std::string_view text :
       {"", "-", "+", ".", "-.", "1e5", " 1", "1 ", "1,5", "0x1", "--1", "1.2.3", "1-", "nan"}) {
    EXPECT_EQ(Parse(text, 4), Fault(NumberFault::kNotANumber)) << text;
  }
  EXPECT_EQ(Parse(std::string_view("1\0", 2), 4), Fault(NumberFault::kNotANumber));
}

TEST(FixedPoint, RescalesExactly) {
  int64_t out = 0;
  EXPECT_EQ(Rescale(475000, 4, 2, &out), NumberFault::kNone);
  EXPECT_EQ(out, 4750);
  EXPECT_EQ(Rescale(-475, 4, 6, &out), NumberFault::kNone);
  EXPECT_EQ(out, -47500);
  EXPECT_EQ(Rescale(475001, 4, 2, &out), NumberFault::kTooFine);
  EXPECT_EQ(Rescale(std::numeric_limits<int64_t>::max(), 0, 1, &out), NumberFault::kTooLarge);
  EXPECT_EQ(Rescale(std::numeric_limits<int64_t>::min(), 3, 3, &out), NumberFault::kNone);
  EXPECT_EQ(out, std::numeric_limits<int64_t>::min());
}

TEST(FixedPoint, QuotesTextForErrors) {
  EXPECT_EQ(Quoted("ab c"), "'ab c'");
  EXPECT_EQ(Quoted(std::string_view("a\0\n\xff", 4)), "'a\\x00\\x0a\\xff'");
  EXPECT_EQ(Quoted(std::string(100, 'x')), "'" + std::string(40, 'x') + "'... (100 bytes)");
}

}  // namespace
}  // namespace proxist::client
