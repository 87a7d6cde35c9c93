// Recursive descent over the tokens; types are checked as nodes are made.
#include <algorithm>
#include <optional>
#include <string>

#include "proxist/base/time.h"
#include "proxist/exec/internal/operand_parser.h"

namespace proxist::exec::internal {
namespace {

using column::TypeKind;
using Node = Predicate::Node;

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

/// An operator that can only stand after a value.
bool FollowsValue(const Token& token) {
  if (token.kind == TokenKind::kName) {
    return token.text == "is" || token.text == "in" || token.text == "not" ||
           token.text == "between";
  }
  return ComparisonOf(token).has_value() ||
         (token.kind == TokenKind::kOperator &&
          std::string_view("+-*/").find(token.text) != std::string_view::npos);
}

class PredicateParser : private OperandParser {
 public:
  using OperandParser::OperandParser;

  StatusOr<Node> Run() {
    PX_ASSIGN_OR_RETURN(Node root, Disjunction(0));
    if (Now().kind != TokenKind::kEnd) return Expected("'and', 'or' or the end");
    return root;
  }

 private:
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
    if (IsOperator("(") && !FollowsValue(AfterParenthesis())) {
      Skip();
      PX_ASSIGN_OR_RETURN(Node inner, Disjunction(depth + 1));
      if (!TakeOperator(")")) return Expected("')'");
      return inner;
    }
    return Comparison(depth);
  }

  static Node Not(Node inner) {
    Node node;
    node.kind = Node::Kind::kNot;
    node.children.push_back(std::move(inner));
    return node;
  }

  StatusOr<Node> Comparison(size_t depth) {
    PX_ASSIGN_OR_RETURN(Operand left, TakeOperand(depth));
    if (const auto op = ComparisonOf(Now()); op.has_value()) {
      Skip();
      PX_ASSIGN_OR_RETURN(Operand right, TakeOperand(depth));
      return Compare(left, *op, right);
    }
    if (TakeWord("is")) {
      const bool negated = TakeWord("not");
      if (!TakeWord("null")) return Expected(negated ? "'null'" : "'null' or 'not null'");
      PX_ASSIGN_OR_RETURN(Node node, OfColumn(left, Node::Kind::kIsNull));
      return negated ? Not(std::move(node)) : std::move(node);
    }
    const bool negated = IsWord("not");
    if (negated) Skip();
    if (TakeWord("in")) {
      PX_ASSIGN_OR_RETURN(Node node, InList(left));
      return negated ? Not(std::move(node)) : std::move(node);
    }
    if (TakeWord("between")) {
      PX_ASSIGN_OR_RETURN(Operand low, TakeOperand(depth));
      if (!TakeWord("and")) return Expected("'and' of between");
      PX_ASSIGN_OR_RETURN(Operand high, TakeOperand(depth));
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
    if (!HasValue(operand) && operand.kind == TokenKind::kName) {
      Node node;
      node.constant = operand.text == "true";
      return node;
    }
    if (operand.column.has_value() && Column(*operand.column).type.kind == TypeKind::kBool) {
      return OfColumn(operand, Node::Kind::kTrueColumn);
    }
    return Expected("a comparison (= <> < <= > >=, in, between, is null)");
  }

  /// A column or something computed, not a literal.
  static bool HasValue(const Operand& operand) {
    return operand.column.has_value() || operand.scalar.has_value();
  }

  StatusOr<Node> OfColumn(const Operand& operand, Node::Kind kind) {
    if (!HasValue(operand)) return ErrorAt(operand.at, "expected a column");
    Node node;
    node.kind = kind;
    node.column = operand.column.value_or(Node::kComputed);
    node.type = TypeOf(operand);
    if (operand.scalar.has_value()) node.scalars.push_back(*operand.scalar);
    return node;
  }
  [[nodiscard]] column::Type TypeOf(const Operand& operand) const {
    return operand.scalar.has_value() ? operand.scalar->type : Column(*operand.column).type;
  }
  /// What errors call the value.
  [[nodiscard]] std::string NameOf(const Operand& operand) const {
    return operand.scalar.has_value() ? "this" : Column(*operand.column).name;
  }

  StatusOr<Node> InList(const Operand& left) {
    if (left.scalar.has_value()) return ErrorAt(left.at, "'in' takes a column, nothing computed");
    PX_ASSIGN_OR_RETURN(Node node, OfColumn(left, Node::Kind::kIn));
    if (!TakeOperator("(")) return Expected("'(' after in");
    do {
      PX_ASSIGN_OR_RETURN(Operand item, TakeOperand(0));
      if (item.column.has_value() || item.scalar.has_value()) {
        return ErrorAt(item.at, "a list holds literals, not columns");
      }
      PX_ASSIGN_OR_RETURN(Node::Literal literal, LiteralFor(Column(node.column), item));
      node.literals.push_back(std::move(literal));
    } while (TakeOperator(","));
    if (!TakeOperator(")")) return Expected("',' or ')'");
    return node;
  }

  StatusOr<Node> Compare(const Operand& left, Node::Op op, const Operand& right) {
    if (!HasValue(left)) {
      if (!HasValue(right)) return ErrorAt(left.at, "a comparison needs a column on one side");
      return Compare(right, Flip(op), left);
    }
    PX_ASSIGN_OR_RETURN(Node node, OfColumn(left, Node::Kind::kCompareLiteral));
    node.op = op;
    if (!HasValue(right)) {
      const PredicateColumn value{NameOf(left), node.type};
      PX_ASSIGN_OR_RETURN(Node::Literal literal, LiteralFor(value, right));
      node.literals.push_back(std::move(literal));
      return node;
    }
    node.kind = Node::Kind::kCompareColumns;
    node.other = right.column.value_or(Node::kComputed);
    node.other_type = TypeOf(right);
    if (right.scalar.has_value()) node.scalars.push_back(*right.scalar);
    const TypeKind a = node.type.kind;
    const TypeKind b = node.other_type.kind;
    if (a != b && !(column::IsNumeric(a) && column::IsNumeric(b)) &&
        !(column::IsText(a) && column::IsText(b))) {
      return ErrorAt(right.at, fmt::format("cannot compare {} ({}) with {} ({})", NameOf(left),
                                           column::FormatType(node.type), NameOf(right),
                                           column::FormatType(node.other_type)));
    }
    return node;
  }

  /// `operand`, a literal, in the form that comparisons with the column need.
  static StatusOr<Node::Literal> LiteralFor(const PredicateColumn& column, const Operand& operand) {
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
};

class ExpressionParser : private OperandParser {
 public:
  using OperandParser::OperandParser;

  StatusOr<NamedScalar> Run(std::string_view text) {
    PX_ASSIGN_OR_RETURN(Operand value, TakeOperand(0));
    NamedScalar out;
    for (const char c : text) {
      if (c != ' ' && c != '\t' && c != '\n' && c != '\r') out.name.push_back(c);
    }
    if (TakeWord("as")) {
      if (Now().kind != TokenKind::kName && Now().kind != TokenKind::kQuotedName) {
        return Expected("a name after 'as'");
      }
      out.name = Now().text;
      Skip();
    }
    if (Now().kind != TokenKind::kEnd) return Expected("an operator, 'as' or the end");
    PX_ASSIGN_OR_RETURN(out.root, ScalarOf(std::move(value)));
    return out;
  }
};

}  // namespace

StatusOr<Predicate::Node> ParsePredicate(std::string_view text,
                                         std::span<const PredicateColumn> columns,
                                         std::vector<bool>* used) {
  PX_ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(text));
  return PredicateParser(text, std::move(tokens), columns, nullptr, used).Run();
}

StatusOr<NamedScalar> ParseExpression(std::string_view text,
                                      std::span<const PredicateColumn> columns,
                                      const Expression::Resolve* resolve, std::vector<bool>* used) {
  PX_ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(text));
  return ExpressionParser(text, std::move(tokens), columns, resolve, used).Run(text);
}

}  // namespace proxist::exec::internal
