// Sums of counts and times; one seam of each table and shard.
#include "proxist/query/internal/explain.h"

#include <algorithm>

namespace proxist::query::internal {
namespace {

void Sum(Duration* total, Duration more) { *total = Duration(total->ns() + more.ns()); }

}  // namespace

void AddSeam(Explain* explain, ShardId shard, const std::string& table, Lsn cut, Lsn persisted,
             Timestamp floor) {
  const auto known = std::ranges::find_if(explain->seams, [&](const Explain::Seam& seam) {
    return seam.shard == shard && seam.table == table;
  });
  if (known == explain->seams.end()) {
    explain->seams.push_back({shard, table, cut, persisted, floor});
    return;
  }
  known->floor = std::max(known->floor, floor);
  known->persisted = std::max(known->persisted, persisted);
}

void AddTo(Explain* explain, const Explain& more) {
  for (const Explain::Seam& seam : more.seams) {
    AddSeam(explain, seam.shard, seam.table, seam.cut, seam.persisted, seam.floor);
  }
  explain->rows_hot += more.rows_hot;
  explain->rows_in_place += more.rows_in_place;
  explain->rows_cold += more.rows_cold;
  explain->rows_in_totals += more.rows_in_totals;
  explain->history_reads += more.history_reads;
  Sum(&explain->hot, more.hot);
  Sum(&explain->cold, more.cold);
  Sum(&explain->compute, more.compute);
}

}  // namespace proxist::query::internal
