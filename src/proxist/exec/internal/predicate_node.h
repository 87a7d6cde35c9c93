// A compiled predicate as a tree, typed.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/exec/expression.h"
#include "proxist/exec/internal/number_literal.h"

namespace proxist::exec {

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
  std::vector<Literal> literals;
};

namespace internal {

/// Adds the columns that are read to `used` (by index into `columns`).
StatusOr<Predicate::Node> ParsePredicate(std::string_view text,
                                         std::span<const PredicateColumn> columns,
                                         std::vector<bool>* used);

/// 0 false, 1 unknown, 2 true, for each row of the input.
std::vector<uint8_t> Evaluate(const Predicate::Node& node, const PredicateInput& input);

}  // namespace internal
}  // namespace proxist::exec
