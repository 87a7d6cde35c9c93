// Reads the values that predicates compare and expressions give: columns, literals, arithmetic.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/exec/internal/lexer.h"
#include "proxist/exec/internal/predicate_node.h"

namespace proxist::exec::internal {

/// A column, a literal, or something computed.
struct Operand {
  std::optional<size_t> column;
  TokenKind kind = TokenKind::kEnd;  // of a literal: number, text, or name (true, false)
  std::string text;
  bool negative = false;
  size_t at = 0;
  std::optional<Expression::Scalar> scalar;
};

/// Recursive descent over tokens; types are checked as values are made. One use.
class OperandParser {
 public:
  /// `text` is what the tokens were made of. `resolve`: null, or asked instead of `columns`.
  OperandParser(std::string_view text, std::vector<Token> tokens,
                std::span<const PredicateColumn> columns, const Expression::Resolve* resolve,
                std::vector<bool>* used)
      : text_(text),
        tokens_(std::move(tokens)),
        columns_(columns),
        resolve_(resolve),
        used_(used) {}

 protected:
  [[nodiscard]] const Token& Now() const { return tokens_[next_]; }
  void Skip() { ++next_; }
  [[nodiscard]] bool IsWord(std::string_view word) const {
    return Now().kind == TokenKind::kName && Now().text == word;
  }
  [[nodiscard]] bool IsOperator(std::string_view text) const {
    return Now().kind == TokenKind::kOperator && Now().text == text;
  }
  bool TakeWord(std::string_view word);
  bool TakeOperator(std::string_view text);
  /// "expected X, got Y" at the token that stands there.
  [[nodiscard]] Status Expected(std::string_view what) const;
  /// The token after the parenthesis that closes the one that stands there.
  [[nodiscard]] const Token& AfterParenthesis() const;
  [[nodiscard]] const PredicateColumn& Column(size_t index) const { return columns_[index]; }

  /// A sum of products of columns, numbers, functions and parentheses; or one text, true or false.
  StatusOr<Operand> TakeOperand(size_t depth);
  /// The operand as a value of each row. INVALID_ARGUMENT for text, true and false.
  StatusOr<Expression::Scalar> ScalarOf(Operand operand) const;

 private:
  using Scalar = Expression::Scalar;
  StatusOr<Operand> TakeChain(bool sum, size_t depth);
  StatusOr<Operand> TakeFactor(size_t depth);
  StatusOr<Operand> TakePrimary(size_t depth);
  StatusOr<Operand> TakeName();
  StatusOr<Operand> TakeFunction(Scalar::Kind kind, size_t depth);
  StatusOr<Operand> TakeResolved();
  Status TakeArguments(CallSyntax* call);
  StatusOr<Scalar> Apply(Scalar::Kind kind, Operand operand);
  StatusOr<Scalar> Combine(Scalar::Kind kind, size_t at, Operand left, Operand right);
  Status CountOperation(size_t at);
  [[nodiscard]] Status UnknownColumn(const Token& token) const;
  /// What errors call an operand.
  struct Place {
    size_t at;
    std::string name;
  };
  [[nodiscard]] Place PlaceOf(const Operand& operand) const;
  static Status NotANumber(const Place& place, column::Type type);

  std::string_view text_;
  std::vector<Token> tokens_;
  std::span<const PredicateColumn> columns_;
  const Expression::Resolve* resolve_;
  std::vector<bool>* used_;
  size_t next_ = 0;
  size_t operations_ = 0;
  std::vector<column::Type> resolved_;  // of calls, in order
};

}  // namespace proxist::exec::internal
