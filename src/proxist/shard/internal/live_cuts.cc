#include "proxist/shard/internal/live_cuts.h"

#include <algorithm>

#include "proxist/shard/internal/keys.h"

namespace proxist::shard::internal {

Status LoadRewrittenDays(meta::MetadataStore* metadata, Backlog* backlog) {
  PX_ASSIGN_OR_RETURN(const auto marks, metadata->List(kDirtyPrefix));
  for (const meta::Entry& mark : marks) {
    PX_ASSIGN_OR_RETURN(const auto marked, ParseDirtyKey(mark.key));
    backlog->NoteRewritten(marked.first, marked.second);
  }
  return OkStatus();
}

LiveCut LiveCuts::Fix(ShardId shard, const hot::Store& store, Backlog* backlog, Duration now,
                      Duration hold) {
  LiveCut cut;
  cut.shard = shard;
  cut.persisted = store.persisted();
  cut.published = store.published();
  cut.others_persisted = backlog->others_dropped();
  cut.held = backlog->held();
  cut.rows = backlog->PinAbove(cut.persisted, shard);
  for (const auto& [table, days] : backlog->rewritten()) {
    cut.rewritten_days.emplace(table, std::vector<Day>(days.begin(), days.end()));
  }
  RewritesThrough(now);
  const Duration until(now.ns() + hold.ns());
  if (holds_.empty() || holds_.back().first < cut.published) {
    holds_.emplace_back(cut.published, until);
  } else {
    holds_.back().second = std::max(holds_.back().second, until);
  }
  return cut;
}

Lsn LiveCuts::RewritesThrough(Duration now) {
  while (!holds_.empty() && holds_.front().second <= now) holds_.pop_front();
  return holds_.empty() ? Lsn::Max() : holds_.front().first;
}

}  // namespace proxist::shard::internal
