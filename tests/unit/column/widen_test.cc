// Which types widen, and that every value stays what it was.
#include "proxist/column/widen.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace proxist::column {
namespace {

constexpr TypeKind kIntegers[] = {TypeKind::kInt8,   TypeKind::kInt16, TypeKind::kInt32,
                                  TypeKind::kInt64,  TypeKind::kUint8, TypeKind::kUint16,
                                  TypeKind::kUint32, TypeKind::kUint64};

bool IsSigned(TypeKind kind) { return kind <= TypeKind::kInt64; }

/// The least and greatest value, as far as int64 holds them.
std::pair<int64_t, int64_t> RangeOf(TypeKind kind) {
  const auto bits = static_cast<int>(WidthOf(kind) * 8);
  if (IsSigned(kind)) {
    const int64_t most = std::numeric_limits<int64_t>::max() >> (64 - bits);
    return {-most - 1, most};
  }
  if (bits == 64) return {0, std::numeric_limits<int64_t>::max()};
  return {0, (int64_t{1} << bits) - 1};
}

TEST(Widens, ExactlyWhereAllValuesHaveAPlace) {
  for (const TypeKind from : kIntegers) {
    for (const TypeKind to : kIntegers) {
      const bool fits = from != to && WidthOf(to) > WidthOf(from) &&
                        RangeOf(to).first <= RangeOf(from).first &&
                        RangeOf(to).second >= RangeOf(from).second;
      EXPECT_EQ(Widens({from}, {to}), fits) << FormatType({from}) << " to " << FormatType({to});
      if (from == to || fits) continue;
      EXPECT_FALSE(WhyNotWiden({from}, {to}).empty());
    }
  }
  EXPECT_TRUE(Widens({TypeKind::kFloat32}, {TypeKind::kFloat64}));
  for (const auto& [from, to] :
       std::vector<std::pair<Type, Type>>{{{TypeKind::kFloat64}, {TypeKind::kFloat32}},
                                          {{TypeKind::kInt32}, {TypeKind::kFloat64}},
                                          {{TypeKind::kBool}, {TypeKind::kInt8}},
                                          {{TypeKind::kSymbol}, {TypeKind::kString}},
                                          {{TypeKind::kInt64}, {TypeKind::kTimestamp}},
                                          {{TypeKind::kDecimal, 2}, {TypeKind::kDecimal, 4}},
                                          {{TypeKind::kInt64}, {TypeKind::kDecimal, 0}}}) {
    EXPECT_FALSE(Widens(from, to)) << FormatType(from) << " to " << FormatType(to);
    EXPECT_FALSE(WhyNotWiden(from, to).empty());
  }
}

TEST(ConvertValues, IntegersThereAndBack) {
  for (const TypeKind from : kIntegers) {
    for (const TypeKind to : kIntegers) {
      if (!Widens({from}, {to})) continue;
      const auto [least, most] = RangeOf(from);
      const std::vector<int64_t> values = {least, most, 0, 1, least / 2, most / 2};
      std::vector<std::byte> narrow(values.size() * WidthOf(from));
      for (size_t i = 0; i < values.size(); ++i) {
        std::memcpy(narrow.data() + i * WidthOf(from), &values[i], WidthOf(from));
      }
      std::vector<std::byte> wide(values.size() * WidthOf(to) + 1);
      std::vector<std::byte> back(narrow.size());
      ConvertValues(from, narrow.data(), values.size(), to, wide.data() + 1);
      ConvertValues(to, wide.data() + 1, values.size(), from, back.data());
      EXPECT_EQ(back, narrow);
      for (size_t i = 0; i < values.size(); ++i) {
        int64_t got = 0;
        std::memcpy(&got, wide.data() + 1 + i * WidthOf(to), WidthOf(to));
        const int shift = 64 - static_cast<int>(WidthOf(to) * 8);
        if (IsSigned(to)) got = static_cast<int64_t>(static_cast<uint64_t>(got) << shift) >> shift;
        EXPECT_EQ(got, values[i]);
      }
    }
  }
}

TEST(ConvertValues, FloatsKeepTheirBits) {
  const std::vector<float> values = {0.0F,
                                     -0.0F,
                                     0.1F,
                                     std::numeric_limits<float>::denorm_min(),
                                     -INFINITY,
                                     NAN,
                                     std::numeric_limits<float>::max()};
  std::vector<double> wide(values.size());
  std::vector<float> back(values.size());
  ConvertValues(TypeKind::kFloat32, reinterpret_cast<const std::byte*>(values.data()),
                values.size(), TypeKind::kFloat64, reinterpret_cast<std::byte*>(wide.data()));
  ConvertValues(TypeKind::kFloat64, reinterpret_cast<const std::byte*>(wide.data()), values.size(),
                TypeKind::kFloat32, reinterpret_cast<std::byte*>(back.data()));
  EXPECT_EQ(std::memcmp(values.data(), back.data(), values.size() * sizeof(float)), 0);
  EXPECT_EQ(wide[2], static_cast<double>(0.1F));
  EXPECT_TRUE(std::signbit(wide[1]));
}

TEST(Widen, ABatchOfAnEarlierVersion) {
  TableSchema schema;
  schema.name = "t";
  schema.columns = {{ColumnId(1), "venue", {TypeKind::kSymbol}, false},
                    {ColumnId(2), "size", {TypeKind::kInt16}, true},
                    {ColumnId(3), "note", {TypeKind::kString}, true}};
  BatchBuilder builder(std::make_shared<const TableSchema>(schema));
  for (int64_t row = 0; row < 3; ++row) {
    builder.AddRow("A", Timestamp(row), static_cast<uint64_t>(row));
    builder.SetText(0, "P");
    if (row != 1) builder.SetInt(1, -7 * row);
    builder.SetText(2, "note");
  }
  const Batch narrow = builder.Build();
  EXPECT_FALSE(IsNarrower(narrow, schema));
  schema.columns[1].type = {TypeKind::kInt64};
  schema.columns.push_back({ColumnId(4), "more", {TypeKind::kInt8}, true});
  ASSERT_TRUE(IsNarrower(narrow, schema));
  const Batch wide = Widen(narrow, schema);
  EXPECT_FALSE(IsNarrower(wide, schema));
  ASSERT_EQ(wide.columns.size(), 3U);
  EXPECT_EQ(wide.columns[1].At<int64_t>(0), 0);
  EXPECT_FALSE(wide.columns[1].IsValid(1));
  EXPECT_EQ(wide.columns[1].At<int64_t>(2), -14);
  EXPECT_EQ(wide.columns[2].TextAt(2), "note");
}

}  // namespace
}  // namespace proxist::column
