#include "proxist/server/live_seams.h"

#include "proxist/column/batch.h"

namespace proxist::server {

struct LiveSeams::Query {
  Mutex fixing;  // held while the shards are asked, so that one request does; guards `seam`
  std::shared_ptr<const LiveSeam> seam;
  // Under the registry's mutex.
  Duration used;
  std::list<Key>::iterator place;
  std::shared_ptr<const LiveSeam> pinned;
};

LiveSeams::LiveSeams(const env::Clock* clock, std::vector<ShardRunner*> shards,
                     const Bounds& bounds, std::function<std::map<TableId, Day>()> least)
    : clock_(clock), shards_(std::move(shards)), bounds_(bounds), least_(std::move(least)) {}
LiveSeams::~LiveSeams() = default;

bool LiveSeams::AtBound() const {
  return queries_.size() >= bounds_.max_queries || stats_.bytes >= bounds_.max_bytes;
}

void LiveSeams::Drop(Queries::iterator at) {
  Query& query = *at->second;
  by_use_.erase(query.place);
  if (query.pinned != nullptr) {
    for (const shard::LiveCut& cut : query.pinned->cuts) {
      for (const auto& batch : cut.rows) {
        const auto pin = pins_.find(batch.get());
        if (--pin->second.first > 0) continue;
        stats_.bytes -= pin->second.second;
        pins_.erase(pin);
      }
    }
  }
  queries_.erase(at);
}

void LiveSeams::DropOldest(Duration idle, Duration now) {
  const auto oldest = queries_.find(by_use_.front());
  if (now.ns() - oldest->second->used.ns() >= idle.ns()) Drop(oldest);
}

StatusOr<std::shared_ptr<LiveSeams::Query>> LiveSeams::Enter(const Key& key, bool fix,
                                                             Duration now) {
  MutexLock lock(&mutex_);
  const auto found = queries_.find(key);
  if (found != queries_.end()) {
    found->second->used = now;
    by_use_.splice(by_use_.end(), by_use_, found->second->place);
    return found->second;
  }
  if (!fix) {
    return NotFound(
        "the rows of query '{}' were let go: it asked for none for {}, or more queries than fit "
        "came meanwhile (--live-pin-s, --live-max-queries, --live-pinned-mb)",
        key.first, FormatDuration(bounds_.keep));
  }
  for (size_t before = queries_.size() + 1; AtBound() && !queries_.empty();) {
    if (queries_.size() == before) break;
    before = queries_.size();
    DropOldest(bounds_.least, now);
  }
  if (AtBound()) {
    ++stats_.refused;
    return ResourceExhausted(
        "{} queries over live views pin {} bytes, the bounds are {} and {} (--live-max-queries, "
        "--live-pinned-mb): ask again in a moment, or ask the tables named ..._history",
        queries_.size(), stats_.bytes, bounds_.max_queries, bounds_.max_bytes);
  }
  auto query = std::make_shared<Query>();
  query->used = now;
  query->place = by_use_.insert(by_use_.end(), key);
  queries_.emplace(key, query);
  return query;
}

Status LiveSeams::Pin(const Key& key, const std::shared_ptr<Query>& query,
                      const std::shared_ptr<const LiveSeam>& seam) {
  MutexLock lock(&mutex_);
  const auto found = queries_.find(key);
  if (found == queries_.end() || found->second != query) {
    return NotFound("query '{}' is over", key.first);
  }
  query->pinned = seam;
  ++stats_.fixed;
  for (const shard::LiveCut& cut : query->pinned->cuts) {
    for (const auto& batch : cut.rows) {
      auto& [count, bytes] = pins_[batch.get()];
      if (count++ > 0) continue;
      bytes = column::SizeBytes(batch->batch);
      stats_.bytes += bytes;
    }
  }
  return OkStatus();
}

StatusOr<std::shared_ptr<const LiveSeam>> LiveSeams::Of(std::string_view start, std::string_view id,
                                                        bool fix) {
  const Key key{std::string(id), std::string(start)};
  PX_ASSIGN_OR_RETURN(const std::shared_ptr<Query> query, Enter(key, fix, clock_->Monotonic()));
  MutexLock fixing(&query->fixing);
  if (query->seam == nullptr) {
    auto seam = std::make_shared<LiveSeam>();
    if (least_ != nullptr) seam->least = least_();
    for (ShardRunner* shard : shards_) {
      shard->Run([&](shard::Shard& at) { seam->cuts.push_back(at.FixLiveCut(bounds_.hold)); });
    }
    PX_RETURN_IF_ERROR(Pin(key, query, seam));
    query->seam = std::move(seam);
  }
  return query->seam;
}

Status LiveSeams::CheckNotOvertaken(const LiveSeam& seam, TableId table) {
  for (size_t i = 0; i < shards_.size(); ++i) {
    const Lsn handed = shards_[i]->RewriteHandedToFlush(table);
    if (handed <= seam.cuts[i].published) continue;
    MutexLock lock(&mutex_);
    ++stats_.overtaken;
    return Aborted(
        "a correction went to history while the query was planned, which took longer than {}: ask "
        "again",
        FormatDuration(bounds_.hold));
  }
  return OkStatus();
}

void LiveSeams::Release(std::string_view id) {
  MutexLock lock(&mutex_);
  for (auto at = queries_.lower_bound(Key(std::string(id), ""));
       at != queries_.end() && at->first.first == id;) {
    Drop(at++);
  }
}

void LiveSeams::Sweep() {
  const Duration now = clock_->Monotonic();
  MutexLock lock(&mutex_);
  for (size_t before = queries_.size() + 1; !queries_.empty() && queries_.size() < before;) {
    before = queries_.size();
    DropOldest(bounds_.keep, now);
  }
}

LiveSeams::Stats LiveSeams::stats() const {
  MutexLock lock(&mutex_);
  Stats stats = stats_;
  stats.queries = queries_.size();
  return stats;
}

}  // namespace proxist::server
