// A window is the difference of two sums.
#include "proxist/query/internal/swept_windows.h"

#include <algorithm>

namespace proxist::query::internal {

using Kind = AggregateKind;

void SweptWindows::Restart() {
  ts_.clear();
  sums_.Restart();
}

bool SweptWindows::BeginAgain() {
  ts_.clear();
  return sums_.RestartWider();
}

void SweptWindows::Add(const Piece& piece, const Piece* ahead) {
  const size_t n = piece.end - piece.begin;
  if (ahead != nullptr) sums_.AskFor(*ahead, sums_.size() == 0 ? 0 : n);
  ts_.insert(ts_.end(), piece.ts() + piece.begin, piece.ts() + piece.end);
  for (size_t i = 0; i < sums_.size(); ++i) {
    sums_.of(i).AddEach(sums_.Values(piece, i), sums_.Weights(piece, i), n, sums_.Ahead(ahead, i));
  }
}

bool SweptWindows::Fits(size_t longest) const {
  return sums_.Fits(static_cast<uint32_t>(std::min<size_t>(longest, UINT32_MAX)));
}

void SweptWindows::Append(const exec::Parts& windows, std::span<exec::Column> columns) {
  for (size_t i = 0; i < sums_.items().size(); ++i) {
    const SweptSums::Item& item = sums_.items()[i];
    exec::Column& out = columns[i];
    const size_t base = out.rows();
    std::byte* to = out.ExtendUnset(windows.size());
    auto* reals = reinterpret_cast<double*>(to);
    exec::BarSums* sums = sums_.size() == 0 ? nullptr : &sums_.of(item.sums);
    switch (item.kind) {
      case Kind::kSum:
        sums->WindowSums(windows, reals);
        break;
      case Kind::kMean:
        sums->WindowMeans(windows, reals);
        break;
      case Kind::kVwap:
        if (!sums->WindowQuotients(windows, reals)) break;
        for (size_t k = 0; k < windows.size(); ++k) {
          if (!sums->WindowIsZero(windows.begin[k], windows.end[k])) continue;
          reals[k] = 0;
          out.SetNull(base + k);
        }
        break;
      default:
        for (size_t k = 0; k < windows.size(); ++k) {
          reinterpret_cast<int64_t*>(to)[k] = windows.end[k] - windows.begin[k];
        }
    }
  }
}

void SweptWindows::DropFront(size_t n) {
  ts_.erase(ts_.begin(), ts_.begin() + static_cast<ptrdiff_t>(n));
  for (size_t i = 0; i < sums_.size(); ++i) sums_.of(i).DropFront(n);
}

}  // namespace proxist::query::internal
