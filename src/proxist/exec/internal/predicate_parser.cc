// Recursive descent over the tokens; types are checked as nodes are made.
#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "proxist/base/time.h"
#include "proxist/exec/internal/lexer.h"
#include "proxist/exec/internal/predicate_node.h"

namespace proxist::exec::internal {
namespace {

using column::TypeKind;
using Node = Predicate::Node;

constexpr std::array<std::string_view, 9> kKeywords = {"and",     "or",   "not",  "in",   "is",
                                                       "between", "null", "true", "false"};

/// One side of a comparison: a column or a literal.
struct Operand {
  std::optional<size_t> column;
  TokenKind kind = TokenKind::kEnd;  // of a literal: number, text, or name (true, false)
  std::string text;
  bool negative = false;
  size_t at = 0;
};

Node::Op Flip(Node::Op op) {
  switch (op) {
    case Node::Op::kLess:
      return Node::Op::kGreater;
    case Node::Op::kLessEqual:
      return Node::Op::kGreaterEqual;
    case Node::Op::kGreater:
      return Node::Op::kLess;
    case Node::Op::kGreaterEqual:
      return Node::Op::kLessEqual;
    default:
      return op;
  }
}

std::optional<Node::Op> ComparisonOf(const Token& token) {
  if (token.kind != TokenKind::kOperator) return std::nullopt;
  if (token.text == "=") return Node::Op::kEqual;
  if (token.text == "<>") return Node::Op::kNotEqual;
  if (token.text == "<") return Node::Op::kLess;
  if (token.text == "<=") return Node::Op::kLessEqual;
  if (token.text == ">") return Node::Op::kGreater;
  if (token.text == ">=") return Node::Op::kGreaterEqual;
  return std::nullopt;
}

class Parser {
 public:
  Parser(std::vector<Token> tokens, std::span<const PredicateColumn> columns,
         std::vector<bool>* used)
      : tokens_(std::move(tokens)), columns_(columns), used_(used) {}

  StatusOr<Node> Run() {
    PX_ASSIGN_OR_RETURN(Node root, Disjunction(0));
    if (Now().kind != TokenKind::kEnd) return Expected("'and', 'or' or the end");
    return root;
  }

 private:
  [[nodiscard]] const Token& Now() const { return tokens_[next_]; }
  [[nodiscard]] bool IsWord(std::string_view word) const {
    return Now().kind == TokenKind::kName && Now().text == word;
  }
  [[nodiscard]] bool IsOperator(std::string_view text) const {
    return Now().kind == TokenKind::kOperator && Now().text == text;
  }
  bool TakeWord(std::string_view word) {
    if (!IsWord(word)) return false;
    ++next_;
    return true;
  }
  bool TakeOperator(std::string_view text) {
    if (!IsOperator(text)) return false;
    ++next_;
    return true;
  }
  [[nodiscard]] Status Expected(std::string_view what) const {
    const Token& token = Now();
    if (token.kind == TokenKind::kEnd) {
      return ErrorAt(token.at, fmt::format("expected {}, but the predicate ends", what));
    }
    return ErrorAt(token.at, fmt::format("expected {}, got '{}'", what, token.text));
  }

  StatusOr<Node> Joined(Node::Kind kind, std::string_view word, size_t depth) {
    const auto part = [&] {
      return kind == Node::Kind::kOr ? Joined(Node::Kind::kAnd, "and", depth) : Negation(depth);
    };
    PX_ASSIGN_OR_RETURN(Node first, part());
    if (!IsWord(word)) return first;
    Node node;
    node.kind = kind;
    node.children.push_back(std::move(first));
    while (TakeWord(word)) {
      PX_ASSIGN_OR_RETURN(Node more, part());
      node.children.push_back(std::move(more));
    }
    return node;
  }
  StatusOr<Node> Disjunction(size_t depth) { return Joined(Node::Kind::kOr, "or", depth); }

  StatusOr<Node> Negation(size_t depth) {
    if (depth >= kMaxPredicateDepth) {
      return ErrorAt(Now().at, fmt::format("nested deeper than {}", kMaxPredicateDepth));
    }
    if (TakeWord("not")) {
      PX_ASSIGN_OR_RETURN(Node inner, Negation(depth + 1));
      return Not(std::move(inner));
    }
    if (TakeOperator("(")) {
      PX_ASSIGN_OR_RETURN(Node inner, Disjunction(depth + 1));
      if (!TakeOperator(")")) return Expected("')'");
      return inner;
    }
    return Comparison();
  }

  static Node Not(Node inner) {
    Node node;
    node.kind = Node::Kind::kNot;
    node.children.push_back(std::move(inner));
    return node;
  }

  StatusOr<Node> Comparison() {
    PX_ASSIGN_OR_RETURN(Operand left, TakeOperand());
    if (const auto op = ComparisonOf(Now()); op.has_value()) {
      ++next_;
      PX_ASSIGN_OR_RETURN(Operand right, TakeOperand());
      return Compare(left, *op, right);
    }
    if (TakeWord("is")) {
      const bool negated = TakeWord("not");
      if (!TakeWord("null")) return Expected(negated ? "'null'" : "'null' or 'not null'");
      PX_ASSIGN_OR_RETURN(Node node, OfColumn(left, Node::Kind::kIsNull));
      return negated ? Not(std::move(node)) : std::move(node);
    }
    const bool negated = IsWord("not");
    if (negated) ++next_;
    if (TakeWord("in")) {
      PX_ASSIGN_OR_RETURN(Node node, InList(left));
      return negated ? Not(std::move(node)) : std::move(node);
    }
    if (TakeWord("between")) {
      PX_ASSIGN_OR_RETURN(Operand low, TakeOperand());
      if (!TakeWord("and")) return Expected("'and' of between");
      PX_ASSIGN_OR_RETURN(Operand high, TakeOperand());
      Node node;
      node.kind = Node::Kind::kAnd;
      PX_ASSIGN_OR_RETURN(Node from, Compare(left, Node::Op::kGreaterEqual, low));
      PX_ASSIGN_OR_RETURN(Node to, Compare(left, Node::Op::kLessEqual, high));
      node.children.push_back(std::move(from));
      node.children.push_back(std::move(to));
      return negated ? Not(std::move(node)) : std::move(node);
    }
    if (negated) return Expected("'in' or 'between'");
    return Alone(left);
  }

  StatusOr<Node> Alone(const Operand& operand) {
    if (!operand.column.has_value() && operand.kind == TokenKind::kName) {
      Node node;
      node.constant = operand.text == "true";
      return node;
    }
    if (operand.column.has_value() && columns_[*operand.column].type.kind == TypeKind::kBool) {
      return OfColumn(operand, Node::Kind::kTrueColumn);
    }
    return Expected("a comparison (= <> < <= > >=, in, between, is null)");
  }

  StatusOr<Node> OfColumn(const Operand& operand, Node::Kind kind) {
    if (!operand.column.has_value()) return ErrorAt(operand.at, "expected a column");
    Node node;
    node.kind = kind;
    node.column = *operand.column;
    node.type = columns_[node.column].type;
    return node;
  }

  StatusOr<Node> InList(const Operand& left) {
    PX_ASSIGN_OR_RETURN(Node node, OfColumn(left, Node::Kind::kIn));
    if (!TakeOperator("(")) return Expected("'(' after in");
    do {
      PX_ASSIGN_OR_RETURN(Operand item, TakeOperand());
      if (item.column.has_value()) return ErrorAt(item.at, "a list holds literals, not columns");
      PX_ASSIGN_OR_RETURN(Node::Literal literal, LiteralFor(node.column, item));
      node.literals.push_back(std::move(literal));
    } while (TakeOperator(","));
    if (!TakeOperator(")")) return Expected("',' or ')'");
    return node;
  }

  StatusOr<Operand> TakeOperand() {
    Operand out;
    out.at = Now().at;
    bool sign = false;
    if (IsOperator("-") || IsOperator("+")) {
      sign = true;
      out.negative = IsOperator("-");
      ++next_;
      if (Now().kind != TokenKind::kNumber) return Expected("a number");
    }
    const Token& token = Now();
    out.kind = token.kind;
    out.text = token.text;
    switch (token.kind) {
      case TokenKind::kNumber:
      case TokenKind::kText:
        ++next_;
        return out;
      case TokenKind::kName:
        if (token.text == "null") {
          return ErrorAt(token.at, "null equals nothing: write 'is null' or 'is not null'");
        }
        if (token.text == "true" || token.text == "false") {
          ++next_;
          return out;
        }
        if (std::find(kKeywords.begin(), kKeywords.end(), token.text) != kKeywords.end()) break;
        [[fallthrough]];
      case TokenKind::kQuotedName:
        for (size_t i = 0; i < columns_.size(); ++i) {
          if (columns_[i].name != token.text) continue;
          out.column = i;
          (*used_)[i] = true;
          ++next_;
          return out;
        }
        return UnknownColumn(token);
      default:
        break;
    }
    return Expected(sign ? "a number" : "a column or a literal");
  }

  [[nodiscard]] Status UnknownColumn(const Token& token) const {
    std::string names;
    for (const PredicateColumn& column : columns_) {
      names += names.empty() ? column.name : ", " + column.name;
    }
    return ErrorAt(token.at,
                   fmt::format("there is no column '{}'; there are {}", token.text, names));
  }

  StatusOr<Node> Compare(const Operand& left, Node::Op op, const Operand& right) {
    if (!left.column.has_value()) {
      if (!right.column.has_value()) {
        return ErrorAt(left.at, "a comparison needs a column on one side");
      }
      return Compare(right, Flip(op), left);
    }
    PX_ASSIGN_OR_RETURN(Node node, OfColumn(left, Node::Kind::kCompareLiteral));
    node.op = op;
    if (!right.column.has_value()) {
      PX_ASSIGN_OR_RETURN(Node::Literal literal, LiteralFor(node.column, right));
      node.literals.push_back(std::move(literal));
      return node;
    }
    node.kind = Node::Kind::kCompareColumns;
    node.other = *right.column;
    node.other_type = columns_[node.other].type;
    const TypeKind a = node.type.kind;
    const TypeKind b = node.other_type.kind;
    if (a != b && !(column::IsNumeric(a) && column::IsNumeric(b)) &&
        !(column::IsText(a) && column::IsText(b))) {
      return ErrorAt(right.at,
                     fmt::format("cannot compare {} ({}) with {} ({})", columns_[node.column].name,
                                 column::FormatType(node.type), columns_[node.other].name,
                                 column::FormatType(node.other_type)));
    }
    return node;
  }

  /// `operand`, a literal, in the form that comparisons with the column need.
  StatusOr<Node::Literal> LiteralFor(size_t column_index, const Operand& operand) {
    const PredicateColumn& column = columns_[column_index];
    const TypeKind kind = column.type.kind;
    Node::Literal out;
    if (column::IsText(kind) && operand.kind == TokenKind::kText) {
      out.text = operand.text;
      return out;
    }
    if (kind == TypeKind::kBool && operand.kind == TokenKind::kName) {
      out.threshold.floor = operand.text == "true" ? 1 : 0;
      return out;
    }
    if (kind == TypeKind::kTimestamp && operand.kind == TokenKind::kText) {
      const StatusOr<Timestamp> ts = ParseTimestamp(operand.text);
      if (!ts.ok()) return ErrorAt(operand.at, Message(ts.status()));
      out.threshold.floor = ts->ns();
      return out;
    }
    if ((column::IsNumeric(kind) || kind == TypeKind::kTimestamp) &&
        operand.kind == TokenKind::kNumber) {
      const StatusOr<NumberLiteral> number = ParseNumber(operand.text, operand.negative);
      if (!number.ok()) return ErrorAt(operand.at, Message(number.status()));
      out.threshold = Rescale(*number, kind == TypeKind::kDecimal ? column.type.scale : 0);
      out.real = number->real;
      return out;
    }
    std::string_view wanted = "a number";
    if (column::IsText(kind)) wanted = "text in single quotes";
    if (kind == TypeKind::kBool) wanted = "true or false";
    if (kind == TypeKind::kTimestamp) wanted = "a time in single quotes or integer nanoseconds";
    return ErrorAt(operand.at, fmt::format("{} is {} and compares with {}, not '{}'", column.name,
                                           column::FormatType(column.type), wanted, operand.text));
  }

  std::vector<Token> tokens_;
  std::span<const PredicateColumn> columns_;
  std::vector<bool>* used_;
  size_t next_ = 0;
};

}  // namespace

StatusOr<Predicate::Node> ParsePredicate(std::string_view text,
                                         std::span<const PredicateColumn> columns,
                                         std::vector<bool>* used) {
  PX_ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(text));
  return Parser(std::move(tokens), columns, used).Run();
}

}  // namespace proxist::exec::internal
