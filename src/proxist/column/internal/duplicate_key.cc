// Duplicate keys: cheap proofs that there are none first, a hash table last.
#include "proxist/column/internal/duplicate_key.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "proxist/column/dictionary.h"

namespace proxist::column {
namespace {

__extension__ using Uint128 = unsigned __int128;

constexpr uint32_t kFree = std::numeric_limits<uint32_t>::max();
// Up to so many combinations of symbol and series values the last key of each is kept in an array.
constexpr size_t kMaxTrackedSeries = 1u << 16;

struct TimeKey {
  int64_t ts;
  uint64_t seq;
  auto operator<=>(const TimeKey&) const = default;
};

// True when seq alone, or ts and seq, strictly ascend from row to row, so that no key can repeat.
bool Ascends(const Batch& batch) {
  bool seq_ascends = true;
  bool key_ascends = true;
  TimeKey last{batch.ts.At<int64_t>(0), batch.seq.At<uint64_t>(0)};
  for (size_t row = 1; row < batch.rows; ++row) {
    const TimeKey key{batch.ts.At<int64_t>(row), batch.seq.At<uint64_t>(row)};
    seq_ascends &= last.seq < key.seq;
    key_ascends &= last < key;
    if (!seq_ascends && !key_ascends) return false;
    last = key;
  }
  return true;
}

// A series' text columns with codes that are equal exactly when the texts are: a dictionary off the
// wire may hold a string twice.
class SeriesCodes {
 public:
  explicit SeriesCodes(const Batch& batch) {
    Add(batch.symbol);
    for (size_t index : batch.schema->series) Add(batch.columns[index]);
  }

  /// Combinations of codes there could be; kMaxTrackedSeries + 1 stands for all greater numbers.
  [[nodiscard]] size_t combinations() const { return combinations_; }
  /// Distinct for distinct series while combinations() is at most kMaxTrackedSeries.
  [[nodiscard]] size_t Combined(size_t row) const {
    size_t combined = 0;
    for (const Part& part : parts_) {
      combined = combined * part.entries + part.canonical[part.column->At<uint32_t>(row)];
    }
    return combined;
  }
  [[nodiscard]] uint64_t Hash(size_t row, uint64_t hash) const {
    for (const Part& part : parts_)
      hash = Mix(hash, part.canonical[part.column->At<uint32_t>(row)]);
    return hash;
  }
  [[nodiscard]] bool Equal(size_t a, size_t b) const {
    for (const Part& part : parts_) {
      if (part.canonical[part.column->At<uint32_t>(a)] !=
          part.canonical[part.column->At<uint32_t>(b)]) {
        return false;
      }
    }
    return true;
  }
  // Folds a 128-bit product, so that every bit of both reaches every bit of the result.
  static uint64_t Mix(uint64_t hash, uint64_t value) {
    const auto product =
        static_cast<Uint128>(hash ^ value ^ 0x9e3779b97f4a7c15ULL) * 0xd6e8feb86659fd93ULL;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  }

 private:
  struct Part {
    const ColumnView* column;
    std::vector<uint32_t> canonical;  // by code
    size_t entries;                   // distinct strings
  };

  void Add(const ColumnView& column) {
    Dictionary distinct;
    Part part{&column, {}, 0};
    part.canonical.reserve(column.dictionary.size());
    for (std::string_view text : column.dictionary) part.canonical.push_back(distinct.Intern(text));
    part.entries = distinct.size();
    combinations_ = std::min(combinations_ * part.entries, kMaxTrackedSeries + 1);
    parts_.push_back(std::move(part));
  }

  std::vector<Part> parts_;
  size_t combinations_ = 1;
};

bool EachSeriesAscends(const Batch& batch, const SeriesCodes& series) {
  // Timestamps of rows are never negative, so this stands before every key.
  constexpr TimeKey kNone{std::numeric_limits<int64_t>::min(), 0};
  std::vector<TimeKey> last(series.combinations(), kNone);
  for (size_t row = 0; row < batch.rows; ++row) {
    const TimeKey key{batch.ts.At<int64_t>(row), batch.seq.At<uint64_t>(row)};
    TimeKey& before = last[series.Combined(row)];
    if (key <= before) return false;
    before = key;
  }
  return true;
}

std::optional<DuplicateKey> FindByHash(const Batch& batch, const SeriesCodes& series) {
  const size_t slots = std::bit_ceil(batch.rows * 2);
  std::vector<uint32_t> table(slots, kFree);
  for (size_t row = 0; row < batch.rows; ++row) {
    const auto ts = batch.ts.At<int64_t>(row);
    const auto seq = batch.seq.At<uint64_t>(row);
    uint64_t hash = SeriesCodes::Mix(SeriesCodes::Mix(0, static_cast<uint64_t>(ts)), seq);
    hash = series.Hash(row, hash);
    size_t at = hash & (slots - 1);
    for (; table[at] != kFree; at = (at + 1) & (slots - 1)) {
      const size_t other = table[at];
      if (batch.ts.At<int64_t>(other) == ts && batch.seq.At<uint64_t>(other) == seq &&
          series.Equal(other, row)) {
        return DuplicateKey{other, row};
      }
    }
    table[at] = static_cast<uint32_t>(row);
  }
  return std::nullopt;
}

}  // namespace

std::optional<DuplicateKey> FindDuplicateKey(const Batch& batch) {
  if (batch.rows < 2 || Ascends(batch)) return std::nullopt;
  const SeriesCodes series(batch);
  if (series.combinations() <= kMaxTrackedSeries && EachSeriesAscends(batch, series)) {
    return std::nullopt;
  }
  return FindByHash(batch, series);
}

}  // namespace proxist::column
