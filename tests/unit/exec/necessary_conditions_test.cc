// Conditions that follow from a predicate, and never more than follow.
#include <gtest/gtest.h>

#include "proxist/exec/expression.h"

namespace proxist::exec {
namespace {

using column::TypeKind;

std::vector<ColumnCondition> ConditionsOf(std::string_view text) {
  const std::vector<PredicateColumn> columns = {
      {"symbol", {TypeKind::kSymbol, 0}}, {"ts", {TypeKind::kTimestamp, 0}},
      {"seq", {TypeKind::kUint64, 0}},    {"price", {TypeKind::kDecimal, 2}},
      {"size", {TypeKind::kInt32, 0}},    {"venue", {TypeKind::kSymbol, 0}},
      {"x", {TypeKind::kFloat64, 0}},     {"open", {TypeKind::kBool, 0}}};
  const StatusOr<Predicate> predicate = Predicate::Compile(text, columns);
  EXPECT_EQ(predicate.status(), OkStatus()) << text;
  return predicate.ok() ? predicate->NecessaryConditions() : std::vector<ColumnCondition>();
}

constexpr Int128 kFar = static_cast<Int128>(1) << 100;

TEST(NecessaryConditions, ComparisonsWithLiteralsAreRanges) {
  EXPECT_EQ(ConditionsOf("price >= 1.25"),
            (std::vector<ColumnCondition>{{3, 125, kFar, false, {}}}));
  // Between two multiples of the column's scale nothing is lost.
  EXPECT_EQ(ConditionsOf("price < 1.255"),
            (std::vector<ColumnCondition>{{3, -kFar, 125, false, {}}}));
  EXPECT_EQ(ConditionsOf("size != 7"), (std::vector<ColumnCondition>{{4, 7, 7, true, {}}}));
  EXPECT_EQ(ConditionsOf("venue = 'P'"), (std::vector<ColumnCondition>{{5, 0, 0, false, {"P"}}}));
  EXPECT_EQ(ConditionsOf("venue in ('P', 'Q')"),
            (std::vector<ColumnCondition>{{5, 0, 0, false, {"P", "Q"}}}));
}

TEST(NecessaryConditions, PartsOfAConjunctionAreTakenAlone) {
  EXPECT_EQ(ConditionsOf("size > 1 and x > 0.5 and (venue = 'P' or price > 1)"),
            (std::vector<ColumnCondition>{{4, 2, kFar, false, {}}}));
}

TEST(NecessaryConditions, NothingFollowsFromWhatIsNotUnderstood) {
  for (const char* text :
       {"size > 1 or price > 1", "not (size > 1)", "x > 1", "venue > 'P'", "not (venue = 'P')",
        "price is null", "size > price", "size * 2 > 4", "symbol = 'A'", "seq > 3", "open",
        "venue is not null", "venue not in ('P')"}) {
    EXPECT_TRUE(ConditionsOf(text).empty()) << text;
  }
}

}  // namespace
}  // namespace proxist::exec
