#include "proxist/shard/internal/backlog.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace proxist::shard::internal {
namespace {

std::pair<Timestamp, Timestamp> LeastAndGreatest(const column::Batch& batch) {
  Timestamp least = Timestamp::Max();
  Timestamp greatest = Timestamp::Min();
  for (size_t row = 0; row < batch.rows; ++row) {
    const Timestamp ts(batch.ts.At<int64_t>(row));
    least = std::min(least, ts);
    greatest = std::max(greatest, ts);
  }
  return {least, greatest};
}

void Raise(std::map<TableId, Timestamp>* times, TableId table, Timestamp ts) {
  Timestamp& time = times->try_emplace(table, Timestamp::Min()).first->second;
  time = std::max(time, ts);
}

}  // namespace

void Backlog::Add(column::Batch batch, Lsn first, Timestamp published,
                  std::vector<Day> rewritten_days) {
  if (!rewritten_days.empty()) {
    rewritten_[batch.schema->id].insert(rewritten_days.begin(), rewritten_days.end());
  }
  Entry entry;
  entry.first = first;
  entry.last = Lsn(first.value() + batch.rows - 1);
  entry.published = published;
  entry.rewritten_days = std::move(rewritten_days);
  std::tie(entry.min_ts, entry.max_ts) = LeastAndGreatest(batch);
  entry.bytes = column::SizeBytes(batch);
  entry.batch = std::move(batch);
  rows_ += entry.batch.rows;
  bytes_ += entry.bytes;
  entries_.push_back(std::move(entry));
}

std::vector<const Backlog::Entry*> Backlog::Take(uint64_t max_rows, Lsn durable,
                                                 Lsn rewrites_through) {
  std::vector<const Entry*> taken;
  uint64_t rows = 0;
  while (taken_ < entries_.size()) {
    const Entry& entry = entries_[taken_];
    if (entry.last > durable) break;
    if (!entry.rewritten_days.empty() && entry.last > rewrites_through) break;
    if (!taken.empty() && rows + entry.batch.rows > max_rows) break;
    rows += entry.batch.rows;
    taken.push_back(&entry);
    ++taken_;
  }
  return taken;
}

std::vector<const Backlog::Entry*> Backlog::Find(Lsn first, Lsn last) const {
  std::vector<const Entry*> found;
  for (const Entry& entry : entries_) {
    if (entry.first > last) break;
    if (entry.last >= first) found.push_back(&entry);
  }
  return found;
}

history::SourceBatch Backlog::Entry::Source(ShardId shard) const {
  history::SourceBatch source;
  source.shard = shard;
  source.batch = batch;
  source.first = first;
  source.published = published;
  return source;
}

std::vector<std::shared_ptr<const history::SourceBatch>> Backlog::PinAbove(Lsn lsn, ShardId shard) {
  const auto from = std::partition_point(entries_.begin(), entries_.end(),
                                         [&](const Entry& entry) { return entry.last <= lsn; });
  std::vector<std::shared_ptr<const history::SourceBatch>> pins;
  pins.reserve(static_cast<size_t>(entries_.end() - from));
  for (auto entry = from; entry != entries_.end(); ++entry) {
    if (entry->pin == nullptr) {
      entry->pin = std::make_shared<const history::SourceBatch>(entry->Source(shard));
    }
    pins.push_back(entry->pin);
  }
  return pins;
}

void Backlog::AddPersisted(const column::Batch& batch) {
  Raise(&greatest_, batch.schema->id, LeastAndGreatest(batch).second);
}

void Backlog::AddPersisted(TableId table, Timestamp max_ts) { Raise(&greatest_, table, max_ts); }

std::vector<SnapshotBatch> Backlog::Marks() const {
  std::vector<SnapshotBatch> marks;
  marks.reserve(entries_.size());
  for (const Entry& entry : entries_) {
    marks.push_back(
        {entry.first, entry.last, entry.batch.schema->id, entry.max_ts, entry.rewritten_days});
  }
  return marks;
}

void Backlog::MarkTaken(Lsn lsn) {
  while (taken_ < entries_.size() && entries_[taken_].last <= lsn) ++taken_;
}

void Backlog::Forget(const Entry& entry) {
  Raise(&greatest_, entry.batch.schema->id, entry.max_ts);
  rows_ -= entry.batch.rows;
  bytes_ -= entry.bytes;
}

void Backlog::Drop(Lsn lsn) {
  while (!entries_.empty() && entries_.front().last <= lsn) {
    Forget(entries_.front());
    if (taken_ > 0) --taken_;
    entries_.pop_front();
  }
  RaiseThrough();
}

void Backlog::DropOthers(Lsn lsn, const std::set<TableId>& held) {
  others_dropped_ = lsn;
  held_ = held;
  std::deque<Entry> kept;
  size_t taken = 0;
  for (size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    if (entry.last <= lsn && !held.contains(entry.batch.schema->id)) {
      Forget(entry);
      continue;
    }
    if (i < taken_) ++taken;
    kept.push_back(std::move(entry));
  }
  entries_ = std::move(kept);
  taken_ = taken;
  RaiseThrough();
}

void Backlog::RaiseThrough() {
  std::map<TableId, Timestamp> least;  // of the rows that stay
  for (const Entry& entry : entries_) {
    Timestamp& ts = least.try_emplace(entry.batch.schema->id, Timestamp::Max()).first->second;
    ts = std::min(ts, entry.min_ts);
  }
  for (const auto& [table, greatest] : greatest_) {
    const auto stays = least.find(table);
    Raise(&through_, table, stays == least.end() ? greatest : stays->second.Minus(Duration(1)));
  }
}

Timestamp Backlog::oldest_published() const {
  return entries_.empty() ? Timestamp::Max() : entries_.front().published;
}

}  // namespace proxist::shard::internal
