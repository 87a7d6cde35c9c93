// Precedence: signs and functions, then * and /, then + and -.
#include "proxist/exec/internal/operand_parser.h"

#include <algorithm>
#include <array>
#include <limits>

namespace proxist::exec::internal {
namespace {

using column::Type;
using column::TypeKind;
using Scalar = Expression::Scalar;

constexpr std::array<std::string_view, 10> kKeywords = {"and",     "or",   "not",  "in",    "is",
                                                        "between", "null", "true", "false", "as"};

struct Function {
  std::string_view name;
  Scalar::Kind kind;
};
constexpr std::array<Function, 4> kFunctions = {{{"abs", Scalar::Kind::kAbs},
                                                 {"sqrt", Scalar::Kind::kSqrt},
                                                 {"ln", Scalar::Kind::kLn},
                                                 {"exp", Scalar::Kind::kExp}}};

bool IsWhole(TypeKind kind) { return column::IsInteger(kind) || kind == TypeKind::kDecimal; }

Scalar OfColumn(size_t column, Type type) {
  Scalar out;
  out.kind = Scalar::Kind::kColumn;
  out.column = column;
  out.type = type;
  return out;
}

/// A literal beside a float is the float64 nearest to it.
void MatchFloat(const Scalar& other, Scalar* literal) {
  if (literal->kind != Scalar::Kind::kInteger || !column::IsFloat(other.type.kind)) return;
  literal->kind = Scalar::Kind::kReal;
  literal->type = {TypeKind::kFloat64, 0};
}

/// What the operation gives; nothing when it is not defined.
std::optional<Type> TypeOf(Scalar::Kind kind, Type a, Type b) {
  const Type real{TypeKind::kFloat64, 0};
  const Type whole{TypeKind::kInt64, 0};
  const bool a_time = a.kind == TypeKind::kTimestamp;
  const bool b_time = b.kind == TypeKind::kTimestamp;
  if (a_time || b_time) {
    if (kind == Scalar::Kind::kSubtract && a_time && b_time) return whole;
    const bool moves = kind == Scalar::Kind::kAdd || (kind == Scalar::Kind::kSubtract && a_time);
    if (moves && column::IsInteger(a_time ? b.kind : a.kind)) return a_time ? a : b;
    return std::nullopt;
  }
  if (!column::IsNumeric(a.kind) || !column::IsNumeric(b.kind)) return std::nullopt;
  if (kind == Scalar::Kind::kDivide || !IsWhole(a.kind) || !IsWhole(b.kind)) return real;
  const bool a_decimal = a.kind == TypeKind::kDecimal;
  const bool b_decimal = b.kind == TypeKind::kDecimal;
  if (!a_decimal && !b_decimal) return whole;
  if (kind == Scalar::Kind::kMultiply && a_decimal && b_decimal) return real;
  if (kind == Scalar::Kind::kMultiply) return a_decimal ? a : b;
  return Type{TypeKind::kDecimal,
              std::max(a_decimal ? a.scale : uint8_t{0}, b_decimal ? b.scale : uint8_t{0})};
}

}  // namespace

bool OperandParser::TakeWord(std::string_view word) {
  if (!IsWord(word)) return false;
  ++next_;
  return true;
}

bool OperandParser::TakeOperator(std::string_view text) {
  if (!IsOperator(text)) return false;
  ++next_;
  return true;
}

Status OperandParser::Expected(std::string_view what) const {
  const Token& token = Now();
  if (token.kind == TokenKind::kEnd) {
    return ErrorAt(token.at, fmt::format("expected {}, but the text ends", what));
  }
  return ErrorAt(token.at, fmt::format("expected {}, got '{}'", what, token.text));
}

const Token& OperandParser::AfterParenthesis() const {
  size_t open = 0;
  size_t at = next_;
  for (; tokens_[at].kind != TokenKind::kEnd; ++at) {
    if (tokens_[at].kind != TokenKind::kOperator) continue;
    if (tokens_[at].text == "(") ++open;
    if (tokens_[at].text == ")" && --open == 0) return tokens_[at + 1];
  }
  return tokens_[at];
}

StatusOr<Operand> OperandParser::TakeOperand(size_t depth) {
  return TakeChain(/*sum=*/true, depth);
}

StatusOr<Operand> OperandParser::TakeChain(bool sum, size_t depth) {
  const auto part = [&] { return sum ? TakeChain(false, depth) : TakeFactor(depth); };
  PX_ASSIGN_OR_RETURN(Operand left, part());
  const size_t start = left.at;
  while (IsOperator(sum ? "+" : "*") || IsOperator(sum ? "-" : "/")) {
    const bool first = IsOperator(sum ? "+" : "*");
    const size_t at = Now().at;
    ++next_;
    PX_ASSIGN_OR_RETURN(Operand right, part());
    const Scalar::Kind kind = sum ? (first ? Scalar::Kind::kAdd : Scalar::Kind::kSubtract)
                                  : (first ? Scalar::Kind::kMultiply : Scalar::Kind::kDivide);
    PX_ASSIGN_OR_RETURN(Scalar combined, Combine(kind, at, std::move(left), std::move(right)));
    Operand out;
    out.at = start;
    out.scalar = std::move(combined);
    left = std::move(out);
  }
  return left;
}

StatusOr<Operand> OperandParser::TakeFactor(size_t depth) {
  if (!IsOperator("-") && !IsOperator("+")) return TakePrimary(depth);
  if (depth >= kMaxPredicateDepth) {
    return ErrorAt(Now().at, fmt::format("nested deeper than {}", kMaxPredicateDepth));
  }
  const size_t at = Now().at;
  const bool negative = IsOperator("-");
  ++next_;
  if (Now().kind == TokenKind::kNumber) {
    PX_ASSIGN_OR_RETURN(Operand number, TakePrimary(depth));
    number.negative = negative;
    number.at = at;
    return number;
  }
  if (Now().kind == TokenKind::kText) return Expected("a number");
  PX_ASSIGN_OR_RETURN(Operand inner, TakeFactor(depth + 1));
  Operand out;
  out.at = at;
  if (negative) {
    PX_ASSIGN_OR_RETURN(out.scalar, Apply(Scalar::Kind::kNegate, std::move(inner)));
  } else {
    PX_ASSIGN_OR_RETURN(out.scalar, ScalarOf(std::move(inner)));
  }
  return out;
}

StatusOr<Operand> OperandParser::TakePrimary(size_t depth) {
  Operand out;
  out.at = Now().at;
  out.kind = Now().kind;
  out.text = Now().text;
  switch (Now().kind) {
    case TokenKind::kNumber:
    case TokenKind::kText:
      ++next_;
      return out;
    case TokenKind::kOperator:
      if (!TakeOperator("(")) break;
      if (depth >= kMaxPredicateDepth) {
        return ErrorAt(out.at, fmt::format("nested deeper than {}", kMaxPredicateDepth));
      }
      {
        PX_ASSIGN_OR_RETURN(Operand inner, TakeOperand(depth + 1));
        if (!TakeOperator(")")) return Expected("')'");
        return inner;
      }
    case TokenKind::kName:
      if (out.text == "null") {
        return ErrorAt(out.at, "null equals nothing: write 'is null' or 'is not null'");
      }
      if (out.text == "true" || out.text == "false") {
        ++next_;
        return out;
      }
      if (std::ranges::find(kKeywords, out.text) != kKeywords.end()) break;
      for (const Function& function : kFunctions) {
        if (function.name == out.text && tokens_[next_ + 1].text == "(" &&
            tokens_[next_ + 1].kind == TokenKind::kOperator) {
          return TakeFunction(function.kind, depth);
        }
      }
      [[fallthrough]];
    case TokenKind::kQuotedName:
      return resolve_ == nullptr ? TakeName() : TakeResolved();
    case TokenKind::kEnd:
      break;
  }
  return Expected("a column or a literal");
}

StatusOr<Operand> OperandParser::TakeName() {
  const Token& token = Now();
  size_t named = 0;
  while (named < columns_.size() && columns_[named].name != token.text) ++named;
  for (size_t i = 0; named == columns_.size() && i < columns_.size(); ++i) {
    const std::vector<std::string>& aliases = columns_[i].aliases;
    if (std::find(aliases.begin(), aliases.end(), token.text) != aliases.end()) named = i;
  }
  for (size_t i = named; i < std::min(named + 1, columns_.size()); ++i) {
    Operand out;
    out.at = token.at;
    out.text = token.text;
    out.column = i;
    (*used_)[i] = true;
    ++next_;
    if (IsOperator("(")) {
      return ErrorAt(Now().at, fmt::format("{} is a column, not a function", out.text));
    }
    return out;
  }
  return UnknownColumn(token);
}

StatusOr<Operand> OperandParser::TakeFunction(Scalar::Kind kind, size_t depth) {
  Operand out;
  out.at = Now().at;
  if (depth >= kMaxPredicateDepth) {
    return ErrorAt(out.at, fmt::format("nested deeper than {}", kMaxPredicateDepth));
  }
  next_ += 2;  // the name and its parenthesis
  PX_ASSIGN_OR_RETURN(Operand inner, TakeOperand(depth + 1));
  if (!TakeOperator(")")) return Expected("')'");
  PX_ASSIGN_OR_RETURN(out.scalar, Apply(kind, std::move(inner)));
  return out;
}

StatusOr<Operand> OperandParser::TakeResolved() {
  CallSyntax call;
  call.name = Now().text;
  call.at = Now().at;
  ++next_;
  if (IsOperator("(")) PX_RETURN_IF_ERROR(TakeArguments(&call));
  PX_ASSIGN_OR_RETURN(const Type type, (*resolve_)(call));
  Operand out;
  out.at = call.at;
  out.scalar = OfColumn(kFirstTableColumn + resolved_.size(), type);
  resolved_.push_back(type);
  return out;
}

Status OperandParser::TakeArguments(CallSyntax* call) {
  call->has_arguments = true;
  size_t begin = Now().at;  // the character after the parenthesis, from 0
  size_t open = 0;
  const auto add = [&](size_t end) {
    call->arguments.push_back(std::string(begin, ' ') +
                              std::string(text_.substr(begin, end - 1 - begin)));
    begin = end;
  };
  for (; Now().kind != TokenKind::kEnd; ++next_) {
    if (IsOperator("(")) ++open;
    if (IsOperator(",") && open == 1) add(Now().at);
    if (!IsOperator(")") || --open > 0) continue;
    if (!call->arguments.empty() || tokens_[next_ - 1].text != "(" ||
        tokens_[next_ - 1].kind != TokenKind::kOperator) {
      add(Now().at);
    }
    ++next_;
    return OkStatus();
  }
  return Expected("')'");
}

StatusOr<Scalar> OperandParser::ScalarOf(Operand operand) const {
  if (operand.scalar.has_value()) return *std::move(operand.scalar);
  if (operand.column.has_value()) return OfColumn(*operand.column, columns_[*operand.column].type);
  if (operand.kind != TokenKind::kNumber) {
    return ErrorAt(operand.at, fmt::format("expected a number, got '{}'", operand.text));
  }
  const StatusOr<NumberLiteral> number = ParseNumber(operand.text, operand.negative);
  if (!number.ok()) return ErrorAt(operand.at, Message(number.status()));
  Scalar out;
  out.type = {TypeKind::kFloat64, 0};
  out.real = number->real;
  const bool decimal = number->scale > 0;
  if (number->scale > column::kMaxDecimalScale) return out;
  const auto scale = static_cast<uint8_t>(decimal ? number->scale : 0);
  const Threshold whole = Rescale(*number, scale);
  const Int128 most =
      decimal ? Int128{column::kDecimalLimit - 1} : Int128{std::numeric_limits<int64_t>::max()};
  if (!whole.exact || whole.floor > most || whole.floor < -most) return out;
  out.kind = Scalar::Kind::kInteger;
  out.integer = static_cast<int64_t>(whole.floor);
  out.type = decimal ? Type{TypeKind::kDecimal, scale} : Type{TypeKind::kInt64, 0};
  return out;
}

Status OperandParser::CountOperation(size_t at) {
  if (++operations_ <= kMaxScalarOperations) return OkStatus();
  return ErrorAt(at, fmt::format("more than {} operations", kMaxScalarOperations));
}

OperandParser::Place OperandParser::PlaceOf(const Operand& operand) const {
  return {operand.at, operand.column.has_value() ? columns_[*operand.column].name : "this"};
}

Status OperandParser::NotANumber(const Place& place, Type type) {
  return ErrorAt(place.at,
                 fmt::format("{} is {}, not a number", place.name, column::FormatType(type)));
}

StatusOr<Scalar> OperandParser::Apply(Scalar::Kind kind, Operand operand) {
  PX_RETURN_IF_ERROR(CountOperation(operand.at));
  const Place place = PlaceOf(operand);
  PX_ASSIGN_OR_RETURN(Scalar inner, ScalarOf(std::move(operand)));
  if (!column::IsNumeric(inner.type.kind)) return NotANumber(place, inner.type);
  Scalar out;
  out.kind = kind;
  const bool keeps = kind == Scalar::Kind::kNegate || kind == Scalar::Kind::kAbs;
  out.type = {TypeKind::kFloat64, 0};
  if (keeps && inner.type.kind == TypeKind::kDecimal) out.type = inner.type;
  if (keeps && column::IsInteger(inner.type.kind)) out.type = {TypeKind::kInt64, 0};
  out.children.push_back(std::move(inner));
  return out;
}

StatusOr<Scalar> OperandParser::Combine(Scalar::Kind kind, size_t at, Operand left, Operand right) {
  PX_RETURN_IF_ERROR(CountOperation(at));
  const Place left_place = PlaceOf(left);
  const Place right_place = PlaceOf(right);
  PX_ASSIGN_OR_RETURN(Scalar a, ScalarOf(std::move(left)));
  PX_ASSIGN_OR_RETURN(Scalar b, ScalarOf(std::move(right)));
  const std::optional<Type> type = TypeOf(kind, a.type, b.type);
  if (!type.has_value()) {
    const bool times = a.type.kind == TypeKind::kTimestamp || b.type.kind == TypeKind::kTimestamp;
    if (times) {
      return ErrorAt(at,
                     "times may be subtracted from each other, and integer nanoseconds added "
                     "to them and subtracted from them");
    }
    return column::IsNumeric(a.type.kind) ? NotANumber(right_place, b.type)
                                          : NotANumber(left_place, a.type);
  }
  MatchFloat(a, &b);
  MatchFloat(b, &a);
  Scalar out;
  out.kind = kind;
  out.type = *type;
  out.children.push_back(std::move(a));
  out.children.push_back(std::move(b));
  return out;
}

Status OperandParser::UnknownColumn(const Token& token) const {
  std::string names;
  for (const PredicateColumn& column : columns_) {
    if (column.name.empty()) continue;
    names += names.empty() ? column.name : ", " + column.name;
  }
  return ErrorAt(token.at, fmt::format("there is no column '{}'; there are {}", token.text, names));
}

}  // namespace proxist::exec::internal
