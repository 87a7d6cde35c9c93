// Evaluates arithmetic column by column: integers and decimals exactly, floats as float64.
#include <algorithm>
#include <cmath>
#include <limits>

#include "proxist/base/check.h"
#include "proxist/exec/internal/numbers.h"
#include "proxist/exec/internal/predicate_node.h"

namespace proxist::exec::internal {
namespace {

using column::Type;
using column::TypeKind;
using Scalar = Expression::Scalar;

bool Fits(Int128 value, Type type) {
  if (type.kind == TypeKind::kDecimal) {
    return value > -column::kDecimalLimit && value < column::kDecimalLimit;
  }
  return value >= std::numeric_limits<int64_t>::min() &&
         value <= std::numeric_limits<int64_t>::max();
}

Int128 Scaled(Int128 value, uint8_t from, uint8_t to) {
  return value * PowerOfTen(static_cast<uint8_t>(to - from));
}

/// Whole values of `out`: `value(row)` gives 128 bits; those that do not fit are null.
template <typename Value>
void FillWhole(Column* out, Value value) {
  int64_t* values = out->data<int64_t>();
  for (size_t row = 0; row < out->rows(); ++row) {
    if (!out->IsValid(row)) continue;
    const Int128 whole = value(row);
    values[row] = static_cast<int64_t>(whole);
    if (!Fits(whole, out->type())) out->SetNull(row);
  }
}

template <typename Value>
void FillReal(Column* out, Value value) {
  double* values = out->data<double>();
  for (size_t row = 0; row < out->rows(); ++row) {
    if (out->IsValid(row)) values[row] = value(row);
  }
}

/// a / b of whole numbers with their scales; b is not 0.
double Ratio(Int128 a, uint8_t a_scale, Int128 b, uint8_t b_scale) {
  if (a_scale >= b_scale) return Quotient(a, b, static_cast<uint8_t>(a_scale - b_scale));
  return Quotient(Scaled(a, a_scale, b_scale), b, 0);
}

void Divide(const Numbers& a, const Numbers& b, Column* out) {
  const bool whole = !a.is_float() && !b.is_float();
  for (size_t row = 0; row < out->rows(); ++row) {
    if (out->IsValid(row) && (whole ? b.Int(row) == 0 : b.Real(row) == 0)) out->SetNull(row);
  }
  FillReal(out, [&](size_t row) {
    return whole ? Ratio(a.Int(row), a.scale(), b.Int(row), b.scale()) : a.Real(row) / b.Real(row);
  });
}

void CombineReals(Scalar::Kind kind, const Numbers& a, const Numbers& b, Column* out) {
  FillReal(out, [&](size_t row) {
    const double x = a.Real(row);
    const double y = b.Real(row);
    if (kind == Scalar::Kind::kAdd) return x + y;
    return kind == Scalar::Kind::kSubtract ? x - y : x * y;
  });
}

void CombineWholes(Scalar::Kind kind, const Numbers& a, const Numbers& b, Column* out) {
  if (kind == Scalar::Kind::kMultiply) {
    FillWhole(out, [&](size_t row) { return a.Int(row) * b.Int(row); });
    return;
  }
  const uint8_t scale = std::max(a.scale(), b.scale());
  FillWhole(out, [&](size_t row) {
    const Int128 x = Scaled(a.Int(row), a.scale(), scale);
    const Int128 y = Scaled(b.Int(row), b.scale(), scale);
    return kind == Scalar::Kind::kAdd ? x + y : x - y;
  });
}

double Apply(Scalar::Kind kind, double x) {
  switch (kind) {
    case Scalar::Kind::kNegate:
      return -x;
    case Scalar::Kind::kAbs:
      return std::fabs(x);
    case Scalar::Kind::kSqrt:
      return std::sqrt(x);
    case Scalar::Kind::kLn:
      return std::log(x);
    default:
      return std::exp(x);
  }
}

Column Constant(const Scalar& scalar, size_t rows) {
  Column out(scalar.type);
  out.Extend(rows);
  if (scalar.kind == Scalar::Kind::kReal) {
    std::fill_n(out.data<double>(), rows, scalar.real);
  } else {
    std::fill_n(out.data<int64_t>(), rows, scalar.integer);
  }
  return out;
}

/// An operand: a column of the input as it stands, or a computed one.
class Operand {
 public:
  Operand(const Scalar& scalar, const PredicateInput& input) {
    if (scalar.kind == Scalar::Kind::kColumn) {
      column_ = &InputColumn(input, scalar.column, &own_);
    } else {
      own_ = EvaluateScalar(scalar, input);
    }
  }
  Operand(const Operand&) = delete;
  [[nodiscard]] const Column& column() const { return column_ == nullptr ? own_ : *column_; }

 private:
  Column own_;
  const Column* column_ = nullptr;
};

void TakeNulls(const Column& from, Column* out) {
  if (!from.has_nulls()) return;
  for (size_t row = 0; row < from.rows(); ++row) {
    if (!from.IsValid(row)) out->SetNull(row);
  }
}

Column EvaluateOne(const Scalar& scalar, const Column& values) {
  const Numbers x(values);
  Column out(scalar.type);
  out.Extend(values.rows());
  TakeNulls(values, &out);
  if (scalar.type.kind == TypeKind::kFloat64) {
    FillReal(&out, [&](size_t row) { return Apply(scalar.kind, x.Real(row)); });
  } else {
    const bool abs = scalar.kind == Scalar::Kind::kAbs;
    FillWhole(&out, [&](size_t row) { return abs && x.Int(row) > 0 ? x.Int(row) : -x.Int(row); });
  }
  return out;
}

}  // namespace

const Column& InputColumn(const PredicateInput& input, size_t column, Column* copy) {
  const Frame& frame = *input.frame;
  if (column >= kFirstTableColumn) {
    const int slot = input.slots[column - kFirstTableColumn];
    PX_CHECK(slot >= 0);
    return frame.columns[static_cast<size_t>(slot)];
  }
  if (column == kSymbolColumn) {
    *copy = Column({TypeKind::kSymbol, 0});
    copy->Extend(frame.rows());
    std::fill_n(copy->data<uint32_t>(), frame.rows(), input.symbol);
  } else if (column == kTsColumn) {
    *copy = Column({TypeKind::kTimestamp, 0});
    copy->Extend(frame.rows());
    std::copy(frame.ts.begin(), frame.ts.end(), copy->data<int64_t>());
  } else {
    *copy = Column({TypeKind::kUint64, 0});
    copy->Extend(frame.rows());
    std::copy(frame.seq.begin(), frame.seq.end(), copy->data<uint64_t>());
  }
  return *copy;
}

Column EvaluateScalar(const Scalar& scalar, const PredicateInput& input) {
  const size_t rows = input.frame->rows();
  if (scalar.kind == Scalar::Kind::kColumn) {
    Column copy;
    const Column& column = InputColumn(input, scalar.column, &copy);
    return &column == &copy ? std::move(copy) : column;
  }
  if (scalar.children.empty()) return Constant(scalar, rows);
  const Operand first(scalar.children[0], input);
  if (scalar.children.size() == 1) return EvaluateOne(scalar, first.column());
  const Operand second(scalar.children[1], input);
  Column out(scalar.type);
  out.Extend(rows);
  TakeNulls(first.column(), &out);
  TakeNulls(second.column(), &out);
  const Numbers a(first.column());
  const Numbers b(second.column());
  if (scalar.kind == Scalar::Kind::kDivide) {
    Divide(a, b, &out);
  } else if (scalar.type.kind == TypeKind::kFloat64) {
    CombineReals(scalar.kind, a, b, &out);
  } else {
    CombineWholes(scalar.kind, a, b, &out);
  }
  return out;
}

}  // namespace proxist::exec::internal
