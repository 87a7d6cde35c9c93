// Marks of bars once, then the sums of each column, while a piece is in the cache.
#include "proxist/query/internal/swept_bars.h"

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

std::optional<SweptBars> SweptBars::Make(const Side& side, const Aggregates& aggregates,
                                         const exec::BarGrid& grid) {
  const std::optional<std::vector<PlainAggregate>> plain = aggregates.Plain(side);
  const std::optional<Duration> interval = grid.Even();
  if (!plain.has_value() || !interval.has_value() || interval->ns() >= exec::BarMarks::kReach) {
    return std::nullopt;
  }
  const column::TableSchema& schema = *side.schema();
  const auto is = [&](size_t column, TypeKind kind) {
    return schema.columns[column].type.kind == kind;
  };
  SweptBars out(grid);
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

size_t SweptBars::SumsOf(size_t value, std::optional<size_t> size) {
  for (size_t i = 0; i < sums_.size(); ++i) {
    if (sums_[i].value == value && sums_[i].size == size) return i;
  }
  sums_.push_back({value, size, exec::BarSums(size.has_value())});
  return sums_.size() - 1;
}

bool SweptBars::Begin(std::span<const Piece> pieces) {
  if (pieces.empty()) return false;
  const exec::BarGrid::Bar bar = grid_.At(Timestamp(pieces.front().first_ts()));
  // It may be cut short by the end of time.
  const int64_t length = bar.end.ns() - bar.start.ns();
  const Piece& last = pieces.back();
  if (length != grid_.Even()->ns() ||
      last.ts()[last.end - 1] - bar.start.ns() >= exec::BarMarks::kReach) {
    return false;
  }
  base_ = bar.start;
  marks_.Restart(base_, *grid_.Even());
  for (Sums& sums : sums_) sums.of.Restart();
  return true;
}

void SweptBars::Add(const Piece& piece, const Piece* ahead) {
  const size_t n = piece.end - piece.begin;
  if (ahead != nullptr) AskFor(*ahead, n);
  const std::span<const int64_t> ts(piece.ts() + piece.begin, n);
  const int64_t* times = ahead == nullptr ? nullptr : ahead->ts() + ahead->begin;
  if (sums_.empty()) marks_.Add(ts, times);
  for (size_t i = 0; i < sums_.size(); ++i) {
    Sums& sums = sums_[i];
    const auto values = [&](const Piece& of) { return ValuesAt<double>(of, sums.value); };
    const auto sizes = [&](const Piece& of) {
      return sums.size.has_value() ? ValuesAt<int64_t>(of, *sums.size) : nullptr;
    };
    // The prefetch of what lies beyond their ends is of no harm.
    exec::internal::Ahead next;
    if (ahead != nullptr) next = {times, values(*ahead), sizes(*ahead)};
    if (i == 0) {
      marks_.AddWith(ts, values(piece), sizes(piece), next, &sums.of);
    } else {
      sums.of.Add(values(piece), sizes(piece), n, marks_, next);
    }
  }
}

/// Rows of a piece from the n-th on: the kernels ask for those before it.
void SweptBars::AskFor(const Piece& piece, size_t n) const {
  const auto begin = static_cast<uint32_t>(piece.begin + n);
  const auto ask = [&](const void* values) {
    PrefetchRows(values, sizeof(int64_t), begin, piece.end);
  };
  ask(piece.ts());
  for (const Sums& sums : sums_) {
    ask(hot::ValuesOf(*piece.block, sums.value));
    if (sums.size.has_value()) ask(hot::ValuesOf(*piece.block, *sums.size));
  }
}

bool SweptBars::Fits() const {
  const uint32_t longest = marks_.Longest();
  return std::ranges::all_of(sums_, [&](const Sums& sums) { return sums.of.Fits(longest); });
}

bool SweptBars::BeginAgain() {
  if (marks_.Longest() > exec::BarSums::kLongest) return false;
  marks_.Restart(base_, *grid_.Even());
  return std::ranges::all_of(sums_, [](Sums& sums) { return sums.of.RestartWider(); });
}

int64_t SweptBars::RowsOf(size_t bar) const {
  const std::span<const uint32_t> rows = marks_.rows();
  return (bar + 1 < rows.size() ? rows[bar + 1] : marks_.row_count()) - rows[bar];
}

void SweptBars::Append(size_t first, size_t n, std::span<exec::Column> columns) {
  for (size_t i = 0; i < items_.size(); ++i) {
    exec::Column& out = columns[i];
    const size_t base = out.rows();
    std::byte* to = out.ExtendUnset(n);
    auto* reals = reinterpret_cast<double*>(to);
    exec::BarSums* sums = sums_.empty() ? nullptr : &sums_[items_[i].sums].of;
    switch (items_[i].kind) {
      case Kind::kSum:
        sums->Sums(first, n, reals);
        break;
      case Kind::kMean:
        sums->Sums(first, n, reals);
        for (size_t bar = 0; bar < n; ++bar) reals[bar] /= static_cast<double>(RowsOf(first + bar));
        break;
      case Kind::kVwap:
        if (!sums->Quotients(first, n, reals)) break;
        for (size_t bar = 0; bar < n; ++bar) {
          if (!sums->IsZero(first + bar)) continue;
          reals[bar] = 0;
          out.SetNull(base + bar);
        }
        break;
      default:
        for (size_t bar = 0; bar < n; ++bar) {
          reinterpret_cast<int64_t*>(to)[bar] = RowsOf(first + bar);
        }
    }
  }
}

void SweptBars::KeepLast() {
  marks_.KeepLast();
  for (Sums& sums : sums_) sums.of.KeepLast();
}

}  // namespace proxist::query::internal
