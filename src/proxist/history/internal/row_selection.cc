// Rows arrive nearly in order of time, so they are bucketed by symbol and a bucket is sorted only
// when it must be.
#include "proxist/history/internal/row_selection.h"

#include <algorithm>
#include <array>
#include <numeric>
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

struct SortKey {
  int64_t ts;
  uint64_t seq;
  std::array<uint32_t, column::kMaxSeriesColumns> series;
  uint64_t version;
  uint32_t row;  // in the parts' order
  auto operator<=>(const SortKey&) const = default;
};

/// Columns that decide the order, in the parts' order.
struct KeyColumns {
  std::vector<int64_t> ts;
  std::vector<uint64_t> seq;
  std::vector<uint64_t> version;
  std::vector<std::vector<uint32_t>> series_ranks;
};

KeyColumns LoadKeys(const column::TableSchema& schema, std::span<const SelectedRows> parts,
                    size_t total) {
  KeyColumns out;
  out.ts.reserve(total);
  out.seq.reserve(total);
  out.version.reserve(total);
  for (const SelectedRows& part : parts) {
    const column::Batch& batch = part.source->batch;
    for (const uint32_t row : part.rows) {
      const uint64_t lsn = part.LsnOf(row);
      out.ts.push_back(batch.ts.At<int64_t>(row));
      out.version.push_back(lsn);
      out.seq.push_back(batch.seq.values.empty() ? lsn : batch.seq.At<uint64_t>(row));
    }
  }
  for (const size_t index : schema.series) {
    TextUnion texts;
    const uint32_t none = texts.Intern("");
    std::vector<uint32_t> codes = UnifyCodes(
        parts, total,
        [&](const SelectedRows& part) {
          return FindColumn(part.source->batch, schema.columns[index], index);
        },
        none, &texts);
    const std::vector<uint32_t> ranks = texts.Ranks();
    for (uint32_t& code : codes) code = ranks[code];
    out.series_ranks.push_back(std::move(codes));
  }
  return out;
}

/// Sorts `bucket`, the rows of one symbol.
void SortBucket(const KeyColumns& keys, std::span<uint32_t> bucket, std::vector<SortKey>* scratch) {
  bool ascending = true;
  for (size_t i = 1; ascending && i < bucket.size(); ++i) {
    ascending = keys.ts[bucket[i - 1]] < keys.ts[bucket[i]];
  }
  if (ascending) return;
  scratch->clear();
  for (const uint32_t row : bucket) {
    SortKey key{keys.ts[row], keys.seq[row], {}, keys.version[row], row};
    for (size_t i = 0; i < keys.series_ranks.size(); ++i) key.series[i] = keys.series_ranks[i][row];
    scratch->push_back(key);
  }
  if (!std::is_sorted(scratch->begin(), scratch->end())) {
    std::sort(scratch->begin(), scratch->end());
  }
  for (size_t i = 0; i < bucket.size(); ++i) bucket[i] = (*scratch)[i].row;
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
                                   std::span<const SelectedRows> parts) {
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

  std::vector<uint32_t> order(total);
  std::vector<uint32_t> next(starts.begin(), starts.end() - 1);
  for (uint32_t row = 0; row < total; ++row) order[next[ranks_of_rows[row]]++] = row;

  const KeyColumns keys = LoadKeys(schema, parts, total);
  std::vector<SortKey> scratch;
  for (size_t i = 0; i + 1 < starts.size(); ++i) {
    SortBucket(keys, std::span(order).subspan(starts[i], starts[i + 1] - starts[i]), &scratch);
  }
  std::vector<uint32_t> places(total);
  for (uint32_t place = 0; place < total; ++place) places[order[place]] = place;
  return places;
}

}  // namespace proxist::history
