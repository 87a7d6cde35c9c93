#include "proxist/shard/internal/live_cuts.h"

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
  cut.hold = std::make_shared<const char>();
  holds_.push_back({cut.published, Duration(now.ns() + hold.ns()), cut.hold});
  return cut;
}

Lsn LiveCuts::RewritesThrough(Duration now) {
  std::erase_if(holds_,
                [&](const Hold& hold) { return hold.until <= now || hold.cut_lives.expired(); });
  return holds_.empty() ? Lsn::Max() : holds_.front().cut;
}

}  // namespace proxist::shard::internal
