// One kernel for each kind of aggregate, over prefix sums that items share.
#include "proxist/query/internal/block_aggregates.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "proxist/base/check.h"
#include "proxist/exec/aggregate.h"

namespace proxist::query::internal {
namespace {

using column::Type;
using column::TypeKind;
using Kind = AggregateKind;

// A block and what is made of it stay in the second-level cache.
constexpr size_t kBlockRows = 4096;
// In this many bits a decimal's sum is below its limit.
constexpr int kDecimalBits = 59;
// Whole numbers of so many bits are float64 exactly.
constexpr int kRealBits = 53;

/// Values that come out as they are lie in blocks as they come out.
bool ComesOut(Type type) { return column::WidthOf(type.kind) == sizeof(int64_t); }

/// The places of `n` new values of a column that has eight bytes for each; they are not set yet.
template <typename T>
T* Extend(size_t n, exec::Column* out) {
  return reinterpret_cast<T*>(out->ExtendUnset(n));
}

}  // namespace

bool BlockAggregates::Supports(AggregateKind kind, Type type) {
  switch (kind) {
    case Kind::kRows:
      return true;
    case Kind::kCount:
    case Kind::kSum:
    case Kind::kMean:
    case Kind::kVwap:
    case Kind::kEma:
      return BlockRows::Holds(type);
    case Kind::kMin:
    case Kind::kMax:
    case Kind::kFirst:
    case Kind::kLast:
      return BlockRows::Holds(type) && ComesOut(type);
    default:
      return false;
  }
}

std::optional<BlockAggregates> BlockAggregates::Make(const Side& side, const Aggregates& aggregates,
                                                     bool overlapping) {
  const std::optional<std::vector<PlainAggregate>> plain = aggregates.Plain(side);
  if (!plain.has_value()) return std::nullopt;
  const column::TableSchema& schema = *side.schema();
  std::vector<size_t> columns;
  const auto use = [&](size_t column) {
    if (std::ranges::find(columns, column) == columns.end()) columns.push_back(column);
  };
  for (const PlainAggregate& one : *plain) {
    if (one.kind == Kind::kRows) continue;
    if (overlapping && (one.kind == Kind::kMin || one.kind == Kind::kMax)) return std::nullopt;
    if (!Supports(one.kind, schema.columns[one.value].type)) return std::nullopt;
    use(one.value);
    if (one.kind != Kind::kVwap) continue;
    if (!BlockRows::Holds(schema.columns[one.size].type)) return std::nullopt;
    use(one.size);
  }
  std::vector<Item> items;
  BlockRows rows(schema, columns);
  for (const PlainAggregate& one : *plain) {
    Item& item = items.emplace_back();
    item.of = one;
    if (one.kind == Kind::kRows) continue;
    item.value = rows.PlaceOf(one.value);
    if (one.kind == Kind::kVwap) item.size = rows.PlaceOf(one.size);
  }
  BlockAggregates out(std::move(rows), std::move(items));
  for (Item& item : out.items_) {
    if (item.of.kind == Kind::kSum || item.of.kind == Kind::kMean) {
      item.sums = out.SumsOf(item.value, std::nullopt);
    } else if (item.of.kind == Kind::kVwap) {
      item.sums = out.SumsOf(item.value, item.size);
      item.weights = out.SumsOf(item.size, std::nullopt);
    }
  }
  return out;
}

size_t BlockAggregates::SumsOf(size_t value, std::optional<size_t> size) {
  for (size_t i = 0; i < sums_.size(); ++i) {
    if (sums_[i].value == value && sums_[i].size == size) return i;
  }
  const bool real = rows_.is_real(value) || (size.has_value() && rows_.is_real(*size));
  sums_.push_back({value, size, real, {}, {}, true, {}});
  return sums_.size() - 1;
}

size_t BlockAggregates::RowBytes() const {
  size_t bytes = rows_.RowBytes();
  for (const Sums& sums : sums_) bytes += sizeof(int64_t) * (sums.real ? 3 : 1);
  return bytes;
}

void BlockAggregates::Restart() {
  rows_.Clear();
  charged_rows_ = 0;
  for (Item& item : items_) item.average.reset();
}

Status BlockAggregates::Load(PieceReader* reader, Budget* budget, std::vector<Piece>* taken) {
  reader->Take(std::max(kBlockRows, rows_.rows()), taken);
  for (size_t i = 0; i < taken->size(); ++i) {
    if (i + 1 < taken->size()) rows_.Prefetch((*taken)[i + 1]);
    rows_.Append((*taken)[i]);
  }
  // On its way while this block is worked on.
  if (!reader->done()) rows_.Prefetch(reader->Next());
  return ChargeGrowth(budget);
}

Status BlockAggregates::Load(PieceReader* reader, Budget* budget, BlockFilter* filter,
                             std::vector<Piece>* taken) {
  std::vector<Piece>* pieces = taken != nullptr ? taken : &filtered_;
  reader->Take(std::max(kBlockRows, rows_.rows()), pieces);
  if (taken != nullptr) {
    PX_RETURN_IF_ERROR(filter->Append(taken, &rows_));
  } else {
    PX_RETURN_IF_ERROR(filter->Append(std::span<const Piece>(filtered_), &rows_));
  }
  // On its way while this block is worked on.
  if (!reader->done()) rows_.Prefetch(reader->Next());
  return ChargeGrowth(budget);
}

Status BlockAggregates::ChargeGrowth(Budget* budget) {
  if (rows_.rows() <= charged_rows_) return OkStatus();
  const size_t grown = rows_.rows() - std::exchange(charged_rows_, rows_.rows());
  return budget->Charge(grown * RowBytes());
}

std::span<const double> BlockAggregates::RealsOf(size_t place, std::vector<double>* room) const {
  if (rows_.is_real(place)) return rows_.reals(place);
  room->resize(rows_.rows());
  exec::ToReals(rows_.wholes(place), rows_.scale(place), room->data());
  return *room;
}

bool BlockAggregates::LooksAtRows() const { return sums_.empty() && rows_.CanLookAt(); }

void BlockAggregates::LookAt(const Piece& piece, const Piece* next) { rows_.LookAt(piece, next); }

void BlockAggregates::Prepare(size_t longest) {
  for (Sums& sums : sums_) PrepareSums(longest, &sums);
}

void BlockAggregates::PrepareSums(size_t longest, Sums* sums) {
  if (!sums->real) {
    const std::span<const int64_t> values = rows_.wholes(sums->value);
    sums->fits = sums->size.has_value()
                     ? sums->wholes.AssignProducts(values, rows_.wholes(*sums->size), longest)
                     : sums->wholes.Assign(values, longest);
    return;
  }
  const std::span<const double> values = RealsOf(sums->value, &sums->room);
  if (!sums->size.has_value()) {
    sums->reals.Assign(values, longest);
  } else if (!rows_.is_real(*sums->size) && rows_.scale(*sums->size) == 0) {
    sums->reals.AssignProducts(values, rows_.wholes(*sums->size), longest);
  } else {
    sums->reals.AssignProducts(values, RealsOf(*sums->size, &room_), longest);
  }
}

bool BlockAggregates::LeavesTime(const Item& item) const {
  return item.of.kind == Kind::kEma && rows_.is_real(item.value);
}

Status BlockAggregates::Append(const exec::Parts& parts, std::span<exec::Column> columns,
                               std::span<const exec::WordCopy> copies) {
  PX_CHECK(columns.size() == items_.size());
  for (size_t i = 0; i < items_.size(); ++i) {
    if (!copies.empty() && LeavesTime(items_[i])) {
      const std::span<const double> values = rows_.reals(items_[i].value);
      const size_t first = parts.end[0] - 1;
      const double* ahead = rows_.reals_ahead(items_[i].value);
      exec::MovingAverages(values.subspan(first, parts.size()), items_[i].of.parameter,
                           &items_[i].average, copies, Extend<double>(parts.size(), &columns[i]),
                           ahead == nullptr ? nullptr : ahead + first);
      copies = {};
      continue;
    }
    PX_RETURN_IF_ERROR(AppendItem(parts, &items_[i], &columns[i]));
  }
  for (const exec::WordCopy& copy : copies) {
    std::memcpy(copy.to, copy.from, parts.size() * sizeof(int64_t));
  }
  return OkStatus();
}

Status BlockAggregates::AppendItem(const exec::Parts& parts, Item* item, exec::Column* out) {
  switch (item->of.kind) {
    case Kind::kRows:
    case Kind::kCount: {
      auto* to = Extend<int64_t>(parts.size(), out);
      for (size_t i = 0; i < parts.size(); ++i) to[i] = parts.end[i] - parts.begin[i];
      return OkStatus();
    }
    case Kind::kSum:
    case Kind::kMean:
      return AppendSums(parts, *item, out);
    case Kind::kVwap: {
      const Sums& weights = sums_[*item->weights];
      const Sums& products = sums_[*item->sums];
      const bool fits =
          weights.fits && products.fits &&
          (!products.real || (rows_.scale(item->size) == 0 &&
                              (weights.real || weights.wholes.value_bits() <= kRealBits)));
      if (!fits) return AppendSlowly(parts, *item, out);
      AppendVwap(parts, *item, out);
      return OkStatus();
    }
    case Kind::kFirst:
    case Kind::kLast:
      AppendEnds(parts, *item, out);
      return OkStatus();
    case Kind::kMin:
    case Kind::kMax:
      AppendExtremes(parts, *item, out);
      return OkStatus();
    case Kind::kEma:
      AppendAverage(parts, item, out);
      return OkStatus();
    default:
      return Internal("no kernel for {}", item->of.text);
  }
}

Status BlockAggregates::AppendSums(const exec::Parts& parts, const Item& item, exec::Column* out) {
  const Sums& sums = sums_[*item.sums];
  if (sums.real) {
    auto* to = Extend<double>(parts.size(), out);
    item.of.kind == Kind::kSum ? sums.reals.Sums(parts, to) : sums.reals.Means(parts, to);
    return OkStatus();
  }
  const bool decimal = item.of.type.kind == TypeKind::kDecimal;
  if (!sums.fits || (decimal && sums.wholes.sum_bits() > kDecimalBits)) {
    return AppendSlowly(parts, item, out);
  }
  if (item.of.kind == Kind::kMean) {
    sums.wholes.Means(parts, rows_.scale(item.value), Extend<double>(parts.size(), out));
    return OkStatus();
  }
  auto* to = Extend<int64_t>(parts.size(), out);
  for (size_t i = 0; i < parts.size(); ++i) {
    to[i] = sums.wholes.Sum(parts.begin[i], parts.end[i]);
  }
  return OkStatus();
}

void BlockAggregates::AppendVwap(const exec::Parts& parts, const Item& item, exec::Column* out) {
  const Sums& products = sums_[*item.sums];
  const Sums& weights = sums_[*item.weights];
  const size_t base = out->rows();
  auto* to = Extend<double>(parts.size(), out);
  bool any_zero = false;
  if (!products.real) {
    any_zero = products.wholes.Quotients(weights.wholes, parts, rows_.scale(item.value), to);
  } else if (weights.real) {
    any_zero = products.reals.Quotients(weights.reals, parts, &room_, to);
  } else {
    any_zero = products.reals.Quotients(weights.wholes, parts, to);
  }
  if (!any_zero) return;
  for (size_t i = 0; i < parts.size(); ++i) {
    const bool zero =
        weights.real ? room_[i] == 0 : weights.wholes.Sum(parts.begin[i], parts.end[i]) == 0;
    if (!zero) continue;
    to[i] = 0;
    out->SetNull(base + i);
  }
}

void BlockAggregates::AppendEnds(const exec::Parts& parts, const Item& item,
                                 exec::Column* out) const {
  const auto copy = [&](const auto* values, auto* to) {
    for (size_t i = 0; i < parts.size(); ++i) {
      to[i] = values[item.of.kind == Kind::kFirst ? parts.begin[i] : parts.end[i] - 1];
    }
  };
  if (rows_.is_real(item.value)) {
    copy(rows_.reals(item.value).data(), Extend<double>(parts.size(), out));
  } else {
    copy(rows_.wholes(item.value).data(), Extend<int64_t>(parts.size(), out));
  }
}

void BlockAggregates::AppendExtremes(const exec::Parts& parts, const Item& item,
                                     exec::Column* out) const {
  const bool greatest = item.of.kind == Kind::kMax;
  if (rows_.is_real(item.value)) {
    exec::PartExtremes(rows_.reals(item.value), parts, greatest, Extend<double>(parts.size(), out));
  } else {
    exec::PartExtremes(rows_.wholes(item.value), parts, greatest,
                       Extend<int64_t>(parts.size(), out));
  }
}

void BlockAggregates::AppendAverage(const exec::Parts& parts, Item* item, exec::Column* out) const {
  auto* to = Extend<double>(parts.size(), out);
  const double alpha = item->of.parameter;
  const auto run = [&](const auto& value_at) {
    double average = item->average.value_or(0);
    size_t i = 0;
    if (!item->average.has_value()) {
      average = to[i] = value_at(parts.end[i] - 1);
      ++i;
    }
    for (; i < parts.size(); ++i) {
      average = alpha * value_at(parts.end[i] - 1) + (1 - alpha) * average;
      to[i] = average;
    }
    item->average = average;
  };
  if (parts.size() == 0) return;
  if (rows_.is_real(item->value)) {
    const double* values = rows_.reals(item->value).data();
    run([values](uint32_t row) { return values[row]; });
  } else {
    const int64_t* values = rows_.wholes(item->value).data();
    const uint8_t scale = rows_.scale(item->value);
    run([values, scale](uint32_t row) {
      double value = 0;
      exec::ToReals({values + row, 1}, scale, &value);
      return value;
    });
  }
}

Status BlockAggregates::AppendSlowly(const exec::Parts& parts, const Item& item,
                                     exec::Column* out) const {
  const uint32_t begin = parts.begin.front();
  const uint32_t end = parts.end.back();
  exec::Slices slices;
  slices.order.resize(end - begin);
  std::iota(slices.order.begin(), slices.order.end(), 0);
  for (size_t i = 0; i < parts.size(); ++i) {
    slices.begin.push_back(parts.begin[i] - begin);
    slices.end.push_back(parts.end[i] - begin);
  }
  const exec::Column values = rows_.Slice(item.value, begin, end);
  StatusOr<exec::Column> result = [&]() -> StatusOr<exec::Column> {
    if (item.of.kind == Kind::kSum) return exec::Sum(slices, values, item.of.text);
    if (item.of.kind == Kind::kMean) return exec::Mean(slices, values, item.of.text);
    return exec::Vwap(slices, values, rows_.Slice(item.size, begin, end), item.of.text);
  }();
  PX_RETURN_IF_ERROR(result.status());
  out->AppendRange(*result, 0, result->rows());
  return OkStatus();
}

}  // namespace proxist::query::internal
