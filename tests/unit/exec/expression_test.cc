// The predicate language: values, nulls, exactness, errors.
#include "proxist/exec/expression.h"

#include <limits>
#include <optional>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace proxist::exec {
namespace {

using column::Type;
using column::TypeKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::vector<PredicateColumn> kColumns = {
    {"symbol", {TypeKind::kSymbol, 0}}, {"ts", {TypeKind::kTimestamp, 0}},
    {"seq", {TypeKind::kUint64, 0}},    {"price", {TypeKind::kDecimal, 4}},
    {"size", {TypeKind::kInt64, 0}},    {"weight", {TypeKind::kFloat64, 0}},
    {"venue", {TypeKind::kSymbol, 0}},  {"note", {TypeKind::kString, 0}},
    {"flag", {TypeKind::kBool, 0}},     {"small", {TypeKind::kInt8, 0}},
    {"fee", {TypeKind::kDecimal, 2}},   {"big", {TypeKind::kUint64, 0}},
    {"ratio", {TypeKind::kFloat32, 0}}, {"sent", {TypeKind::kTimestamp, 0}},
    {"in", {TypeKind::kInt64, 0}},
};

/// Rows 0..3 of all columns; row 3 is null everywhere.
class PredicateTest : public ::testing::Test {
 protected:
  PredicateTest() : symbols_(nullptr) {
    frame_.ts = {10, 20, 30, 40};
    frame_.seq = {1, 2, 3, std::numeric_limits<uint64_t>::max()};
    for (size_t c = kFirstTableColumn; c < kColumns.size(); ++c) {
      slots_.push_back(static_cast<int>(frame_.columns.size()));
      frame_.columns.emplace_back(kColumns[c].type);
    }
    Fill<int64_t>("price", {475000, 475001, -5});
    Fill<int64_t>("size", {1, 100, std::numeric_limits<int64_t>::max()});
    Fill<double>("weight", {0.5, std::numeric_limits<double>::quiet_NaN(), 9007199254740992.0});
    Fill<uint32_t>("venue", {symbols_.Code("P"), symbols_.Code("Q"), symbols_.Code("P")});
    Fill<std::string_view>("note", {"it's", "", "z"});
    Fill<uint8_t>("flag", {1, 0, 1});
    Fill<int8_t>("small", {-128, 0, 127});
    Fill<int64_t>("fee", {4750, 4751, -1});
    Fill<uint64_t>("big", {0, 9007199254740993, std::numeric_limits<uint64_t>::max()});
    Fill<float>("ratio", {0.5F, 0.1F, -1});
    Fill<int64_t>("sent", {0, 1381327200000000000, 20});
    Fill<int64_t>("in", {7, 8, 9});
    symbol_ = symbols_.Code("AIG");
  }

  template <typename T>
  void Fill(std::string_view name, std::initializer_list<T> values) {
    for (size_t c = kFirstTableColumn; c < kColumns.size(); ++c) {
      if (kColumns[c].name != name) continue;
      Column& column = frame_.columns[c - kFirstTableColumn];
      for (const T value : values) column.Append(value);
      column.AppendNull();
    }
  }

  std::vector<uint32_t> Select(std::string_view text) {
    const StatusOr<Predicate> predicate = Predicate::Compile(text, kColumns);
    EXPECT_TRUE(predicate.ok()) << text << ": " << predicate.status().ToString();
    std::vector<uint32_t> rows;
    if (!predicate.ok()) return {99};
    predicate->Select({&frame_, symbol_, &symbols_, slots_}, &rows);
    return rows;
  }
  static std::string Error(std::string_view text) {
    const StatusOr<Predicate> predicate = Predicate::Compile(text, kColumns);
    EXPECT_EQ(predicate.status().code(), absl::StatusCode::kInvalidArgument) << text;
    return std::string(Message(predicate.status()));
  }

  Symbols symbols_;
  Frame frame_;
  std::vector<int> slots_;
  uint32_t symbol_ = 0;
};

TEST_F(PredicateTest, ComparesDecimalsExactly) {
  EXPECT_THAT(Select("price = 47.5"), ElementsAre(0));
  EXPECT_THAT(Select("price > 47.5"), ElementsAre(1));
  EXPECT_THAT(Select("price >= 47.50005"), ElementsAre(1));
  EXPECT_THAT(Select("price < 47.50005"), ElementsAre(0, 2));
  EXPECT_THAT(Select("price <= 47.50005"), ElementsAre(0, 2));
  EXPECT_THAT(Select("price = 47.50005"), IsEmpty());
  EXPECT_THAT(Select("price <> 47.50005"), ElementsAre(0, 1, 2));
  EXPECT_THAT(Select("price = 4.75e1"), ElementsAre(0));
  EXPECT_THAT(Select("price > -0.00051"), ElementsAre(0, 1, 2));
  EXPECT_THAT(Select("price < -0.00049"), ElementsAre(2));
  EXPECT_THAT(Select("price > -0.00049"), ElementsAre(0, 1));
  EXPECT_THAT(Select("price < 1e30"), ElementsAre(0, 1, 2));
  EXPECT_THAT(Select("price > -1e300"), ElementsAre(0, 1, 2));
  EXPECT_THAT(Select("47.5 < price"), ElementsAre(1));
}

TEST_F(PredicateTest, KeepsIntegersOutOfFloats) {
  EXPECT_THAT(Select("size = 9223372036854775807"), ElementsAre(2));
  EXPECT_THAT(Select("size > 9223372036854775806"), ElementsAre(2));
  EXPECT_THAT(Select("size < 9223372036854775808"), ElementsAre(0, 1, 2));
  EXPECT_THAT(Select("seq = 18446744073709551615"), ElementsAre(3));
  EXPECT_THAT(Select("big = 9007199254740993"), ElementsAre(1));
  EXPECT_THAT(Select("big > 9007199254740992"), ElementsAre(1, 2));
  EXPECT_THAT(Select("big >= -1"), ElementsAre(0, 1, 2));
  EXPECT_THAT(Select("small = -128"), ElementsAre(0));
  EXPECT_THAT(Select("small < 300"), ElementsAre(0, 1, 2));
  EXPECT_THAT(Select("small > 300"), IsEmpty());
  EXPECT_THAT(Select("small <> 300"), ElementsAre(0, 1, 2));
  EXPECT_THAT(Select("size >= 1.5"), ElementsAre(1, 2));
  EXPECT_THAT(Select("weight < big"), ElementsAre(2));
  EXPECT_THAT(Select("big > weight"), ElementsAre(2));
}

TEST_F(PredicateTest, ComparesColumnsOfUnlikeScales) {
  EXPECT_THAT(Select("price = fee"), ElementsAre(0));
  EXPECT_THAT(Select("price > fee"), ElementsAre(2));
  EXPECT_THAT(Select("price < fee"), ElementsAre(1));
  EXPECT_THAT(Select("price < size"), ElementsAre(1, 2));
  EXPECT_THAT(Select("ts > sent"), ElementsAre(0, 2));
  EXPECT_THAT(Select("ratio = weight"), ElementsAre(0));
  EXPECT_THAT(Select("venue <= note"), ElementsAre(0, 2));
}

TEST_F(PredicateTest, TreatsNanAndNullAsSqlDoes) {
  EXPECT_THAT(Select("weight = weight"), ElementsAre(0, 2));
  EXPECT_THAT(Select("weight <> weight"), ElementsAre(1));
  EXPECT_THAT(Select("weight > 0"), ElementsAre(0, 2));
  EXPECT_THAT(Select("not weight > 0"), ElementsAre(1));
  EXPECT_THAT(Select("weight != 0.5"), ElementsAre(1, 2));
  EXPECT_THAT(Select("size is null"), ElementsAre(3));
  EXPECT_THAT(Select("size is not null"), ElementsAre(0, 1, 2));
  EXPECT_THAT(Select("ts is null"), IsEmpty());
  EXPECT_THAT(Select("not (size > 1)"), ElementsAre(0));
  EXPECT_THAT(Select("size > 1 or true"), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(Select("size > 1 or ts > 0"), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(Select("size > 1 and ts > 0"), ElementsAre(1, 2));
  EXPECT_THAT(Select("not (size > 1 and ts < 0)"), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(Select("size not in (1, 100)"), ElementsAre(2));
  EXPECT_THAT(Select("flag"), ElementsAre(0, 2));
  EXPECT_THAT(Select("not flag"), ElementsAre(1));
  EXPECT_THAT(Select("flag = false"), ElementsAre(1));
  EXPECT_THAT(Select("flag in (true)"), ElementsAre(0, 2));
}

TEST_F(PredicateTest, ComparesTextAndTimes) {
  EXPECT_THAT(Select("venue = 'P'"), ElementsAre(0, 2));
  EXPECT_THAT(Select("venue <> 'P'"), ElementsAre(1));
  EXPECT_THAT(Select("venue = 'never seen'"), IsEmpty());
  EXPECT_THAT(Select("venue > 'P'"), ElementsAre(1));
  EXPECT_THAT(Select("venue in ('Q','X')"), ElementsAre(1));
  EXPECT_THAT(Select("venue not in ('Q','X')"), ElementsAre(0, 2));
  EXPECT_THAT(Select("symbol = 'AIG'"), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(Select("symbol <> 'AIG'"), IsEmpty());
  EXPECT_THAT(Select("note = 'it''s'"), ElementsAre(0));
  EXPECT_THAT(Select("note in ('', 'z')"), ElementsAre(1, 2));
  EXPECT_THAT(Select("note >= 'it'"), ElementsAre(0, 2));
  EXPECT_THAT(Select("sent = '2013-10-09T10:00:00-04:00'"), ElementsAre(1));
  EXPECT_THAT(Select("sent <= 20"), ElementsAre(0, 2));
  EXPECT_THAT(Select("ts between 20 and 30"), ElementsAre(1, 2));
  EXPECT_THAT(Select("ts not between 20 and 30"), ElementsAre(0, 3));
  EXPECT_THAT(Select("ts BETWEEN 20 AND 30 AND NOT size = 100"), ElementsAre(2));
}

TEST_F(PredicateTest, ReadsKeywordsAsColumnsInDoubleQuotes) {
  EXPECT_THAT(Select("\"in\" in (7, 9)"), ElementsAre(0, 2));
}

TEST_F(PredicateTest, BindsNotThenAndThenOr) {
  EXPECT_THAT(Select("ts = 10 or ts = 20 and size = 1"), ElementsAre(0));
  EXPECT_THAT(Select("(ts = 10 or ts = 20) and size = 100"), ElementsAre(1));
  EXPECT_THAT(Select("not ts = 10 and ts = 20"), ElementsAre(1));
}

TEST_F(PredicateTest, NamesTheColumnsItReads) {
  const StatusOr<Predicate> predicate =
      Predicate::Compile("venue = 'P' and ts > 3 and (size > 1 or size < 0)", kColumns);
  ASSERT_TRUE(predicate.ok());
  EXPECT_THAT(predicate->columns(), ElementsAre(1, 4, 6));
}

TEST_F(PredicateTest, PointsAtWhatIsWrong) {
  EXPECT_THAT(Error("price >"), HasSubstr("at character 8: expected a column or a literal"));
  EXPECT_THAT(
      Error("bid > 0"),
      HasSubstr("at character 1: there is no column 'bid'; there are symbol, ts, seq, price"));
  EXPECT_THAT(Error("price > 'x'"),
              HasSubstr("at character 9: price is decimal(4) and compares with a number"));
  EXPECT_THAT(Error("venue = 3"), HasSubstr("at character 9"));
  EXPECT_THAT(Error("venue = price"), HasSubstr("cannot compare"));
  EXPECT_THAT(Error("sent > 'yesterday'"), HasSubstr("at character 8"));
  EXPECT_THAT(Error("price = null"), HasSubstr("is null"));
  EXPECT_THAT(Error("price = 1 price"), HasSubstr("at character 11"));
  EXPECT_THAT(Error("(price = 1"), HasSubstr("expected ')'"));
  EXPECT_THAT(Error("venue = 'P"), HasSubstr("at character 9: the closing ' is missing"));
  EXPECT_THAT(Error("price"), HasSubstr("expected a comparison"));
  EXPECT_THAT(Error("1 = 1"), HasSubstr("needs a column"));
  EXPECT_THAT(Error("price in ()"), HasSubstr("at character 11"));
  EXPECT_THAT(Error("price in (size)"), HasSubstr("not columns"));
  EXPECT_THAT(Error("price = 1e"), HasSubstr("exponent"));
  EXPECT_THAT(Error("price = 1x"), HasSubstr("in a number"));
  EXPECT_THAT(Error("price = 1; drop"), HasSubstr("unexpected ';'"));
  EXPECT_THAT(Error("price = \x01"), HasSubstr("byte 0x01"));
  EXPECT_THAT(Error("price = 1234567890123456789012345678901234567"), HasSubstr("36 digits"));
  EXPECT_THAT(Error("price = 1e999"), HasSubstr("exponent"));
  EXPECT_THAT(Error(""), HasSubstr("the text ends"));
  EXPECT_THAT(Error(std::string(100000, ' ')), HasSubstr("bytes"));
  std::string deep(1000, '(');
  EXPECT_THAT(Error(deep), HasSubstr("nested deeper than 64"));
  std::string nots;
  for (int i = 0; i < 1000; ++i) nots += "not ";
  EXPECT_THAT(Error(nots + "flag"), HasSubstr("nested deeper than 64"));
}

TEST_F(PredicateTest, TakesLongFlatChains) {
  std::string text = "ts = 10";
  for (int i = 0; i < 5000; ++i) text += " or ts = 1";
  EXPECT_THAT(Select(text), ElementsAre(0));
}

// Random trees against a row-by-row evaluation written anew.
class RandomPredicate {
 public:
  explicit RandomPredicate(uint64_t seed) : random_(seed) {}
  struct Result {
    std::string text;
    std::vector<std::optional<bool>> truth;
  };
  Result Make(int depth, const std::vector<std::optional<int64_t>>& values) {
    const int kind = static_cast<int>(random_() % (depth > 0 ? 5 : 2));
    Result out;
    if (kind == 0) {
      const int64_t literal = static_cast<int64_t>(random_() % 5) - 2;
      const char* const ops[] = {"=", "<>", "<", "<=", ">", ">="};
      const size_t op = random_() % 6;
      out.text = fmt::format("size {} {}", ops[op], literal);
      for (const auto& v : values) {
        if (!v.has_value()) {
          out.truth.emplace_back();
          continue;
        }
        const bool results[] = {*v == literal, *v != literal,
                                *v<literal, *v <= literal, *v> literal, *v >= literal};
        out.truth.emplace_back(results[op]);
      }
    } else if (kind == 1) {
      out.text = "size is null";
      for (const auto& v : values) out.truth.emplace_back(!v.has_value());
    } else if (kind == 2) {
      const Result inner = Make(depth - 1, values);
      out.text = "not (" + inner.text + ")";
      for (const auto& t : inner.truth) {
        out.truth.push_back(t.has_value() ? std::optional<bool>(!*t) : std::nullopt);
      }
    } else {
      const Result a = Make(depth - 1, values);
      const Result b = Make(depth - 1, values);
      const bool both = kind == 3;
      out.text = "(" + a.text + (both ? ") and (" : ") or (") + b.text + ")";
      for (size_t i = 0; i < values.size(); ++i) {
        const auto x = a.truth[i];
        const auto y = b.truth[i];
        if (x == std::optional<bool>(!both) || y == std::optional<bool>(!both)) {
          out.truth.emplace_back(!both);
        } else if (!x.has_value() || !y.has_value()) {
          out.truth.emplace_back();
        } else {
          out.truth.emplace_back(both);
        }
      }
    }
    return out;
  }

 private:
  std::mt19937_64 random_;
};

TEST(RandomPredicateTest, AgreesWithRowByRowLogic) {
  const std::vector<PredicateColumn> columns(kColumns.begin(), kColumns.begin() + 5);
  std::vector<std::optional<int64_t>> values = {-3, -2, -1, 0, 1, 2, 3, std::nullopt};
  Frame frame;
  frame.columns.emplace_back(Type{TypeKind::kInt64, 0});
  for (size_t i = 0; i < values.size(); ++i) {
    frame.ts.push_back(0);
    frame.seq.push_back(i);
    if (values[i].has_value()) {
      frame.columns[0].Append(*values[i]);
    } else {
      frame.columns[0].AppendNull();
    }
  }
  Symbols symbols(nullptr);
  const std::vector<int> slots = {-1, 0};
  for (uint64_t seed = 0; seed < 500; ++seed) {
    const auto expected = RandomPredicate(seed).Make(4, values);
    const StatusOr<Predicate> predicate = Predicate::Compile(expected.text, columns);
    ASSERT_TRUE(predicate.ok()) << expected.text;
    std::vector<uint32_t> rows;
    predicate->Select({&frame, 0, &symbols, slots}, &rows);
    std::vector<uint32_t> wanted;
    for (uint32_t i = 0; i < values.size(); ++i) {
      if (expected.truth[i] == std::optional<bool>(true)) wanted.push_back(i);
    }
    EXPECT_EQ(rows, wanted) << expected.text;
  }
}

}  // namespace
}  // namespace proxist::exec
