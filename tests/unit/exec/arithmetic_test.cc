// Arithmetic of the expression language: types, exactness, nulls, names, calls, errors.
#include <limits>
#include <optional>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/exec/expression.h"

namespace proxist::exec {
namespace {

using column::Type;
using column::TypeKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<PredicateColumn> kColumns = {
    {"symbol", {TypeKind::kSymbol, 0}}, {"ts", {TypeKind::kTimestamp, 0}},
    {"seq", {TypeKind::kUint64, 0}},    {"i", {TypeKind::kInt64, 0}},
    {"d", {TypeKind::kDecimal, 4}},     {"e", {TypeKind::kDecimal, 2}},
    {"f", {TypeKind::kFloat64, 0}},     {"r", {TypeKind::kFloat32, 0}},
    {"u", {TypeKind::kUint64, 0}},      {"sent", {TypeKind::kTimestamp, 0}},
    {"venue", {TypeKind::kSymbol, 0}},  {"flag", {TypeKind::kBool, 0}},
};

/// Rows 0..2; row 2 is null everywhere.
class ArithmeticTest : public ::testing::Test {
 protected:
  ArithmeticTest() : symbols_(nullptr) {
    frame_.ts = {100, 250, 300};
    frame_.seq = {1, 2, 3};
    for (size_t c = kFirstTableColumn; c < kColumns.size(); ++c) {
      slots_.push_back(static_cast<int>(frame_.columns.size()));
      frame_.columns.emplace_back(kColumns[c].type);
    }
    Fill<int64_t>("i", {7, -2});
    Fill<int64_t>("d", {1'0001, -5'0000});
    Fill<int64_t>("e", {1'50, 2'25});
    Fill<double>("f", {0.5, -1e300});
    Fill<float>("r", {0.1F, 2});
    Fill<uint64_t>("u", {3, std::numeric_limits<uint64_t>::max()});
    Fill<int64_t>("sent", {40, 260});
    Fill<uint32_t>("venue", {symbols_.Code("P"), symbols_.Code("Q")});
    Fill<uint8_t>("flag", {1, 0});
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

  [[nodiscard]] PredicateInput Input() { return {&frame_, symbols_.Code("S"), &symbols_, slots_}; }

  static std::string TextAt(const Column& column, size_t row) {
    if (!column.IsValid(row)) return "null";
    switch (column.type().kind) {
      case TypeKind::kFloat64:
        return column::FormatFloat64(column.data<double>()[row]);
      case TypeKind::kFloat32:
        return column::FormatFloat32(column.data<float>()[row]);
      case TypeKind::kDecimal:
        return column::FormatDecimal(column.data<int64_t>()[row], column.type().scale);
      case TypeKind::kSymbol:
        return fmt::format("code {}", column.data<uint32_t>()[row]);
      default:
        return std::to_string(column.data<int64_t>()[row]);
    }
  }

  /// The type and the values of the rows.
  std::vector<std::string> Values(std::string_view text) {
    const StatusOr<Expression> expression = Expression::Compile(text, kColumns);
    EXPECT_TRUE(expression.ok()) << text << ": " << expression.status().ToString();
    if (!expression.ok()) return {};
    const Column column = expression->Evaluate(Input());
    EXPECT_EQ(column.type(), expression->type());
    std::vector<std::string> out = {column::FormatType(expression->type())};
    for (size_t row = 0; row < column.rows(); ++row) out.push_back(TextAt(column, row));
    return out;
  }
  std::vector<uint32_t> Select(std::string_view text) {
    const StatusOr<Predicate> predicate = Predicate::Compile(text, kColumns);
    EXPECT_TRUE(predicate.ok()) << text << ": " << predicate.status().ToString();
    std::vector<uint32_t> rows;
    if (predicate.ok()) predicate->Select(Input(), &rows);
    return rows;
  }
  static std::string Error(std::string_view text) {
    const StatusOr<Expression> expression = Expression::Compile(text, kColumns);
    EXPECT_EQ(expression.status().code(), absl::StatusCode::kInvalidArgument) << text;
    return std::string(Message(expression.status()));
  }

  Symbols symbols_;
  Frame frame_;
  std::vector<int> slots_;
};

TEST_F(ArithmeticTest, WholeNumbersStayExact) {
  EXPECT_THAT(Values("i + 1"), ElementsAre("int64", "8", "-1", "null"));
  EXPECT_THAT(Values("i - 10 * i"), ElementsAre("int64", "-63", "18", "null"));
  EXPECT_THAT(Values("-i"), ElementsAre("int64", "-7", "2", "null"));
  EXPECT_THAT(Values("- -i"), ElementsAre("int64", "7", "-2", "null"));
  EXPECT_THAT(Values("abs(i)"), ElementsAre("int64", "7", "2", "null"));
  EXPECT_THAT(Values("d + e"), ElementsAre("decimal(4)", "2.5001", "-2.7500", "null"));
  EXPECT_THAT(Values("e - d"), ElementsAre("decimal(4)", "0.4999", "7.2500", "null"));
  EXPECT_THAT(Values("d * i"), ElementsAre("decimal(4)", "7.0007", "10.0000", "null"));
  EXPECT_THAT(Values("d + 0.00001"), ElementsAre("decimal(5)", "1.00011", "-4.99999", "null"));
  EXPECT_THAT(Values("i + 1e3"), ElementsAre("int64", "1007", "998", "null"));
  EXPECT_THAT(Values("u + 0"), ElementsAre("int64", "3", "null", "null"));
}

TEST_F(ArithmeticTest, DivisionAndFloatsAreFloat64) {
  EXPECT_THAT(Values("i / 2"), ElementsAre("float64", "3.5", "-1", "null"));
  EXPECT_THAT(Values("(d + e) / 2"), ElementsAre("float64", "1.25005", "-1.375", "null"));
  EXPECT_THAT(Values("e / d"), ElementsAre("float64", "1.4998500149985001", "-0.45", "null"));
  EXPECT_THAT(Values("d * e"), ElementsAre("float64", "1.50015", "-11.25", "null"));
  EXPECT_THAT(Values("f * 0.1"), ElementsAre("float64", "0.05", "-1e+299", "null"));
  EXPECT_THAT(Values("r + 0"), ElementsAre("float64", "0.10000000149011612", "2", "null"));
  EXPECT_THAT(Values("f * 1e300"), ElementsAre("float64", "5e+299", "-inf", "null"));
  EXPECT_THAT(Values("sqrt(e + d)"), ElementsAre("float64", "1.58117045254457", "nan", "null"));
  EXPECT_THAT(Values("ln(i)"), ElementsAre("float64", "1.9459101490553132", "nan", "null"));
  EXPECT_THAT(Values("exp(i - 7)"), ElementsAre("float64", "1", "0.00012340980408667956", "null"));
}

TEST_F(ArithmeticTest, WhatDoesNotFitIsNull) {
  EXPECT_THAT(Values("i * 9223372036854775807"), ElementsAre("int64", "null", "null", "null"));
  EXPECT_THAT(Values("i / 0"), ElementsAre("float64", "null", "null", "null"));
  EXPECT_THAT(Values("f / (i - 7)"),
              ElementsAre("float64", "null", "1.1111111111111112e+299", "null"));
  EXPECT_THAT(Values("f / 0"), ElementsAre("float64", "null", "null", "null"));
  EXPECT_THAT(Values("d * 900000000000000"), ElementsAre("decimal(4)", "null", "null", "null"));
}

TEST_F(ArithmeticTest, PrecedenceIsTheUsualOne) {
  EXPECT_THAT(Values("1 + 2 * i"), ElementsAre("int64", "15", "-3", "null"));
  EXPECT_THAT(Values("(1 + 2) * i"), ElementsAre("int64", "21", "-6", "null"));
  EXPECT_THAT(Values("10 - i - 1"), ElementsAre("int64", "2", "11", "null"));
  EXPECT_THAT(Values("14 / i / 2"), ElementsAre("float64", "1", "-3.5", "null"));
  EXPECT_THAT(Values("-i * 2"), ElementsAre("int64", "-14", "4", "null"));
  EXPECT_THAT(Values("i-1"), ElementsAre("int64", "6", "-3", "null"));
  EXPECT_THAT(Values("((i))"), ElementsAre("int64", "7", "-2", "null"));
  EXPECT_THAT(Values("1 + 1"), ElementsAre("int64", "2", "2", "2"));
}

TEST_F(ArithmeticTest, TimesHaveDistances) {
  EXPECT_THAT(Values("ts - sent"), ElementsAre("int64", "60", "-10", "null"));
  EXPECT_THAT(Values("sent + 5"), ElementsAre("timestamp_ns", "45", "265", "null"));
  EXPECT_THAT(Values("5 + sent"), ElementsAre("timestamp_ns", "45", "265", "null"));
  EXPECT_THAT(Values("sent - i"), ElementsAre("timestamp_ns", "33", "262", "null"));
  EXPECT_THAT(Error("ts + sent"), HasSubstr("at character 4: times may be subtracted"));
  EXPECT_THAT(Error("5 - sent"), HasSubstr("at character 3: times"));
  EXPECT_THAT(Error("sent * 2"), HasSubstr("times"));
}

TEST_F(ArithmeticTest, ColumnsStandForThemselves) {
  EXPECT_THAT(Values("venue"), ElementsAre("symbol", "code " + std::to_string(symbols_.Code("P")),
                                           "code " + std::to_string(symbols_.Code("Q")), "null"));
  EXPECT_THAT(Values("r"), ElementsAre("float32", "0.1", "2", "null"));
  const auto plain = Expression::Compile(" d as price", kColumns);
  EXPECT_EQ(plain->plain(), 4u);
  EXPECT_EQ(plain->name(), "price");
  EXPECT_THAT(plain->columns(), ElementsAre(4));
  const auto sum = Expression::Compile("d + e * i", kColumns);
  EXPECT_EQ(sum->plain(), std::nullopt);
  EXPECT_EQ(sum->name(), "d+e*i");
  EXPECT_THAT(sum->columns(), ElementsAre(3, 4, 5));
}

TEST_F(ArithmeticTest, PredicatesCompareWhatIsComputed) {
  EXPECT_THAT(Select("i * 2 = 14"), ElementsAre(0));
  EXPECT_THAT(Select("14 = i * 2"), ElementsAre(0));
  EXPECT_THAT(Select("(d + e) / 2 > 1.25"), ElementsAre(0));
  EXPECT_THAT(Select("d + e > e + e"), testing::IsEmpty());
  EXPECT_THAT(Select("d + 0.4999 = e"), ElementsAre(0));
  EXPECT_THAT(Select("ts - sent < 0"), ElementsAre(1));
  EXPECT_THAT(Select("sent + 10 > '1970-01-01T00:00:00.000000050'"), ElementsAre(1));
  EXPECT_THAT(Select("i + 1 is null"), ElementsAre(2));
  EXPECT_THAT(Select("i / 0 is null"), ElementsAre(0, 1, 2));
  EXPECT_THAT(Select("i + 1 between -1 and 8"), ElementsAre(0, 1));
  EXPECT_THAT(Select("i + 1 not between 0 and 8"), ElementsAre(1));
  EXPECT_THAT(Select("not (i + 1) > 0"), ElementsAre(1));
  EXPECT_THAT(Select("((i) > 0 and (i + 1) * 2 > 15)"), ElementsAre(0));
  EXPECT_THAT(Select("(flag)"), ElementsAre(0));
  EXPECT_THAT(Select("(abs(i) = 2) or (sqrt(f) > 0.7)"), ElementsAre(0, 1));
}

TEST_F(ArithmeticTest, ErrorsPointAtTheCharacter) {
  EXPECT_THAT(Error("i +"), HasSubstr("at character 4: expected a column or a literal, but"));
  EXPECT_THAT(Error("i + + "), HasSubstr("but the text ends"));
  EXPECT_THAT(Error("i 2"), HasSubstr("at character 3: expected an operator, 'as' or the end"));
  EXPECT_THAT(Error("(i"), HasSubstr("at character 3: expected ')'"));
  EXPECT_THAT(Error("i + venue"), HasSubstr("at character 5: venue is symbol, not a number"));
  EXPECT_THAT(Error("abs(flag)"), HasSubstr("at character 5: flag is bool, not a number"));
  EXPECT_THAT(Error("i + 'a'"), HasSubstr("at character 5: expected a number, got 'a'"));
  EXPECT_THAT(Error("i + nix"), HasSubstr("at character 5: there is no column 'nix'"));
  EXPECT_THAT(Error("i(2)"), HasSubstr("at character 2: i is a column, not a function"));
  EXPECT_THAT(Error("i as"), HasSubstr("expected a name after 'as'"));
  EXPECT_THAT(Error("i as a b"), HasSubstr("at character 8: expected an operator"));
  EXPECT_THAT(Error("'a'"), HasSubstr("expected a number"));
  EXPECT_THAT(Error("i > 2"), HasSubstr("at character 3: expected an operator"));
  EXPECT_THAT(Error("-'a'"), HasSubstr("at character 2: expected a number"));
}

TEST_F(ArithmeticTest, SizeIsBounded) {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "(";
  EXPECT_THAT(Error(deep + "i"), HasSubstr("nested deeper than 64"));
  std::string signs;
  for (int i = 0; i < 100; ++i) signs += "- ";
  EXPECT_THAT(Error(signs + "i"), HasSubstr("nested deeper than 64"));
  std::string calls;
  for (int i = 0; i < 100; ++i) calls += "abs(";
  EXPECT_THAT(Error(calls + "i"), HasSubstr("nested deeper than 64"));
  std::string sum = "i";
  for (size_t i = 0; i < kMaxScalarOperations; ++i) sum += "+1";
  EXPECT_THAT(Values(sum), ElementsAre("int64", "1007", "998", "null"));
  EXPECT_THAT(Error(sum + "+1"), HasSubstr("more than 1000 operations"));
  EXPECT_THAT(Error(std::string(kMaxPredicateBytes + 1, ' ')), HasSubstr("at most 65536 bytes"));
}

TEST_F(ArithmeticTest, CallsAreResolvedByTheCaller) {
  std::vector<CallSyntax> calls;
  const auto resolve = [&](const CallSyntax& call) -> StatusOr<Type> {
    calls.push_back(call);
    if (call.name == "bad") return InvalidArgument("no such call");
    return Type{TypeKind::kInt64, 0};
  };
  const auto made =
      Expression::CompileCalls("sum(price * (a, 'x,)'), 2) / count + abs(now()) as X1", resolve);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->name(), "x1");
  ASSERT_EQ(calls.size(), 3u);
  EXPECT_EQ(calls[0].name, "sum");
  EXPECT_EQ(calls[0].at, 1u);
  EXPECT_TRUE(calls[0].has_arguments);
  EXPECT_THAT(calls[0].arguments,
              ElementsAre("    price * (a, 'x,)')", std::string(23, ' ') + " 2"));
  EXPECT_EQ(calls[1].name, "count");
  EXPECT_FALSE(calls[1].has_arguments);
  EXPECT_EQ(calls[2].name, "now");
  EXPECT_TRUE(calls[2].has_arguments);
  EXPECT_TRUE(calls[2].arguments.empty());
  std::vector<Column> columns;
  for (const int64_t value : {10, 4, -2}) {
    columns.emplace_back(Type{TypeKind::kInt64, 0}).Append(value);
  }
  EXPECT_EQ(TextAt(made->EvaluateCalls(columns, 1), 0), "4.5");
  EXPECT_EQ(made->plain(), std::nullopt);
  EXPECT_NE(Expression::CompileCalls("sum(x)", resolve)->plain(), std::nullopt);
  EXPECT_THAT(std::string(Message(Expression::CompileCalls("1 + bad(2)", resolve).status())),
              HasSubstr("no such call"));
  EXPECT_THAT(std::string(Message(Expression::CompileCalls("sum(2", resolve).status())),
              HasSubstr("at character 6: expected ')'"));
}

/// Random sums and products of two columns against plain 128-bit arithmetic.
class RandomArithmetic {
 public:
  __extension__ using Wide = __int128;
  explicit RandomArithmetic(uint64_t seed) : random_(seed) {}
  struct Result {
    std::string text;
    std::vector<std::optional<int64_t>> values;
  };
  Result Make(int depth, const Result& a, const Result& b) {
    const size_t kind = random_() % (depth > 0 ? 6 : 3);
    if (kind == 0) return a;
    if (kind == 1) return b;
    if (kind == 2) {
      const auto literal = static_cast<int64_t>(random_() % 1000);
      return {std::to_string(literal),
              std::vector<std::optional<int64_t>>(a.values.size(), literal)};
    }
    const Result x = Make(depth - 1, a, b);
    const Result y = Make(depth - 1, a, b);
    Result out;
    out.text = fmt::format("({}{}{})", x.text, "+-*"[kind - 3], y.text);
    for (size_t i = 0; i < x.values.size(); ++i) {
      out.values.emplace_back();
      if (!x.values[i].has_value() || !y.values[i].has_value()) continue;
      const Wide p = *x.values[i];
      const Wide q = *y.values[i];
      const Wide value = kind == 3 ? p + q : kind == 4 ? p - q : p * q;
      if (value >= INT64_MIN && value <= INT64_MAX) out.values.back() = static_cast<int64_t>(value);
    }
    return out;
  }

 private:
  std::mt19937_64 random_;
};

TEST(RandomArithmeticTest, AgreesWithPlainArithmetic) {
  const std::vector<PredicateColumn> columns = {kColumns[0],
                                                kColumns[1],
                                                kColumns[2],
                                                {"a", {TypeKind::kInt64, 0}},
                                                {"b", {TypeKind::kInt64, 0}}};
  RandomArithmetic::Result a{"a", {0, -3, 1'000'000, INT64_MAX, INT64_MIN, std::nullopt, 5}};
  RandomArithmetic::Result b{"b", {2, 7, -4'000'000'000, 1, -1, 4, std::nullopt}};
  Frame frame;
  frame.ts.resize(a.values.size());
  frame.seq.resize(a.values.size());
  for (const auto* source : {&a, &b}) {
    Column& column = frame.columns.emplace_back(Type{TypeKind::kInt64, 0});
    for (const auto& value : source->values) {
      if (value.has_value()) {
        column.Append(*value);
      } else {
        column.AppendNull();
      }
    }
  }
  Symbols symbols(nullptr);
  const std::vector<int> slots = {0, 1};
  for (uint64_t seed = 0; seed < 500; ++seed) {
    const auto expected = RandomArithmetic(seed).Make(4, a, b);
    const StatusOr<Expression> expression = Expression::Compile(expected.text, columns);
    ASSERT_TRUE(expression.ok()) << expected.text << expression.status();
    const Column got = expression->Evaluate({&frame, 0, &symbols, slots});
    for (size_t row = 0; row < expected.values.size(); ++row) {
      const std::optional<int64_t> value =
          got.IsValid(row) ? std::optional(got.data<int64_t>()[row]) : std::nullopt;
      EXPECT_EQ(value, expected.values[row]) << expected.text << " row " << row;
    }
  }
}

}  // namespace
}  // namespace proxist::exec
