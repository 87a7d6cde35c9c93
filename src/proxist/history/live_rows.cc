// Versions are resolved from the newest row back: the first of a key that is met is its last.
#include "proxist/history/live_rows.h"

#include <algorithm>
#include <cstring>
#include <unordered_set>
#include <utility>

#include "proxist/history/internal/row_block.h"
#include "proxist/history/internal/row_selection.h"

namespace proxist::history {
namespace {

constexpr size_t kBlockRows = 65'536;

void AppendText(std::string_view text, std::string* key) {
  const auto size = static_cast<uint32_t>(text.size());
  key->append(reinterpret_cast<const char*>(&size), sizeof size);
  key->append(text);
}

/// The row's key as bytes that no other key has.
void KeyOf(const column::TableSchema& schema, const SourceBatch& source, size_t row,
           std::string* key) {
  const column::Batch& batch = source.batch;
  key->clear();
  const auto ts = batch.ts.At<int64_t>(row);
  const uint64_t seq =
      batch.seq.values.empty() ? source.first.value() + row : batch.seq.At<uint64_t>(row);
  key->append(reinterpret_cast<const char*>(&ts), sizeof ts);
  key->append(reinterpret_cast<const char*>(&seq), sizeof seq);
  AppendText(batch.symbol.TextAt(row), key);
  for (const size_t index : schema.series) AppendText(batch.columns[index].TextAt(row), key);
}

}  // namespace

LiveRows::LiveRows(column::SchemaPtr schema, std::vector<LiveSource> sources,
                   std::vector<Day> rewritten, What what, Timestamp least)
    : schema_(std::move(schema)),
      sources_(std::move(sources)),
      rewritten_(std::move(rewritten)),
      what_(what),
      least_(least) {
  for (const LiveSource& shard : sources_) {
    for (const auto& source : shard.batches) {
      if (source->batch.schema->id != schema_->id) continue;
      const uint64_t first = source->first.value();
      const uint64_t from = std::max(first, shard.above.value() + 1);
      if (from >= first + source->batch.rows) continue;
      places_.push_back({source.get(), static_cast<uint32_t>(from - first), {}});
    }
  }
  if (!rewritten_.empty() || what_ == What::kKeys) Choose();
}

void LiveRows::Choose() {
  std::unordered_set<std::string> seen;
  std::string key;
  // A key belongs to one shard, so the shards' order does not matter.
  for (auto place = places_.rbegin(); place != places_.rend(); ++place) {
    const SourceBatch& source = *place->source;
    place->chosen.assign(source.batch.rows, false);
    for (size_t row = source.batch.rows; row-- > place->begin;) {
      const Day day = DayOf(Timestamp(source.batch.ts.At<int64_t>(row)));
      const bool rewritten = std::binary_search(rewritten_.begin(), rewritten_.end(), day);
      if (rewritten) {
        KeyOf(*schema_, source, row, &key);
        if (!seen.insert(key).second) continue;
      }
      place->chosen[row] =
          what_ == What::kKeys ? rewritten : source.batch.OpAt(row) == column::Op::kPut;
    }
  }
}

std::string LiveRows::Next() {
  std::vector<SelectedRows> parts;
  size_t total = 0;
  while (at_ < places_.size() && total < kBlockRows) {
    const Place& place = places_[at_];
    SelectedRows part{place.source, {}, total};
    size_t row = std::max<size_t>(row_, place.begin);
    for (; row < place.source->batch.rows && total < kBlockRows; ++row) {
      if (!place.chosen.empty() && !place.chosen[row]) continue;
      if (place.source->batch.ts.At<int64_t>(row) < least_.ns()) continue;
      part.rows.push_back(static_cast<uint32_t>(row));
      ++total;
    }
    if (!part.rows.empty()) parts.push_back(std::move(part));
    row_ = row;
    if (row < place.source->batch.rows) break;
    ++at_;
    row_ = 0;
  }
  if (parts.empty()) return {};
  std::vector<std::byte> block;
  EncodeBlock(*schema_, parts, what_ == What::kKeys ? BlockColumns::kKeys : BlockColumns::kDeclared,
              &block);
  return std::string(AsText(block));
}

}  // namespace proxist::history
