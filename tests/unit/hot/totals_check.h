// Runs and totals of a span against a loop over all its rows.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "proxist/hot/store.h"

namespace proxist::hot {

/// One number of a block, widened.
struct Number {
  exec::Int128 integer = 0;
  double real = 0;
};

inline std::optional<Number> NumberAt(const RowBlock& block, size_t column, uint32_t row,
                                      column::TypeKind kind) {
  using column::TypeKind;
  if (!IsValid(block, column, row)) return std::nullopt;
  const std::byte* values = ValuesOf(block, column);
  switch (kind) {
    case TypeKind::kInt8:
      return Number{LoadAt<int8_t>(values, row), 0};
    case TypeKind::kInt16:
      return Number{LoadAt<int16_t>(values, row), 0};
    case TypeKind::kInt32:
      return Number{LoadAt<int32_t>(values, row), 0};
    case TypeKind::kUint8:
      return Number{LoadAt<uint8_t>(values, row), 0};
    case TypeKind::kUint16:
      return Number{LoadAt<uint16_t>(values, row), 0};
    case TypeKind::kUint32:
      return Number{LoadAt<uint32_t>(values, row), 0};
    case TypeKind::kUint64:
      return Number{LoadAt<uint64_t>(values, row), 0};
    case TypeKind::kFloat32:
      return Number{0, LoadAt<float>(values, row)};
    case TypeKind::kFloat64:
      return Number{0, LoadAt<double>(values, row)};
    default:
      return Number{LoadAt<int64_t>(values, row), 0};
  }
}

/// What a loop over rows finds.
struct SlowTotal {
  int64_t count = 0;
  exec::Int128 integer = 0;
  exec::ExactSum real;
  std::optional<Number> least;
  std::optional<Number> greatest;
  void Add(const Number& number, bool is_float) {
    ++count;
    integer += number.integer;
    real.Add(number.real);
    const auto below = [is_float](const Number& a, const Number& b) {
      if (!is_float) return a.integer < b.integer;
      if (std::isnan(a.real) || std::isnan(b.real)) return false;
      return a.real < b.real || (a.real == b.real && std::signbit(a.real) > std::signbit(b.real));
    };
    const bool nan = is_float && std::isnan(number.real);
    const auto take = [&](std::optional<Number>* best, bool better) {
      if (!best->has_value() || better || (std::isnan((*best)->real) && !nan)) *best = number;
    };
    take(&least, least && below(number, *least));
    take(&greatest, greatest && below(*greatest, number));
  }
};

inline bool SameReal(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

/// What a span comes to by its totals and runs, and what a loop over all its rows finds. Empty when
/// they agree to the bit. `rows` becomes the rows that totals stand for.
class TotalsCheck {
 public:
  TotalsCheck(const SeriesSnapshot& snapshot, const column::TableSchema& schema)
      : snapshot_(snapshot), schema_(schema) {}

  std::string Run(Timestamp from, Timestamp to, uint64_t* rows) const {
    SpanTotals totals;
    for (size_t c = 0; c < schema_.columns.size(); ++c) {
      const column::Type type = schema_.columns[c].type;
      if (column::IsNumeric(type.kind)) totals.columns.push_back({c, exec::ColumnTotals(type)});
    }
    const auto price = schema_.Find(kPriceColumn);
    const auto size = schema_.Find(kSizeColumn);
    if (price && size) {
      totals.weighted.emplace(schema_.columns[*price].type, schema_.columns[*size].type);
    }
    snapshot_.Totals(from, to, &totals);
    std::vector<RowRun> all;
    snapshot_.Runs(from, to, &all);
    *rows = totals.rows;
    if (RowsIn(all) != RowsIn(totals.runs) + totals.rows) return "the number of rows";
    if (totals.rows > 0 && (totals.first < from || totals.last > to)) return "the bounds";
    for (const SpanTotals::Part& part : totals.columns) {
      if (!Agrees(part, totals.runs, all)) return schema_.columns[part.column].name;
    }
    if (!totals.weighted.has_value()) return "";
    return WeightedAgree(*totals.weighted, totals.runs, all, *price, *size) ? "" : "weighted";
  }

 private:
  static uint64_t RowsIn(const std::vector<RowRun>& runs) {
    uint64_t rows = 0;
    for (const RowRun& run : runs) rows += run.end - run.begin;
    return rows;
  }

  bool Agrees(const SpanTotals::Part& part, const std::vector<RowRun>& edges,
              const std::vector<RowRun>& all) const {
    const column::TypeKind kind = part.total.type().kind;
    const bool is_float = column::IsFloat(kind);
    SlowTotal got;
    SlowTotal want;
    const auto add = [&](const std::vector<RowRun>& runs, SlowTotal* out) {
      for (const RowRun& run : runs) {
        for (uint32_t row = run.begin; row < run.end; ++row) {
          if (const auto number = NumberAt(*run.block, part.column, row, kind)) {
            out->Add(*number, is_float);
          }
        }
      }
    };
    add(edges, &got);
    add(all, &want);
    if (part.total.count() > 0) {
      const int64_t count = got.count + part.total.count();
      const exec::Int128 integer = got.integer + part.total.integer();
      exec::ExactSum real = got.real;
      real.Add(part.total.real());
      if (is_float) {
        got.Add({0, part.total.LeastReal()}, true);
        got.Add({0, part.total.GreatestReal()}, true);
      } else {
        got.Add({part.total.LeastInteger(), 0}, false);
        got.Add({part.total.GreatestInteger(), 0}, false);
      }
      got.count = count;
      got.integer = integer;
      got.real = real;
    }
    const auto same = [](const std::optional<Number>& a, const std::optional<Number>& b) {
      return a.has_value() == b.has_value() &&
             (!a || (a->integer == b->integer && SameReal(a->real, b->real)));
    };
    return got.count == want.count && got.integer == want.integer &&
           SameReal(got.real.Value(), want.real.Value()) && same(got.least, want.least) &&
           same(got.greatest, want.greatest);
  }

  bool WeightedAgree(const exec::WeightedTotals& totals, const std::vector<RowRun>& edges,
                     const std::vector<RowRun>& all, size_t price, size_t size) const {
    const column::TypeKind price_kind = schema_.columns[price].type.kind;
    const column::TypeKind size_kind = schema_.columns[size].type.kind;
    struct Sums {
      int64_t count = 0;
      exec::Int128 products = 0;
      exec::Int128 weights = 0;
      exec::ExactSum real_products;
      exec::ExactSum real_weights;
    };
    const auto add = [&](const std::vector<RowRun>& runs, Sums* out) {
      for (const RowRun& run : runs) {
        for (uint32_t row = run.begin; row < run.end; ++row) {
          const auto p = NumberAt(*run.block, price, row, price_kind);
          const auto s = NumberAt(*run.block, size, row, size_kind);
          if (!p || !s) continue;
          ++out->count;
          if (column::IsFloat(price_kind) && column::IsFloat(size_kind)) {
            out->real_products.Add(p->real * s->real);
            out->real_weights.Add(s->real);
          } else {
            out->products += p->integer * s->integer;
            out->weights += s->integer;
          }
        }
      }
    };
    Sums got;
    Sums want;
    add(edges, &got);
    add(all, &want);
    got.real_products.Add(totals.real_products());
    got.real_weights.Add(totals.real_weights());
    return totals.fits() && got.count + totals.count() == want.count &&
           got.products + totals.products() == want.products &&
           got.weights + totals.weights() == want.weights &&
           SameReal(got.real_products.Value(), want.real_products.Value()) &&
           SameReal(got.real_weights.Value(), want.real_weights.Value());
  }

  const SeriesSnapshot& snapshot_;
  const column::TableSchema& schema_;
};

}  // namespace proxist::hot
