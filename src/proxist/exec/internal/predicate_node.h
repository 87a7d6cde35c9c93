// Compiled predicates and expressions as typed trees.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/exec/expression.h"
#include "proxist/exec/internal/number_literal.h"

namespace proxist::exec {

/// A value of each row.
struct Expression::Scalar {
  enum class Kind : uint8_t {
    kColumn,
    kInteger,  // a literal: int64, or a decimal
    kReal,     // a literal
    kNegate,
    kAdd,
    kSubtract,
    kMultiply,
    kDivide,
    kAbs,
    kSqrt,
    kLn,
    kExp,
  };
  Kind kind = Kind::kReal;
  column::Type type;
  size_t column = 0;
  int64_t integer = 0;
  double real = 0;  // of kInteger as well
  std::vector<Scalar> children;
};

struct Predicate::Node {
  enum class Kind : uint8_t {
    kAnd,
    kOr,
    kNot,
    kConstant,        // constant
    kTrueColumn,      // a bool column by itself
    kIsNull,          // column is null
    kCompareLiteral,  // column op literal
    kCompareColumns,  // column op other
    kIn,              // column equals one of the literals
  };
  enum class Op : uint8_t { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual };

  /// A literal in the form its column compares with.
  struct Literal {
    internal::Threshold threshold;  // integers, decimals, timestamps, bools; at the column's scale
    double real = 0;                // float columns
    std::string text;               // strings and symbols
  };

  Kind kind = Kind::kConstant;
  std::vector<Node> children;
  bool constant = false;
  size_t column = 0;
  column::Type type;
  Op op = Op::kEqual;
  size_t other = 0;
  column::Type other_type;
  /// Stands in `column` and `other` for the next of `scalars`.
  static constexpr size_t kComputed = SIZE_MAX;
  std::vector<Expression::Scalar> scalars;
  std::vector<Literal> literals;
};

namespace internal {

/// Adds the columns that are read to `used` (by index into `columns`).
StatusOr<Predicate::Node> ParsePredicate(std::string_view text,
                                         std::span<const PredicateColumn> columns,
                                         std::vector<bool>* used);

/// An expression with its name; `resolve` (may be null) as in Expression::CompileCalls.
struct NamedScalar {
  Expression::Scalar root;
  std::string name;
};
StatusOr<NamedScalar> ParseExpression(std::string_view text,
                                      std::span<const PredicateColumn> columns,
                                      const Expression::Resolve* resolve, std::vector<bool>* used);

/// 0 false, 1 unknown, 2 true, for each row of the input.
std::vector<uint8_t> Evaluate(const Predicate::Node& node, const PredicateInput& input);

/// As Predicate::NecessaryConditions.
std::vector<ColumnCondition> ConditionsOf(const Predicate::Node& node);

/// The value of each row.
Column EvaluateScalar(const Expression::Scalar& scalar, const PredicateInput& input);

/// The input's column of this index, of symbol, ts and seq a copy kept in `copy`.
const Column& InputColumn(const PredicateInput& input, size_t column, Column* copy);

}  // namespace internal
}  // namespace proxist::exec
