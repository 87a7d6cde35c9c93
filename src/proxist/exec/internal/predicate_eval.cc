// Evaluates a predicate column by column: each node gives one truth value a row.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <unordered_set>

#include "proxist/exec/internal/numbers.h"
#include "proxist/exec/internal/predicate_node.h"

namespace proxist::exec::internal {
namespace {

using column::TypeKind;
using Node = Predicate::Node;
using Truth = std::vector<uint8_t>;
constexpr uint8_t kFalse = 0;
constexpr uint8_t kUnknown = 1;
constexpr uint8_t kTrue = 2;

uint8_t TruthOf(bool holds) { return static_cast<uint8_t>(static_cast<unsigned>(holds) * kTrue); }

/// One side of a node: a column of the input, or what is computed for it.
struct View {
  TypeKind kind = TypeKind::kInt64;
  const std::byte* values = nullptr;
  const Column* column = nullptr;
  std::unique_ptr<Column> own;  // backs `column` when it is not the frame's

  template <typename T>
  [[nodiscard]] const T* As() const {
    return reinterpret_cast<const T*>(values);
  }
};

View ViewOf(const Node& node, const PredicateInput& input, bool other = false) {
  View view;
  const size_t column = other ? node.other : node.column;
  view.kind = (other ? node.other_type : node.type).kind;
  view.own = std::make_unique<Column>();
  if (column == Node::kComputed) {
    *view.own = EvaluateScalar(other ? node.scalars.back() : node.scalars.front(), input);
    view.column = view.own.get();
  } else {
    view.column = &InputColumn(input, column, view.own.get());
  }
  view.values = view.column->data<std::byte>();
  return view;
}

void MarkNulls(const View& view, Truth* truth) {
  if (!view.column->has_nulls()) return;
  for (size_t row = 0; row < truth->size(); ++row) {
    if (!view.column->IsValid(row)) (*truth)[row] = kUnknown;
  }
}

template <typename Order>
bool Holds(Node::Op op, const Order& a, const Order& b) {
  switch (op) {
    case Node::Op::kEqual:
      return a == b;
    case Node::Op::kNotEqual:
      return a != b;
    case Node::Op::kLess:
      return a < b;
    case Node::Op::kLessEqual:
      return a <= b;
    case Node::Op::kGreater:
      return a > b;
    case Node::Op::kGreaterEqual:
      return a >= b;
  }
  return false;
}

/// Integers that satisfy `x op threshold` as a closed range; `negate` turns it around.
struct IntegerRange {
  Int128 low;
  Int128 high;
  bool negate = false;
};

IntegerRange RangeOf(Node::Op op, const Threshold& t) {
  constexpr Int128 kFar = static_cast<Int128>(1) << 100;
  switch (op) {
    case Node::Op::kEqual:
    case Node::Op::kNotEqual:
      return {t.exact ? t.floor : 1, t.exact ? t.floor : 0, op == Node::Op::kNotEqual};
    case Node::Op::kLess:
      return {-kFar, t.exact ? t.floor - 1 : t.floor};
    case Node::Op::kLessEqual:
      return {-kFar, t.floor};
    case Node::Op::kGreater:
      return {t.floor + 1, kFar};
    case Node::Op::kGreaterEqual:
      return {t.exact ? t.floor : t.floor + 1, kFar};
  }
  return {1, 0};
}

template <typename T>
void InRange(const T* values, const IntegerRange& range, Truth* truth) {
  constexpr auto kLeast = static_cast<Int128>(std::numeric_limits<T>::min());
  constexpr auto kMost = static_cast<Int128>(std::numeric_limits<T>::max());
  const Int128 low = std::max(range.low, kLeast);
  const Int128 high = std::min(range.high, kMost);
  const uint8_t outside = range.negate ? kTrue : kFalse;
  if (low > high) {
    std::fill(truth->begin(), truth->end(), outside);
    return;
  }
  // What is below `low` becomes far above `width`.
  using Unsigned = std::make_unsigned_t<T>;
  const auto first = static_cast<Unsigned>(low);
  const auto width = static_cast<Unsigned>(high - low);
  uint8_t* out = truth->data();
  for (size_t row = 0; row < truth->size(); ++row) {
    const auto past = static_cast<Unsigned>(static_cast<Unsigned>(values[row]) - first);
    out[row] = static_cast<uint8_t>(TruthOf(past <= width) ^ outside);
  }
}

template <typename T>
void CompareReals(Node::Op op, const T* values, double literal, Truth* truth) {
  const auto fill = [&](auto holds) {
    uint8_t* out = truth->data();
    for (size_t row = 0; row < truth->size(); ++row) {
      out[row] = TruthOf(holds(static_cast<double>(values[row]), literal));
    }
  };
  switch (op) {
    case Node::Op::kEqual:
      return fill(std::equal_to<>());
    case Node::Op::kNotEqual:
      return fill(std::not_equal_to<>());
    case Node::Op::kLess:
      return fill(std::less<>());
    case Node::Op::kLessEqual:
      return fill(std::less_equal<>());
    case Node::Op::kGreater:
      return fill(std::greater<>());
    case Node::Op::kGreaterEqual:
      return fill(std::greater_equal<>());
  }
}

void CompareText(const Node& node, const View& view, const PredicateInput& input, Truth* truth) {
  const std::string& text = node.literals[0].text;
  if (view.kind == TypeKind::kString) {
    const auto* values = view.As<std::string_view>();
    for (size_t row = 0; row < truth->size(); ++row) {
      (*truth)[row] = TruthOf(Holds<std::string_view>(node.op, values[row], text));
    }
    return;
  }
  const auto* codes = view.As<uint32_t>();
  if (node.op == Node::Op::kEqual || node.op == Node::Op::kNotEqual) {
    const uint32_t code = input.symbols->Code(text);
    for (size_t row = 0; row < truth->size(); ++row) {
      (*truth)[row] = TruthOf(Holds(node.op, codes[row], code));
    }
    return;
  }
  for (size_t row = 0; row < truth->size(); ++row) {
    if (!view.column->IsValid(row)) continue;
    (*truth)[row] =
        TruthOf(Holds<std::string_view>(node.op, input.symbols->Text(codes[row]), text));
  }
}

Truth CompareLiteral(const Node& node, const PredicateInput& input) {
  Truth truth(input.frame->rows(), kFalse);
  const View view = ViewOf(node, input);
  if (column::IsText(view.kind)) {
    CompareText(node, view, input, &truth);
  } else {
    VisitFixed(view.kind, [&]<typename T>(T /*tag*/) {
      if constexpr (std::is_floating_point_v<T>) {
        CompareReals(node.op, view.As<T>(), node.literals[0].real, &truth);
      } else {
        InRange(view.As<T>(), RangeOf(node.op, node.literals[0].threshold), &truth);
      }
    });
  }
  MarkNulls(view, &truth);
  return truth;
}

Truth InLiterals(const Node& node, const PredicateInput& input) {
  Truth truth(input.frame->rows(), kFalse);
  const View view = ViewOf(node, input);
  if (view.kind == TypeKind::kSymbol) {
    std::unordered_set<uint32_t> codes;
    for (const Node::Literal& literal : node.literals) {
      codes.insert(input.symbols->Code(literal.text));
    }
    for (size_t row = 0; row < truth.size(); ++row) {
      truth[row] = TruthOf(codes.contains(view.As<uint32_t>()[row]));
    }
  } else if (view.kind == TypeKind::kString) {
    std::unordered_set<std::string_view> texts;
    for (const Node::Literal& literal : node.literals) texts.insert(literal.text);
    for (size_t row = 0; row < truth.size(); ++row) {
      truth[row] = TruthOf(texts.contains(view.As<std::string_view>()[row]));
    }
  } else {
    VisitFixed(view.kind, [&]<typename T>(T /*tag*/) {
      std::vector<T> sorted;
      for (const Node::Literal& literal : node.literals) {
        if constexpr (std::is_floating_point_v<T>) {
          const T narrow = static_cast<T>(literal.real);
          if (static_cast<double>(narrow) == literal.real) sorted.push_back(narrow);
        } else {
          const Threshold& t = literal.threshold;
          if (t.exact && t.floor >= std::numeric_limits<T>::min() &&
              t.floor <= std::numeric_limits<T>::max()) {
            sorted.push_back(static_cast<T>(t.floor));
          }
        }
      }
      std::sort(sorted.begin(), sorted.end());
      for (size_t row = 0; row < truth.size(); ++row) {
        const T value = view.As<T>()[row];
        const auto at = std::lower_bound(sorted.begin(), sorted.end(), value);
        truth[row] = TruthOf(at != sorted.end() && *at == value);
      }
    });
  }
  MarkNulls(view, &truth);
  return truth;
}

/// Two numeric cells: exactly unless a float meets a decimal with a fraction.
bool NumbersHold(Node::Op op, const Numbers& a, const Numbers& b, size_t row) {
  if (!a.is_float() && !b.is_float()) {
    const uint8_t scale = std::max(a.scale(), b.scale());
    const auto factor = [&](const Numbers& n) {
      return static_cast<Int128>(PowerOfTen(static_cast<uint8_t>(scale - n.scale())));
    };
    return Holds(op, a.Int(row) * factor(a), b.Int(row) * factor(b));
  }
  if (a.is_float() && b.is_float()) return Holds(op, a.Float(row), b.Float(row));
  const Numbers& real = a.is_float() ? a : b;
  const Numbers& whole = a.is_float() ? b : a;
  const double x = real.Float(row);
  if (std::isnan(x)) return op == Node::Op::kNotEqual;
  int sign = 0;  // of whole - real
  if (whole.scale() == 0) {
    sign = CompareIntegerToReal(whole.Int(row), x);
  } else {
    const double y = whole.Real(row);
    sign = static_cast<int>(y > x) - static_cast<int>(y < x);
  }
  return a.is_float() ? Holds(op, 0, sign) : Holds(op, sign, 0);
}

Truth CompareColumns(const Node& node, const PredicateInput& input) {
  Truth truth(input.frame->rows(), kFalse);
  const View a = ViewOf(node, input);
  const View b = ViewOf(node, input, /*other=*/true);
  const auto valid = [](const View& view, size_t row) { return view.column->IsValid(row); };
  if (column::IsText(a.kind)) {
    const auto text = [&](const View& view, size_t row) {
      return view.kind == TypeKind::kString ? view.As<std::string_view>()[row]
                                            : input.symbols->Text(view.As<uint32_t>()[row]);
    };
    for (size_t row = 0; row < truth.size(); ++row) {
      if (valid(a, row) && valid(b, row)) {
        truth[row] = TruthOf(Holds(node.op, text(a, row), text(b, row)));
      }
    }
  } else {
    const Numbers a_numbers(*a.column);
    const Numbers b_numbers(*b.column);
    for (size_t row = 0; row < truth.size(); ++row) {
      truth[row] = TruthOf(NumbersHold(node.op, a_numbers, b_numbers, row));
    }
  }
  MarkNulls(a, &truth);
  MarkNulls(b, &truth);
  return truth;
}

void CollectConditions(const Node& node, std::vector<ColumnCondition>* out) {
  if (node.kind == Node::Kind::kAnd) {
    for (const Node& child : node.children) CollectConditions(child, out);
    return;
  }
  if (node.column == Node::kComputed || node.column < kFirstTableColumn) return;
  ColumnCondition condition;
  condition.column = node.column;
  if (column::IsText(node.type.kind)) {
    const bool equal = node.kind == Node::Kind::kCompareLiteral && node.op == Node::Op::kEqual;
    if (!equal && node.kind != Node::Kind::kIn) return;
    for (const Node::Literal& literal : node.literals) condition.texts.push_back(literal.text);
  } else {
    if (node.kind != Node::Kind::kCompareLiteral || column::IsFloat(node.type.kind)) return;
    const IntegerRange range = RangeOf(node.op, node.literals[0].threshold);
    condition.low = range.low;
    condition.high = range.high;
    condition.outside = range.negate;
  }
  out->push_back(std::move(condition));
}

}  // namespace

std::vector<uint8_t> Evaluate(const Predicate::Node& node, const PredicateInput& input) {
  switch (node.kind) {
    case Node::Kind::kAnd:
    case Node::Kind::kOr: {
      Truth truth = Evaluate(node.children[0], input);
      for (size_t i = 1; i < node.children.size(); ++i) {
        const Truth more = Evaluate(node.children[i], input);
        const auto merge = [&](auto pick) {
          uint8_t* out = truth.data();
          for (size_t row = 0; row < truth.size(); ++row) out[row] = pick(out[row], more[row]);
        };
        if (node.kind == Node::Kind::kAnd) {
          merge([](uint8_t a, uint8_t b) { return std::min(a, b); });
        } else {
          merge([](uint8_t a, uint8_t b) { return std::max(a, b); });
        }
      }
      return truth;
    }
    case Node::Kind::kNot: {
      Truth truth = Evaluate(node.children[0], input);
      for (uint8_t& value : truth) value = static_cast<uint8_t>(kTrue - value);
      return truth;
    }
    case Node::Kind::kConstant:
      return Truth(input.frame->rows(), TruthOf(node.constant));
    case Node::Kind::kTrueColumn: {
      Truth truth(input.frame->rows(), kFalse);
      const View view = ViewOf(node, input);
      for (size_t row = 0; row < truth.size(); ++row) {
        truth[row] = TruthOf(view.As<uint8_t>()[row] != 0);
      }
      MarkNulls(view, &truth);
      return truth;
    }
    case Node::Kind::kIsNull: {
      Truth truth(input.frame->rows(), kFalse);
      const View view = ViewOf(node, input);
      for (size_t row = 0; row < truth.size(); ++row) {
        truth[row] = TruthOf(!view.column->IsValid(row));
      }
      return truth;
    }
    case Node::Kind::kCompareLiteral:
      return CompareLiteral(node, input);
    case Node::Kind::kCompareColumns:
      return CompareColumns(node, input);
    case Node::Kind::kIn:
      return InLiterals(node, input);
  }
  return {};
}

std::vector<ColumnCondition> ConditionsOf(const Node& node) {
  std::vector<ColumnCondition> out;
  CollectConditions(node, &out);
  return out;
}

}  // namespace proxist::exec::internal
