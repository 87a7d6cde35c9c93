// The language of predicates, computed columns and aggregates (grammar: docs/queries.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/exec/frame.h"
#include "proxist/exec/int128.h"

namespace proxist::exec {

inline constexpr size_t kMaxPredicateBytes = 64 << 10;
inline constexpr size_t kMaxPredicateDepth = 64;
/// Arithmetic operators and functions in one expression or comparison.
inline constexpr size_t kMaxScalarOperations = 1000;

/// A column that a predicate may name.
struct PredicateColumn {
  std::string name;  // empty: it cannot be named
  column::Type type;
  std::vector<std::string> aliases = {};  // other names, after the columns' own ones
};

/// Names in front of a table's own columns in the list given to Compile.
inline constexpr size_t kSymbolColumn = 0;
inline constexpr size_t kTsColumn = 1;
inline constexpr size_t kSeqColumn = 2;
inline constexpr size_t kFirstTableColumn = 3;

/// The rows that a predicate reads. `slots[c - kFirstTableColumn]` is where in frame->columns the
/// c-th column given to Compile stands, or -1 when the predicate does not use it.
struct PredicateInput {
  const Frame* frame = nullptr;
  uint32_t symbol = 0;  // of every row
  Symbols* symbols = nullptr;
  std::span<const int> slots;
};

/// What a value of one column must fulfil; null does not.
struct ColumnCondition {
  size_t column = 0;  // of those given to Compile
  /// Integers, decimals (without their scale), timestamps and bools: in [low, high], or with
  /// `outside` not in it.
  Int128 low = 0;
  Int128 high = 0;
  bool outside = false;
  std::vector<std::string> texts;  // strings and symbols: one of these
  bool operator==(const ColumnCondition&) const = default;
};

/// A compiled predicate. Three-valued logic as in SQL: a comparison with null is unknown, and a row
/// is selected only when the whole is true. Immutable; any thread.
class Predicate {
 public:
  /// `columns` are symbol, ts, seq and then the table's. INVALID_ARGUMENT points at the character
  /// (from 1) and names what was expected; an unknown column lists those that exist.
  static StatusOr<Predicate> Compile(std::string_view text,
                                     std::span<const PredicateColumn> columns);
  ~Predicate();
  Predicate(Predicate&&) noexcept;
  Predicate& operator=(Predicate&&) noexcept;

  /// Indices into the columns given to Compile that are read, ascending.
  [[nodiscard]] const std::vector<size_t>& columns() const { return columns_; }
  /// Conditions that every selected row fulfils; perhaps not enough to be selected.
  [[nodiscard]] std::vector<ColumnCondition> NecessaryConditions() const;
  /// Appends the rows for which the predicate is true, ascending.
  void Select(const PredicateInput& input, std::vector<uint32_t>* rows) const;

  struct Node;

 private:
  Predicate();
  std::unique_ptr<const Node> root_;
  std::vector<size_t> columns_;
};

/// A name or a call in an expression, for the caller to resolve.
struct CallSyntax {
  std::string name;  // in lower case unless quoted
  size_t at = 0;     // of its first character, from 1
  bool has_arguments = false;
  /// Each argument's text, after as many blanks as stand before it in the whole text, so that
  /// errors point at its characters.
  std::vector<std::string> arguments;
};

/// A compiled value: columns, numbers, + - * /, abs sqrt ln exp. Null when an operand is null, a
/// divisor is 0, or an integer or decimal does not fit its type. Immutable; any thread.
class Expression {
 public:
  /// Over `columns`, as Predicate::Compile takes them. A trailing "as NAME" names it. Errors as
  /// there.
  static StatusOr<Expression> Compile(std::string_view text,
                                      std::span<const PredicateColumn> columns);
  using Resolve = std::function<StatusOr<column::Type>(const CallSyntax&)>;
  /// Over what calls give: `resolve` is asked for the type of each name and of each call that is
  /// no scalar function, in the order of the text; the k-th of them is frame column k of what
  /// EvaluateCalls gets.
  static StatusOr<Expression> CompileCalls(std::string_view text, const Resolve& resolve);
  ~Expression();
  Expression(Expression&&) noexcept;
  Expression& operator=(Expression&&) noexcept;

  /// The name after "as"; else the text without blanks.
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] column::Type type() const;
  /// Indices into the columns given to Compile that are read, ascending.
  [[nodiscard]] const std::vector<size_t>& columns() const { return columns_; }
  /// Which column (of those given to Compile, or call) this is and nothing more.
  [[nodiscard]] std::optional<size_t> plain() const;
  /// One value for each row of the input.
  [[nodiscard]] Column Evaluate(const PredicateInput& input) const;
  /// One value for each row of `calls`.
  [[nodiscard]] Column EvaluateCalls(const std::vector<Column>& calls, size_t rows) const;

  struct Scalar;

 private:
  Expression();
  std::unique_ptr<const Scalar> root_;
  std::string name_;
  std::vector<size_t> columns_;
};

}  // namespace proxist::exec
