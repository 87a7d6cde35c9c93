// Rows arrive nearly in order of time, so they are bucketed by symbol and a bucket is sorted only
// when it must be.
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

/// Calls `visit(source, row)` for every row that `intent` describes.
template <typename Visit>
void VisitRows(const InsertIntent& intent, std::span<const SourceBatch> sources, Visit visit) {
  const int64_t begin = StartOf(intent.day).ns();
  const int64_t end = StartOf(intent.day.Next()).ns();
  for (const SourceBatch& source : sources) {
    if (source.batch.schema->id != intent.schema->id) continue;
    for (const auto& [from, to] : IntervalsOf(source, intent.ranges)) {
      for (size_t row = from; row < to; ++row) {
        const auto ts = source.batch.ts.At<int64_t>(row);
        if (ts >= begin && ts < end) visit(source, row);
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
      std::vector<uint32_t> codes = UnifyCodes(
          parts_, total_,
          [&](const SelectedRows& part) {
            return FindColumn(part.source->batch, schema_.columns[index], index);
          },
          none, &texts);
      const std::vector<uint32_t> ranks = texts.Ranks();
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

size_t TotalRows(std::span<const SelectedRows> parts) {
  return parts.empty() ? 0 : parts.back().base + parts.back().rows.size();
}

}  // namespace

uint64_t CountRows(const InsertIntent& intent, std::span<const SourceBatch> sources) {
  uint64_t rows = 0;
  VisitRows(intent, sources, [&](const SourceBatch&, size_t) { ++rows; });
  return rows;
}

std::vector<SelectedRows> SelectRows(const InsertIntent& intent,
                                     std::span<const SourceBatch> sources) {
  std::vector<SelectedRows> out;
  size_t total = 0;
  VisitRows(intent, sources, [&](const SourceBatch& source, size_t row) {
    if (out.empty() || out.back().source != &source) {
      out.push_back({&source, {}, total});
      out.back().rows.reserve(source.batch.rows);
    }
    out.back().rows.push_back(static_cast<uint32_t>(row));
    ++total;
  });
  return out;
}

uint32_t TextUnion::Intern(std::string_view text) {
  const auto [at, added] = codes_.try_emplace(text, static_cast<uint32_t>(texts_.size()));
  if (added) texts_.push_back(text);
  return at->second;
}

std::vector<uint32_t> TextUnion::Ranks() const {
  std::vector<uint32_t> order(texts_.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return texts_[a] < texts_[b]; });
  std::vector<uint32_t> ranks(texts_.size());
  for (uint32_t i = 0; i < order.size(); ++i) ranks[order[i]] = i;
  return ranks;
}

const column::ColumnView* FindColumn(const column::Batch& batch, const column::ColumnDef& def,
                                     size_t index) {
  // Columns are only added, at the end.
  if (index >= batch.columns.size()) return nullptr;
  PX_CHECK(batch.schema->columns[index].id == def.id);
  return &batch.columns[index];
}

std::vector<uint32_t> SortedPlaces(const column::TableSchema& schema,
                                   std::span<const SelectedRows> parts,
                                   std::vector<std::byte>* scratch) {
  const size_t total = TotalRows(parts);
  TextUnion symbols;
  std::vector<uint32_t> ranks_of_rows = UnifyCodes(
      parts, total, [](const SelectedRows& part) { return &part.source->batch.symbol; }, 0,
      &symbols);
  const std::vector<uint32_t> ranks = symbols.Ranks();
  std::vector<uint32_t> starts(ranks.size() + 1, 0);
  for (uint32_t& code : ranks_of_rows) {
    code = ranks[code];
    ++starts[code + 1];
  }
  std::partial_sum(starts.begin(), starts.end(), starts.begin());

  static_assert(std::is_trivially_copyable_v<SortKey>);
  scratch->resize(total * sizeof(SortKey));
  const std::span<SortKey> keys(reinterpret_cast<SortKey*>(scratch->data()), total);
  for (const SelectedRows& part : parts) {
    const column::Batch& batch = part.source->batch;
    for (size_t i = 0; i < part.rows.size(); ++i) {
      const uint32_t row = part.rows[i];
      const uint64_t seq = batch.seq.values.empty() ? part.LsnOf(row) : batch.seq.At<uint64_t>(row);
      const size_t at = part.base + i;
      keys[starts[ranks_of_rows[at]]++] = {batch.ts.At<int64_t>(row), seq,
                                           static_cast<uint32_t>(at)};
    }
  }
  // Each start is now that of the next symbol.
  KeyOrder order(schema, parts, total);
  std::vector<SortKey> late;
  for (size_t i = 0; i + 1 < starts.size(); ++i) {
    const size_t first = i == 0 ? 0 : starts[i - 1];
    SortBucket(keys.subspan(first, starts[i] - first), &order, &late);
  }
  std::vector<uint32_t> places = std::move(ranks_of_rows);
  for (uint32_t place = 0; place < total; ++place) places[keys[place].row] = place;
  return places;
}

}  // namespace proxist::history
