// Text forms of types, decimals and floats at their limits.
#include "proxist/column/type.h"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace proxist::column {
namespace {

using ::testing::HasSubstr;

std::vector<Type> AllTypes() {
  std::vector<Type> types;
  for (int kind = 1; kind <= 15; ++kind) {
    if (static_cast<TypeKind>(kind) != TypeKind::kDecimal) {
      types.push_back({static_cast<TypeKind>(kind)});
    }
  }
  for (uint8_t scale = 0; scale <= kMaxDecimalScale; ++scale) {
    types.push_back({TypeKind::kDecimal, scale});
  }
  return types;
}

TEST(TypeText, EveryTypeReadsBack) {
  for (const Type type : AllTypes()) {
    const auto parsed = ParseType(FormatType(type));
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, type);
  }
  EXPECT_EQ(FormatType({TypeKind::kDecimal, 4}), "decimal(4)");
  EXPECT_EQ(FormatType({TypeKind::kTimestamp}), "timestamp_ns");
}

TEST(TypeText, OthersAreRefused) {
  for (const char* text : {"", "int", "Int64", "int64 ", " int64", "decimal", "decimal()",
                           "decimal(19)", "decimal(-1)", "decimal(4", "decimal(4))", "decimal(300)",
                           "decimal(+4)", "decimal(4 )", "timestamp", "symbol\n"}) {
    const auto parsed = ParseType(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(Message(parsed.status())), HasSubstr(fmt::format("'{}'", text)));
  }
}

TEST(TypeWidth, MatchesTheBuffers) {
  EXPECT_EQ(WidthOf(TypeKind::kBool), 1u);
  EXPECT_EQ(WidthOf(TypeKind::kInt16), 2u);
  EXPECT_EQ(WidthOf(TypeKind::kFloat32), 4u);
  EXPECT_EQ(WidthOf(TypeKind::kSymbol), 4u);
  EXPECT_EQ(WidthOf(TypeKind::kDecimal), 8u);
  EXPECT_EQ(WidthOf(TypeKind::kString), 0u);
  EXPECT_EQ(WidthOf(static_cast<TypeKind>(99)), 0u);
}

TEST(Decimal, FormatsExactly) {
  EXPECT_EQ(FormatDecimal(475000, 4), "47.5000");
  EXPECT_EQ(FormatDecimal(0, 0), "0");
  EXPECT_EQ(FormatDecimal(0, 4), "0.0000");
  EXPECT_EQ(FormatDecimal(-1, 4), "-0.0001");
  EXPECT_EQ(FormatDecimal(-10000, 4), "-1.0000");
  EXPECT_EQ(FormatDecimal(kDecimalLimit - 1, 18), "0.999999999999999999");
  EXPECT_EQ(FormatDecimal(1 - kDecimalLimit, 0), "-999999999999999999");
  EXPECT_EQ(FormatDecimal(std::numeric_limits<int64_t>::min(), 0), "-9223372036854775808");
  EXPECT_EQ(FormatDecimal(std::numeric_limits<int64_t>::min(), 18), "-9.223372036854775808");
}

TEST(Decimal, ParsesExactly) {
  const auto value = [](std::string_view text, uint8_t scale) {
    const auto parsed = ParseDecimal(text, scale);
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    return parsed.value_or(-1);
  };
  EXPECT_EQ(value("47.5", 4), 475000);
  EXPECT_EQ(value("+47.5", 4), 475000);
  EXPECT_EQ(value("-0.0001", 4), -1);
  EXPECT_EQ(value(".5", 1), 5);
  EXPECT_EQ(value("5.", 1), 50);
  EXPECT_EQ(value("-0", 4), 0);
  EXPECT_EQ(value("1.23000000000000000000000", 2), 123);
  EXPECT_EQ(value("0000000000000000000000000000001", 0), 1);
  EXPECT_EQ(value("0", 18), 0);
  EXPECT_EQ(value("999999999999999999", 0), kDecimalLimit - 1);
  EXPECT_EQ(value("-999999999999999999", 0), 1 - kDecimalLimit);
  EXPECT_EQ(value("0.999999999999999999", 18), kDecimalLimit - 1);
  EXPECT_EQ(value("99999999999999.9999", 4), kDecimalLimit - 1);
}

TEST(Decimal, RefusesWhatWouldLose) {
  struct Case {
    const char* text;
    uint8_t scale;
    const char* reason;
  };
  for (const Case& c : {
           Case{"", 4, "no digits"},
           Case{"-", 4, "no digits"},
           Case{".", 4, "no digits"},
           Case{"+.", 4, "no digits"},
           Case{"1.23456", 4, "too many digits"},
           Case{"1.00001", 4, "too many digits"},
           Case{"1000000000000000000", 0, "10^18"},
           Case{"-1000000000000000000", 0, "10^18"},
           Case{"9999999999999999999", 0, "10^18"},
           Case{"99999999999999999.9", 2, "10^18"},
           Case{"1", 18, "10^18"},
           Case{"100000000000000", 4, "10^18"},
           Case{"99999999999999999999999999999999999999999", 0, "10^18"},
           Case{"1e5", 4, "only a sign"},
           Case{"1.2.3", 4, "only a sign"},
           Case{" 1", 4, "only a sign"},
           Case{"1 ", 4, "only a sign"},
           Case{"--1", 4, "only a sign"},
           Case{"1,5", 4, "only a sign"},
           Case{"nan", 4, "only a sign"},
       }) {
    const auto parsed = ParseDecimal(c.text, c.scale);
    ASSERT_FALSE(parsed.ok()) << c.text << " gave " << *parsed;
    EXPECT_THAT(std::string(Message(parsed.status())), HasSubstr(c.reason)) << c.text;
  }
}

TEST(Decimal, RandomValuesReadBack) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20000; ++i) {
    const int64_t value =
        static_cast<int64_t>(random() % (2 * uint64_t{kDecimalLimit} - 1)) - (kDecimalLimit - 1);
    const int64_t narrowed = value >> (random() % 60);
    const auto scale = static_cast<uint8_t>(random() % (kMaxDecimalScale + 1));
    const auto parsed = ParseDecimal(FormatDecimal(narrowed, scale), scale);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    ASSERT_EQ(*parsed, narrowed);
  }
}

TEST(Float, SpecialValues) {
  EXPECT_EQ(FormatFloat64(std::numeric_limits<double>::quiet_NaN()), "nan");
  EXPECT_EQ(FormatFloat64(std::copysign(std::numeric_limits<double>::quiet_NaN(), -1.0)), "nan");
  EXPECT_EQ(FormatFloat64(std::bit_cast<double>(0x7ff8dead'beef0001)), "nan");
  EXPECT_EQ(FormatFloat32(std::bit_cast<float>(0xffc00001u)), "nan");
  EXPECT_EQ(FormatFloat64(std::numeric_limits<double>::infinity()), "inf");
  EXPECT_EQ(FormatFloat64(-std::numeric_limits<double>::infinity()), "-inf");
  EXPECT_EQ(FormatFloat64(-0.0), "-0");
  EXPECT_EQ(FormatFloat64(0.1), "0.1");
  EXPECT_EQ(FormatFloat32(0.1F), "0.1");
  EXPECT_EQ(FormatFloat64(5e-324), "5e-324");
  EXPECT_EQ(FormatFloat64(std::numeric_limits<double>::max()), "1.7976931348623157e+308");
}

TEST(Float, ReadsBackBitIdentical) {
  std::mt19937_64 random(11);
  for (int i = 0; i < 50000; ++i) {
    uint64_t bits = random();
    if (i % 4 == 0) bits &= 0x800fffffffffffff;  // subnormals
    const auto value = std::bit_cast<double>(bits);
    if (!std::isfinite(value)) continue;
    const double back = std::strtod(FormatFloat64(value).c_str(), nullptr);
    ASSERT_EQ(std::bit_cast<uint64_t>(back), bits) << FormatFloat64(value);
    const auto narrow = std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (!std::isfinite(narrow)) continue;
    const float narrow_back = std::strtof(FormatFloat32(narrow).c_str(), nullptr);
    ASSERT_EQ(std::bit_cast<uint32_t>(narrow_back), static_cast<uint32_t>(bits));
  }
}

}  // namespace
}  // namespace proxist::column
