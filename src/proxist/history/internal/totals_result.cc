// Sums are of integers, so rows can be taken back from them without a trace. Extremes keep the rows
// that stay, which changes nothing, since these count again.
#include "proxist/history/internal/totals_result.h"

#include <bit>
#include <cmath>
#include <iterator>
#include <optional>
#include <utility>

#include "proxist/base/check.h"
#include "proxist/history/internal/push_down_sql.h"
#include "proxist/history/internal/read_result.h"

namespace proxist::history {
namespace {

using column::TypeKind;
using exec::Int128;

constexpr std::string_view kInexact =
    "a value in the span cannot be added up exactly in ClickHouse";

Int128 IntegerAt(const column::ColumnView& view, size_t row) {
  switch (view.type.kind) {
    case TypeKind::kInt8:
      return view.At<int8_t>(row);
    case TypeKind::kInt16:
      return view.At<int16_t>(row);
    case TypeKind::kInt32:
      return view.At<int32_t>(row);
    case TypeKind::kUint8:
      return view.At<uint8_t>(row);
    case TypeKind::kUint16:
      return view.At<uint16_t>(row);
    case TypeKind::kUint32:
      return view.At<uint32_t>(row);
    case TypeKind::kUint64:
      return view.At<uint64_t>(row);
    default:
      return view.At<int64_t>(row);
  }
}

double RealAt(const column::ColumnView& view, size_t row) {
  if (view.type.kind == TypeKind::kFloat32) return static_cast<double>(view.At<float>(row));
  return view.At<double>(row);
}

/// The columns that stand after the rows, read one after the other.
class TotalsReader {
 public:
  explicit TotalsReader(const std::vector<NativeColumn>& columns) : columns_(columns) {}
  void Start(size_t line) {
    line_ = line;
    next_ = 0;
  }
  uint64_t Word() {
    PX_CHECK(next_ < columns_.size());
    return LoadAt<uint64_t>(columns_[next_++].values.data(), line_);
  }
  Int128 Wide() {
    const uint64_t low = Word();
    const uint64_t high = Word();
    return static_cast<Int128>((static_cast<exec::Uint128>(high) << 64) | low);
  }

 private:
  const std::vector<NativeColumn>& columns_;
  size_t line_ = 0;
  size_t next_ = 0;
};

/// A sum of floats as ClickHouse gives it.
struct FloatParts {
  Int128 high = 0;
  Int128 low = 0;
  void TakeBack(double x) {
    const double high_part = std::trunc(std::ldexp(x, kHighBits));
    high -= static_cast<Int128>(high_part);
    low -= static_cast<Int128>(std::ldexp(x - std::ldexp(high_part, -kHighBits), kLowBits));
  }
  [[nodiscard]] std::optional<exec::PackedSum> Pack() const {
    exec::ExactSum sum;
    AddTo(high, -kHighBits, &sum);
    AddTo(low, -kLowBits, &sum);
    return exec::PackedSum::Of(sum);
  }

 private:
  /// value * 2^exponent.
  static void AddTo(Int128 value, int exponent, exec::ExactSum* sum) {
    const double sign = value < 0 ? -1 : 1;
    auto left = value < 0 ? -static_cast<exec::Uint128>(value) : static_cast<exec::Uint128>(value);
    for (; left != 0; left >>= 32, exponent += 32) {
      sum->Add(sign * std::ldexp(static_cast<double>(static_cast<uint32_t>(left)), exponent));
    }
  }
};

class GroupMaker {
 public:
  GroupMaker(const TotalsRequest& request, const ReadResult& ends)
      : request_(request), ends_(ends) {}

  /// Nothing when a sum is not exact.
  bool Make(TotalsReader* in, TotalsGroup* group) {
    for (const size_t index : request_.columns) {
      const column::ColumnView& view = ends_.batch.columns[index];
      auto total = OfColumn(view, in, *group);
      if (!total.has_value()) return false;
      group->columns.push_back(std::move(*total));
    }
    return !request_.weighted.has_value() || Weigh(in, group);
  }

 private:
  /// `taken(row)` for each row that stays and has all the values.
  template <typename... Views, typename Take>
  static uint64_t TakeBack(const TotalsGroup& group, uint64_t count, Take take,
                           const Views&... views) {
    for (size_t row = group.first; row < group.first + group.count; ++row) {
      if (!(views.IsValid(row) && ...)) continue;
      take(row);
      --count;
    }
    return count;
  }

  static std::optional<exec::PackedSum> ReadFloats(TotalsReader* in, FloatParts* parts,
                                                   const std::function<void()>& take_back) {
    parts->high = in->Wide();
    parts->low = in->Wide();
    if (in->Word() != 0) return std::nullopt;
    take_back();
    return parts->Pack();
  }

  static std::optional<exec::ColumnTotals> OfColumn(const column::ColumnView& view,
                                                    TotalsReader* in, const TotalsGroup& group) {
    exec::PackedTotals packed;
    uint64_t count = in->Word();
    if (column::IsFloat(view.type.kind)) {
      FloatParts parts;
      const auto sum = ReadFloats(in, &parts, [&] {
        count = TakeBack(
            group, count, [&](size_t row) { parts.TakeBack(RealAt(view, row)); }, view);
      });
      if (!sum.has_value()) return std::nullopt;
      packed.sum = *sum;
    } else {
      Int128 sum = in->Wide();
      count = TakeBack(
          group, count, [&](size_t row) { sum -= IntegerAt(view, row); }, view);
      packed.sum = exec::PackedSum(sum);
    }
    packed.least = in->Word();
    packed.greatest = in->Word();
    packed.count = static_cast<uint32_t>(count);
    exec::ColumnTotals total(view.type);
    if (count > 0) total.Add(packed);
    return total;
  }

  bool Weigh(TotalsReader* in, TotalsGroup* group) const {
    const column::ColumnView& value = ends_.batch.columns[request_.weighted->first];
    const column::ColumnView& weight = ends_.batch.columns[request_.weighted->second];
    exec::PackedWeighted packed;
    uint64_t count = in->Word();
    if (column::IsFloat(value.type.kind)) {
      FloatParts products;
      FloatParts weights;
      const auto p = ReadFloats(in, &products, [&] {
        TakeBack(
            *group, count,
            [&](size_t row) { products.TakeBack(RealAt(value, row) * RealAt(weight, row)); }, value,
            weight);
      });
      const auto w = ReadFloats(in, &weights, [&] {
        count = TakeBack(
            *group, count, [&](size_t row) { weights.TakeBack(RealAt(weight, row)); }, value,
            weight);
      });
      if (!p.has_value() || !w.has_value()) return false;
      packed.products = *p;
      packed.weights = *w;
    } else {
      Int128 products = in->Wide();
      Int128 weights = in->Wide();
      if (in->Word() != 0) return false;
      count = TakeBack(
          *group, count,
          [&](size_t row) {
            products -= IntegerAt(value, row) * IntegerAt(weight, row);
            weights -= IntegerAt(weight, row);
          },
          value, weight);
      packed.products = exec::PackedSum(products);
      packed.weights = exec::PackedSum(weights);
    }
    packed.count = static_cast<uint32_t>(count);
    group->weighted.emplace(value.type, weight.type);
    if (count > 0) group->weighted->Add(packed);
    return true;
  }

  const TotalsRequest& request_;
  const ReadResult& ends_;
};

}  // namespace

StatusOr<TotalsResult> MakeTotalsResult(const TotalsRequest& request,
                                        const std::vector<size_t>& declared, NativeReader reader) {
  const size_t added = TotalsColumns(request).size();
  std::vector<NativeColumn>& all = reader.columns();
  PX_CHECK(all.size() > added);
  const auto tail = all.end() - static_cast<std::ptrdiff_t>(added);
  const std::vector<NativeColumn> totals(std::make_move_iterator(tail),
                                         std::make_move_iterator(all.end()));
  all.erase(tail, all.end());
  TotalsResult result;
  PX_ASSIGN_OR_RETURN(result.ends,
                      MakeReadResult(request.rows.schema, declared, std::move(reader)));
  GroupMaker maker(request, result.ends);
  TotalsReader in(totals);
  const size_t lines = result.ends.batch.rows;
  for (size_t line = 0; line < lines;) {
    TotalsGroup group;
    group.first = line;
    in.Start(line);
    if (in.Word() != 0) return DataLoss("row {} of ClickHouse's answer has no first row", line);
    const uint64_t rows = in.Word();
    group.count = 1;
    if (line + 1 < lines) {
      in.Start(line + 1);
      if (in.Word() != 0) group.count = 2;
    }
    if (rows < group.count) return DataLoss("row {} of ClickHouse's answer stands for none", line);
    if (rows > kMostRowsOfSum) return Unimplemented("{}", kInexact);
    group.rows = rows - group.count;
    in.Start(line);
    in.Word();
    in.Word();
    if (!maker.Make(&in, &group)) return Unimplemented("{}", kInexact);
    line += group.count;
    result.groups.push_back(std::move(group));
  }
  return result;
}

}  // namespace proxist::history
