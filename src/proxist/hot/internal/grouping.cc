#include "proxist/hot/internal/grouping.h"

#include <algorithm>
#include <array>

#include "proxist/base/mix.h"

namespace proxist::hot::internal {
namespace {

// Up to so many combinations of codes a table by combination costs less than a hash map.
constexpr uint64_t kDenseRatio = 4;
constexpr uint64_t kDenseAlways = 16384;

uint64_t CombinationsOf(const column::Batch& batch) {
  uint64_t combinations = batch.symbol.dictionary.size();
  for (const size_t column : batch.schema->series) {
    combinations *= std::max<uint64_t>(1, batch.columns[column].dictionary.size());
    combinations = std::min<uint64_t>(combinations, UINT32_MAX);
  }
  return combinations;
}

struct LocalKeyHash {
  size_t operator()(const SeriesKey& key) const {
    return Mix64(uint64_t{key[0]} << 32 | key[1],
                 (uint64_t{key[2]} << 32 | key[3]) ^ 0x9e3779b97f4a7c15);
  }
};

}  // namespace

void Grouping::Run(Table* table, BatchSource* source, const column::Dictionary& dictionary,
                   Epochs* epochs) {
  const column::Batch& batch = source->batch();
  keys_.clear();
  combinations_.clear();
  group_of_.resize(batch.rows);
  offsets_.assign(1, 0);  // while grouping: 0, then how many rows each group has
  const uint64_t combinations = CombinationsOf(batch);
  if (combinations <= kDenseRatio * batch.rows + kDenseAlways) {
    if (dense_.size() < combinations) dense_.resize(combinations, 0);
    FindGroups(*source);
    for (const size_t combination : combinations_) dense_[combination] = 0;
  } else {
    FindGroupsSparsely(*source);
  }
  FindSeries(table, source, dictionary, epochs);
  SortRows();
}

uint32_t Grouping::NewGroup(const SeriesKey& local) {
  keys_.push_back(local);
  offsets_.push_back(0);
  return static_cast<uint32_t>(keys_.size());
}

void Grouping::FindGroups(const BatchSource& source) {
  const column::Batch& batch = source.batch();
  std::array<const column::ColumnView*, column::kMaxSeriesColumns> columns{};
  const size_t n = batch.schema->series.size();
  for (size_t i = 0; i < n; ++i) columns[i] = &batch.columns[batch.schema->series[i]];
  const std::byte* symbols = batch.symbol.values.data();
  const auto rows = static_cast<uint32_t>(batch.rows);
  for (uint32_t row = 0; row < rows; ++row) {
    SeriesKey local{LoadAt<uint32_t>(symbols, row)};
    size_t index = local[0];
    for (size_t i = 0; i < n; ++i) {
      local[i + 1] = columns[i]->At<uint32_t>(row);
      index = index * columns[i]->dictionary.size() + local[i + 1];
    }
    uint32_t& group = dense_[index];
    if (group == 0) {
      group = NewGroup(local);
      combinations_.push_back(index);
    }
    group_of_[row] = group - 1;
    ++offsets_[group];
  }
}

void Grouping::FindGroupsSparsely(const BatchSource& source) {
  const column::Batch& batch = source.batch();
  std::unordered_map<SeriesKey, uint32_t, LocalKeyHash> groups;
  for (uint32_t row = 0; row < batch.rows; ++row) {
    SeriesKey local{batch.symbol.At<uint32_t>(row)};
    for (size_t i = 0; i < batch.schema->series.size(); ++i) {
      local[i + 1] = batch.columns[batch.schema->series[i]].At<uint32_t>(row);
    }
    uint32_t& group = groups[local];
    if (group == 0) group = NewGroup(local);
    group_of_[row] = group - 1;
    ++offsets_[group];
  }
}

void Grouping::FindSeries(Table* table, BatchSource* source, const column::Dictionary& dictionary,
                          Epochs* epochs) {
  const column::Batch& batch = source->batch();
  const std::vector<size_t>& series = batch.schema->series;
  for (size_t part = 0; part <= series.size(); ++part) {
    const column::ColumnView& view = part == 0 ? batch.symbol : batch.columns[series[part - 1]];
    used_.clear();
    seen_.assign(view.dictionary.size(), 0);
    for (const SeriesKey& key : keys_) {
      if (seen_[key[part]] == 0) used_.push_back(key[part]);
      seen_[key[part]] = 1;
    }
    if (part == 0) {
      source->FindSymbolCodes(used_);
    } else {
      source->FindColumnCodes(series[part - 1], used_);
    }
  }
  // New strings get their codes in the order of the rows.
  for (SeriesKey& key : keys_) {
    key[0] = source->SymbolCode(key[0]);
    for (size_t i = 0; i < series.size(); ++i) {
      key[i + 1] = source->ColumnCode(series[i], key[i + 1]);
    }
  }
  for (const SeriesKey& key : keys_) table->by_key.Prefetch(key);
  groups_.clear();
  new_series_ = 0;
  for (const SeriesKey& key : keys_) {
    Series* found = table->by_key.Find(key);
    if (found == nullptr) {
      found = table->Add(key, INT64_MIN, dictionary, epochs);
      ++new_series_;
    }
    groups_.push_back(found);
  }
}

void Grouping::SortRows() {
  for (size_t i = 1; i < offsets_.size(); ++i) offsets_[i] += offsets_[i - 1];
  rows_.resize(group_of_.size());
  // Each group's offset moves to its end, which is where the next one begins.
  for (uint32_t row = 0; row < group_of_.size(); ++row) rows_[offsets_[group_of_[row]]++] = row;
  std::copy_backward(offsets_.begin(), offsets_.end() - 1, offsets_.end());
  offsets_[0] = 0;
}

}  // namespace proxist::hot::internal
