// Bounded background work: compaction, late rows, reclamation.
#include <algorithm>

#include "proxist/hot/internal/reading.h"
#include "proxist/hot/internal/store_state.h"

namespace proxist::hot {

using internal::RowRef;
using internal::Series;
using internal::SeriesState;
using internal::Table;

namespace {

constexpr size_t kReclaimPerCall = 4096;
constexpr size_t kSeriesPerCall = 64;
// Whose overlays may not be mergeable yet: to find that out costs a search for each of their rows.
constexpr size_t kCompactionsTried = 4;
constexpr size_t kPersistedHistory = 256;

}  // namespace

void Store::SetPersisted(Lsn lsn) {
  if (lsn.value() <= impl_->persisted.load(std::memory_order_relaxed)) return;
  impl_->persisted.store(lsn.value());
  const uint64_t epoch = impl_->epochs.Advance();
  auto& history = impl_->persisted_history;
  // When full, the newest takes the place of the one before it: it merely settles later.
  if (history.size() == kPersistedHistory) history.pop_back();
  history.emplace_back(lsn.value(), epoch);
}

void Store::Impl::SettlePersisted() {
  const uint64_t least = epochs.LeastPinned();
  while (!persisted_history.empty() && persisted_history.front().second < least) {
    settled_persisted = persisted_history.front().first;
    persisted_history.pop_front();
  }
}

bool Store::Maintain() {
  Impl& store = *impl_;
  bool more = store.DropLateRows();
  size_t tried = 0;
  const size_t due = std::min(store.due.size(), kSeriesPerCall);
  for (size_t looked = 0; looked < due && tried < kCompactionsTried; ++looked) {
    Series* series = store.due.front();
    store.due.pop_front();
    const Impl::Step step = store.Compact(series);
    if (step == Impl::Step::kDone) {
      series->compaction_due = false;
    } else {
      store.due.push_back(series);
    }
    if (step == Impl::Step::kUntried) continue;
    ++tried;
    if (step != Impl::Step::kNothing) {
      more = more || step == Impl::Step::kMore || looked + 1 < store.due.size();
      break;
    }
  }
  return store.epochs.Reclaim(kReclaimPerCall) || more;
}

bool Store::Impl::DropLateRows() {
  SettlePersisted();
  if (late_left == 0) {
    if (late_checked == settled_persisted) return false;
    late_checked = settled_persisted;
    late_left = late.size();
  }
  const size_t n = std::min(late_left, kSeriesPerCall);
  late_left -= n;
  for (size_t i = 0; i < n; ++i) {
    Series* series = late.front();
    late.pop_front();
    const SeriesState& state = series->current();
    Table* table = series->table;
    std::vector<RowRef> kept;
    bool still_late = false;
    const uint32_t rows = state.overlay == nullptr ? 0 : state.overlay->rows();
    for (uint32_t row = 0; row < rows; ++row) {
      const bool is_late = state.overlay->ts()[row] <= state.floor;
      if (is_late && state.overlay->lsn(row) <= settled_persisted) continue;
      still_late = still_late || is_late;
      kept.push_back({state.overlay, row});
    }
    if (kept.size() < rows) {
      SeriesState next = state;
      next.overlay = nullptr;
      if (!kept.empty()) {
        next.overlay =
            blocks.NewOverlay(*table->layout, static_cast<uint32_t>(kept.size()), &table->account);
        blocks.Append(next.overlay, *table->layout, kept);
      }
      Swap(series, next);
      table->rows.fetch_sub(rows - kept.size(), std::memory_order_relaxed);
      table->overlay_rows.fetch_sub(rows - kept.size(), std::memory_order_relaxed);
    }
    series->has_late = still_late;
    if (still_late) late.push_back(series);
  }
  return late_left > 0;
}

}  // namespace proxist::hot
