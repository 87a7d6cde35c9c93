// Aggregates that share a column share its sums.
#include "proxist/query/internal/swept_sums.h"

#include <algorithm>

#include "proxist/query/internal/piece_columns.h"

namespace proxist::query::internal {
namespace {

using column::TypeKind;
using Kind = AggregateKind;

template <typename T>
const T* ValuesAt(const Piece& piece, size_t column) {
  return reinterpret_cast<const T*>(hot::ValuesOf(*piece.block, column)) + piece.begin;
}

}  // namespace

std::optional<SweptSums> SweptSums::Make(const Side& side, const Aggregates& aggregates) {
  const std::optional<std::vector<PlainAggregate>> plain = aggregates.Plain(side);
  if (!plain.has_value()) return std::nullopt;
  const column::TableSchema& schema = *side.schema();
  const auto is = [&](size_t column, TypeKind kind) {
    return schema.columns[column].type.kind == kind;
  };
  SweptSums out;
  for (const PlainAggregate& one : *plain) {
    Item& item = out.items_.emplace_back(Item{one.kind});
    if (one.kind == Kind::kRows) continue;
    if (!is(one.value, TypeKind::kFloat64)) return std::nullopt;
    switch (one.kind) {
      case Kind::kCount:
        break;
      case Kind::kSum:
      case Kind::kMean:
        item.sums = out.SumsOf(one.value, std::nullopt);
        break;
      case Kind::kVwap:
        if (!is(one.size, TypeKind::kInt64)) return std::nullopt;
        item.sums = out.SumsOf(one.value, one.size);
        break;
      default:
        return std::nullopt;
    }
  }
  return out;
}

size_t SweptSums::SumsOf(size_t value, std::optional<size_t> size) {
  for (size_t i = 0; i < sums_.size(); ++i) {
    if (sums_[i].value == value && sums_[i].size == size) return i;
  }
  sums_.push_back({value, size, exec::BarSums(size.has_value())});
  return sums_.size() - 1;
}

void SweptSums::Restart() {
  for (Sums& sums : sums_) sums.of.Restart();
}

bool SweptSums::RestartWider() {
  return std::ranges::all_of(sums_, [](Sums& sums) { return sums.of.RestartWider(); });
}

bool SweptSums::Fits(uint32_t longest) const {
  return std::ranges::all_of(sums_, [&](const Sums& sums) { return sums.of.Fits(longest); });
}

const double* SweptSums::Values(const Piece& piece, size_t sums) const {
  return ValuesAt<double>(piece, sums_[sums].value);
}

const int64_t* SweptSums::Weights(const Piece& piece, size_t sums) const {
  const std::optional<size_t> size = sums_[sums].size;
  return size.has_value() ? ValuesAt<int64_t>(piece, *size) : nullptr;
}

exec::internal::Ahead SweptSums::Ahead(const Piece* piece, size_t sums) const {
  if (piece == nullptr) return {};
  // The prefetch of what lies beyond their ends is of no harm.
  return {piece->ts() + piece->begin, Values(*piece, sums), Weights(*piece, sums)};
}

void SweptSums::AskFor(const Piece& piece, size_t skip) const {
  const auto begin = static_cast<uint32_t>(piece.begin + skip);
  const auto ask = [&](const void* values) {
    PrefetchRows(values, sizeof(int64_t), begin, piece.end);
  };
  ask(piece.ts());
  for (const Sums& sums : sums_) {
    ask(hot::ValuesOf(*piece.block, sums.value));
    if (sums.size.has_value()) ask(hot::ValuesOf(*piece.block, *sums.size));
  }
}

}  // namespace proxist::query::internal
