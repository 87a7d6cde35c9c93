// Rows arrive nearly in order of time: what each symbol has is counted, and its rows take their
// places as they come. Those of a symbol are sorted only when they are not in order.
#include "proxist/history/internal/row_selection.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <type_traits>
#include <utility>

#include "proxist/base/check.h"

namespace proxist::history {
namespace {

using RowInterval = std::pair<size_t, size_t>;  // first, one past the last

/// The rows of `source` whose LSN lies in one of `ranges`, as ascending disjoint intervals.
std::vector<RowInterval> IntervalsOf(const SourceBatch& source, std::span<const LsnRange> ranges) {
  std::vector<RowInterval> found;
  if (source.batch.rows == 0) return found;
  const uint64_t first = source.first.value();
  const uint64_t last = first + source.batch.rows - 1;
  for (const LsnRange& range : ranges) {
    const uint64_t from = std::max(first, range.first.value());
    const uint64_t to = std::min(last, range.last.value());
    if (range.shard == source.shard && from <= to) found.emplace_back(from - first, to - first + 1);
  }
  std::sort(found.begin(), found.end());
  std::vector<RowInterval> out;
  for (const RowInterval& interval : found) {
    if (!out.empty() && interval.first <= out.back().second) {
      out.back().second = std::max(out.back().second, interval.second);
    } else {
      out.push_back(interval);
    }
  }
  return out;
}

/// Calls `visit(source, from, to)` for every run of rows [from, to) that `intent` describes.
template <typename Visit>
void VisitRuns(const InsertIntent& intent, std::span<const SourceBatch> sources, Visit visit) {
  const int64_t begin = StartOf(intent.day).ns();
  const int64_t end = StartOf(intent.day.Next()).ns();
  for (const SourceBatch& source : sources) {
    if (source.batch.schema->id != intent.schema->id) continue;
    const auto in_day = [&](size_t row) {
      const auto ts = source.batch.ts.At<int64_t>(row);
      return ts >= begin && ts < end;
    };
    for (const auto& [first, last] : IntervalsOf(source, intent.ranges)) {
      for (size_t from = first, to = first; from < last; from = to + 1) {
        for (to = from; to < last && in_day(to);) ++to;
        if (to > from) visit(source, from, to);
      }
    }
  }
}

/// What decides the order within a symbol, in most cases.
struct SortKey {
  int64_t ts;
  uint64_t seq;
  uint32_t row;  // in the parts' order
};

/// ts and seq of a part's rows.
class KeysOf {
 public:
  explicit KeysOf(const SelectedRows& part)
      : part_(part),
        ts_(part.source->batch.ts.values.data()),
        seq_(part.source->batch.seq.values.empty() ? nullptr
                                                   : part.source->batch.seq.values.data()) {}
  [[nodiscard]] int64_t ts(uint32_t row) const { return LoadAt<int64_t>(ts_, row); }
  [[nodiscard]] uint64_t seq(uint32_t row) const {
    return seq_ != nullptr ? LoadAt<uint64_t>(seq_, row) : part_.LsnOf(row);
  }

 private:
  const SelectedRows& part_;
  const std::byte* const ts_;
  const std::byte* const seq_;
};

/// The rows of one symbol, at places [begin, end).
struct Bucket {
  uint32_t begin = 0;
  uint32_t end = 0;  // while counting: how many
  uint32_t next = 0;
  bool in_order = true;  // the rows so far have ascending keys
  int64_t last_ts = INT64_MIN;
  uint64_t last_seq = 0;

  /// The place of the next row, if all come in order.
  uint32_t Take(int64_t ts, uint64_t seq) {
    const bool above = ts > last_ts || (ts == last_ts && seq > last_seq) || next == begin;
    in_order = in_order && above;
    last_ts = ts;
    last_seq = seq;
    return next++;
  }
};

/// Orders rows of one symbol: by ts and seq, then by what is looked up when these are equal.
class KeyOrder {
 public:
  KeyOrder(const column::TableSchema& schema, std::span<const SelectedRows> parts, size_t total)
      : schema_(schema), parts_(parts), total_(total) {}

  bool operator()(const SortKey& a, const SortKey& b) {
    if (a.ts != b.ts) return a.ts < b.ts;
    if (a.seq != b.seq) return a.seq < b.seq;
    return LessByRest(a.row, b.row);
  }

 private:
  bool LessByRest(uint32_t a, uint32_t b) {
    if (!ranked_) RankSeries();
    for (const std::vector<uint32_t>& ranks : series_ranks_) {
      if (ranks[a] != ranks[b]) return ranks[a] < ranks[b];
    }
    const uint64_t version_a = VersionOf(a);
    const uint64_t version_b = VersionOf(b);
    return version_a != version_b ? version_a < version_b : a < b;
  }

  void RankSeries() {
    ranked_ = true;
    for (const size_t index : schema_.series) {
      TextUnion texts;
      const uint32_t none = texts.Intern("");
      std::vector<uint32_t> codes(total_);
      VisitCodes(
          parts_,
          [&](const SelectedRows& part) {
            return FindColumn(part.source->batch, schema_.columns[index], index);
          },
          none, &texts, [&](size_t at, uint32_t code) { codes[at] = code; });
      const std::vector<uint32_t> sorted = texts.Sorted();
      std::vector<uint32_t> ranks(sorted.size());
      for (uint32_t rank = 0; rank < sorted.size(); ++rank) ranks[sorted[rank]] = rank;
      for (uint32_t& code : codes) code = ranks[code];
      series_ranks_.push_back(std::move(codes));
    }
  }

  [[nodiscard]] uint64_t VersionOf(uint32_t row) const {
    const auto after = std::partition_point(
        parts_.begin(), parts_.end(), [&](const SelectedRows& part) { return part.base <= row; });
    const SelectedRows& part = *(after - 1);
    return part.LsnOf(part.rows[row - part.base]);
  }

  const column::TableSchema& schema_;
  std::span<const SelectedRows> parts_;
  size_t total_;
  bool ranked_ = false;
  std::vector<std::vector<uint32_t>> series_ranks_;  // in the parts' order
};

/// Sorts the keys of one symbol. They come nearly in order: the few that come late are put aside,
/// sorted and merged in again.
void SortBucket(std::span<SortKey> bucket, KeyOrder* order, std::vector<SortKey>* late) {
  late->clear();
  size_t kept = 0;
  for (size_t i = 0; i < bucket.size(); ++i) {
    if (kept > 0 && (*order)(bucket[i], bucket[kept - 1])) {
      late->push_back(bucket[i]);
    } else {
      bucket[kept++] = bucket[i];
    }
  }
  if (late->empty()) return;
  std::sort(late->begin(), late->end(), std::ref(*order));
  // From the back, where there is room.
  size_t to = bucket.size();
  while (!late->empty()) {
    if (kept > 0 && (*order)(late->back(), bucket[kept - 1])) {
      bucket[--to] = bucket[--kept];
    } else {
      bucket[--to] = late->back();
      late->pop_back();
    }
  }
}

/// Corrects the places of the rows in buckets that are not in order. `codes` has each row's bucket.
void SortBuckets(const column::TableSchema& schema, std::span<const SelectedRows> parts,
                 std::span<const uint32_t> codes, std::span<const Bucket> buckets,
                 std::vector<std::byte>* scratch, std::vector<uint32_t>* places) {
  static_assert(std::is_trivially_copyable_v<SortKey>);
  const size_t total = codes.size();
  if (scratch->size() < total * sizeof(SortKey)) scratch->resize(total * sizeof(SortKey));
  const std::span<SortKey> keys(reinterpret_cast<SortKey*>(scratch->data()), total);
  for (const SelectedRows& part : parts) {
    const KeysOf keys_of(part);
    part.ForEach([&](size_t at, uint32_t row) {
      if (buckets[codes[at]].in_order) return;
      keys[(*places)[at]] = {keys_of.ts(row), keys_of.seq(row), static_cast<uint32_t>(at)};
    });
  }
  KeyOrder order(schema, parts, total);
  std::vector<SortKey> late;
  for (const Bucket& bucket : buckets) {
    if (bucket.in_order) continue;
    SortBucket(keys.subspan(bucket.begin, bucket.end - bucket.begin), &order, &late);
    for (uint32_t place = bucket.begin; place < bucket.end; ++place) {
      (*places)[keys[place].row] = place;
    }
  }
}

}  // namespace

uint64_t CountRows(const InsertIntent& intent, std::span<const SourceBatch> sources) {
  uint64_t rows = 0;
  VisitRuns(intent, sources,
            [&](const SourceBatch&, size_t from, size_t to) { rows += to - from; });
  return rows;
}

std::vector<SelectedRows> SelectRows(const InsertIntent& intent,
                                     std::span<const SourceBatch> sources) {
  std::vector<SelectedRows> out;
  size_t total = 0;
  VisitRuns(intent, sources, [&](const SourceBatch& source, size_t from, size_t to) {
    if (out.empty() || out.back().source != &source) {
      out.push_back({&source, {}, total});
      out.back().rows.reserve(source.batch.rows);
    }
    std::vector<uint32_t>& rows = out.back().rows;
    rows.resize(rows.size() + to - from);
    std::iota(rows.end() - static_cast<std::ptrdiff_t>(to - from), rows.end(),
              static_cast<uint32_t>(from));
    total += to - from;
  });
  return out;
}

uint32_t TextUnion::Intern(std::string_view text) {
  const auto [at, added] = codes_.try_emplace(text, static_cast<uint32_t>(texts_.size()));
  if (added) texts_.push_back(text);
  return at->second;
}

std::vector<uint32_t> TextUnion::Sorted() const {
  std::vector<uint32_t> sorted(texts_.size());
  std::iota(sorted.begin(), sorted.end(), 0);
  std::sort(sorted.begin(), sorted.end(),
            [&](uint32_t a, uint32_t b) { return texts_[a] < texts_[b]; });
  return sorted;
}

const column::ColumnView* FindColumn(const column::Batch& batch, const column::ColumnDef& def,
                                     size_t index) {
  // Columns are only added, at the end.
  if (index >= batch.columns.size()) return nullptr;
  PX_CHECK(batch.schema->columns[index].id == def.id);
  return &batch.columns[index];
}

BlockOrder OrderRows(const column::TableSchema& schema, std::span<const SelectedRows> parts,
                     std::vector<std::byte>* scratch) {
  const size_t total = TotalRows(parts);
  TextUnion texts;
  std::vector<uint32_t> codes(total);
  std::vector<Bucket> buckets;
  VisitCodes(
      parts, [](const SelectedRows& part) { return &part.source->batch.symbol; }, 0, &texts,
      [&](size_t at, uint32_t code) {
        codes[at] = code;
        if (code == buckets.size()) buckets.emplace_back();
        ++buckets[code].end;
      });

  BlockOrder out;
  const std::vector<uint32_t> sorted = texts.Sorted();
  uint32_t end = 0;
  for (const uint32_t code : sorted) {
    Bucket& bucket = buckets[code];
    bucket.begin = bucket.next = end;
    bucket.end = end += bucket.end;
    out.symbols.push_back(texts.texts()[code]);
    out.ends.push_back(end);
  }
  out.places.resize(total);
  for (const SelectedRows& part : parts) {
    const KeysOf keys_of(part);
    part.ForEach([&](size_t at, uint32_t row) {
      out.places[at] = buckets[codes[at]].Take(keys_of.ts(row), keys_of.seq(row));
    });
  }
  if (std::ranges::any_of(buckets, [](const Bucket& bucket) { return !bucket.in_order; })) {
    SortBuckets(schema, parts, codes, buckets, scratch, &out.places);
  }
  return out;
}

}  // namespace proxist::history
