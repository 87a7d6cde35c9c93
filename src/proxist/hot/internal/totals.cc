// Totals of chunks and of chunks' totals.
#include "proxist/hot/internal/totals.h"

#include <algorithm>
#include <cstring>

#include "proxist/column/widen.h"
#include "proxist/hot/internal/blocks.h"
#include "proxist/hot/internal/series.h"

namespace proxist::hot::internal {
namespace {

/// Copies the values of rows in which `column` and `other` have one to `out`, as `kind`; returns
/// how many.
size_t Gather(const RowBlock& chunk, size_t column, size_t other, column::TypeKind kind,
              std::byte* out) {
  size_t n = 0;
  const std::byte* values = chunk.values(column);
  const size_t width = column::WidthOf(kind);
  const size_t from_width = column::WidthOf(chunk.kind(column));
  const bool same = chunk.kind(column) == kind;
  for (uint32_t row = 0; row < chunk.rows(); ++row) {
    if (!chunk.IsValid(column, row) || !chunk.IsValid(other, row)) continue;
    if (same) {
      std::memcpy(out + n * width, values + row * width, width);
    } else {
      column::ConvertValues(chunk.kind(column), values + row * from_width, 1, kind,
                            out + n * width);
    }
    ++n;
  }
  return n;
}

/// The values of one column in rows where it and another have one, side by side.
class Values {
 public:
  Values(const RowBlock& chunk, size_t column, column::Type type, size_t other) {
    if (chunk.kind(column) == type.kind && chunk.AllValid(column, 0, chunk.rows()) &&
        chunk.AllValid(other, 0, chunk.rows())) {
      data_ = chunk.values(column);
      size_ = chunk.rows();
      return;
    }
    const size_t width = column::WidthOf(type.kind);
    copy_.resize((chunk.rows() * width + 7) / 8);
    auto* out = reinterpret_cast<std::byte*>(copy_.data());
    data_ = out;
    size_ = Gather(chunk, column, other, type.kind, out);
  }
  [[nodiscard]] const std::byte* data() const { return data_; }
  [[nodiscard]] size_t size() const { return size_; }

 private:
  std::vector<uint64_t> copy_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// Adds up nodes, child by child, in the order of their rows.
class Adder {
 public:
  void Add(const TotalsNode& node) {
    if (layout_ == nullptr || layout_->types.size() < node.layout->types.size() ||
        (!weighted_.has_value() && node.layout->weighted())) {
      Widen(node.layout);
    }
    if (rows_ == 0) first_ts_ = node.first_ts;
    last_ts_ = node.last_ts;
    rows_ += node.rows;
    for (size_t slot = 0; slot < node.columns.size(); ++slot) {
      exact_[slot] = exact_[slot] && node.columns[slot].exact;
      if (node.columns[slot].exact) columns_[slot].Add(node.columns[slot]);
    }
    if (!node.layout->weighted()) return;
    weighted_exact_ = weighted_exact_ && node.weighted->exact;
    if (node.weighted->exact) weighted_->Add(*node.weighted);
  }
  [[nodiscard]] std::unique_ptr<TotalsNode> Make() const {
    auto out = std::make_unique<TotalsNode>(layout_);
    out->rows = rows_;
    out->first_ts = first_ts_;
    out->last_ts = last_ts_;
    for (size_t slot = 0; slot < columns_.size(); ++slot) {
      out->columns[slot] = columns_[slot].Pack();
      out->columns[slot].exact = out->columns[slot].exact && exact_[slot];
    }
    if (weighted_.has_value()) {
      *out->weighted = weighted_->Pack();
      out->weighted->exact = out->weighted->exact && weighted_exact_;
    }
    return out;
  }

 private:
  /// Chunks that are older than a column have no values of it.
  void Widen(const TotalsLayoutPtr& layout) {
    layout_ = layout;
    for (size_t slot = columns_.size(); slot < layout->types.size(); ++slot) {
      columns_.emplace_back(layout->types[slot]);
      exact_.push_back(true);
    }
    if (layout->weighted() && !weighted_.has_value()) {
      const auto type = [&](size_t column) {
        return layout->types[static_cast<size_t>(layout->slots[column])];
      };
      weighted_.emplace(type(layout->price), type(layout->size));
    }
  }

  TotalsLayoutPtr layout_;
  uint64_t rows_ = 0;
  int64_t first_ts_ = 0;
  int64_t last_ts_ = 0;
  std::vector<exec::ColumnTotals> columns_;
  std::vector<bool> exact_;
  std::optional<exec::WeightedTotals> weighted_;
  bool weighted_exact_ = true;
};

uint32_t ChunksOf(size_t level) {
  uint32_t chunks = TotalsTree::kFanOut;
  for (; level > 0; --level) chunks *= TotalsTree::kFanOut;
  return chunks;
}

}  // namespace

TotalsLayout::TotalsLayout(const column::TableSchema& schema) {
  const auto numeric = [&](std::string_view name) -> std::optional<size_t> {
    const std::optional<size_t> column = schema.Find(name);
    if (!column || !column::IsNumeric(schema.columns[*column].type.kind)) return std::nullopt;
    return column;
  };
  for (size_t column = 0; column < schema.columns.size(); ++column) {
    const column::Type type = schema.columns[column].type;
    const bool number = column::IsNumeric(type.kind);
    slots.push_back(number ? static_cast<int>(types.size()) : -1);
    if (!number) continue;
    types.push_back(type);
    columns.push_back(column);
  }
  const std::optional<size_t> price_column = numeric(kPriceColumn);
  const std::optional<size_t> size_column = numeric(kSizeColumn);
  if (!price_column || !size_column) return;
  price = *price_column;
  size = *size_column;
}

TotalsNode::TotalsNode(TotalsLayoutPtr node_layout)
    : layout(std::move(node_layout)), columns(layout->types.size()) {
  if (layout->weighted()) weighted.emplace();
}

TotalsNode::TotalsNode(TotalsLayoutPtr node_layout, const RowBlock& chunk)
    : TotalsNode(std::move(node_layout)) {
  rows = chunk.rows();
  first_ts = chunk.ts()[0];
  last_ts = chunk.ts()[rows - 1];
  for (size_t slot = 0; slot < columns.size(); ++slot) {
    const size_t column = layout->columns[slot];
    if (chunk.values(column) == nullptr) continue;
    const Values values(chunk, column, layout->types[slot], column);
    exec::ColumnTotals totals(layout->types[slot]);
    totals.Add(values.data(), values.size());
    columns[slot] = totals.Pack();
  }
  const size_t price = layout->price;
  const size_t size = layout->size;
  if (!layout->weighted() || chunk.values(price) == nullptr || chunk.values(size) == nullptr) {
    return;
  }
  const column::Type price_type = layout->types[static_cast<size_t>(layout->slots[price])];
  const column::Type size_type = layout->types[static_cast<size_t>(layout->slots[size])];
  const Values prices(chunk, price, price_type, size);
  const Values sizes(chunk, size, size_type, price);
  exec::WeightedTotals totals(price_type, size_type);
  totals.Add(prices.data(), sizes.data(), prices.size());
  *weighted = totals.Pack();
}

bool TotalsNode::Serves(const SpanTotals& out) const {
  for (const SpanTotals::Part& part : out.columns) {
    const int slot = part.column < layout->slots.size() ? layout->slots[part.column] : -1;
    if (slot >= 0 && !columns[static_cast<size_t>(slot)].exact) return false;
  }
  return !out.weighted.has_value() || !weighted.has_value() || weighted->exact;
}

void TotalsNode::AddTo(SpanTotals* out) const {
  out->rows += rows;
  out->first = std::min(out->first, Timestamp(first_ts));
  out->last = std::max(out->last, Timestamp(last_ts));
  for (SpanTotals::Part& part : out->columns) {
    const int slot = part.column < layout->slots.size() ? layout->slots[part.column] : -1;
    if (slot >= 0) part.total.Add(columns[static_cast<size_t>(slot)]);
  }
  if (out->weighted.has_value() && weighted.has_value()) out->weighted->Add(*weighted);
}

TotalsTree::TotalsTree(uint32_t chunks, Account* account) : account_(account) {
  for (size_t level = 0; level < kLevels; ++level) {
    levels_[level].resize(chunks / ChunksOf(level));
  }
}

void TotalsTree::Make(const ChunkEntry* entries, size_t level, uint32_t index) {
  Adder sum;
  for (uint32_t child = index * kFanOut; child < (index + 1) * kFanOut; ++child) {
    const TotalsNode* node =
        level == 0 ? entries[child].block->totals() : levels_[level - 1][child].get();
    if (node == nullptr) return;
    sum.Add(*node);
  }
  const TotalsNode* made = sum.Make().release();
  account_->Add(static_cast<int64_t>(made->Bytes()));
  // It leaves when the last list that holds it is reclaimed, by the writer.
  levels_[level][index] = NodePtr(made, [account = account_](const TotalsNode* node) {
    account->Add(-static_cast<int64_t>(node->Bytes()));
    delete node;
  });
}

void TotalsTree::Complete(const ChunkEntry* entries, uint32_t first, uint32_t sealed) {
  for (size_t level = 0; level < kLevels; ++level) {
    const uint32_t chunks = ChunksOf(level);
    if (sealed == 0 || sealed % chunks != 0) return;
    if (sealed - chunks >= first) Make(entries, level, sealed / chunks - 1);
  }
}

void TotalsTree::Build(const ChunkEntry* entries, uint32_t first, uint32_t sealed,
                       const TotalsTree* before, uint32_t shift, uint32_t same) {
  for (size_t level = 0; level < kLevels; ++level) {
    const uint32_t chunks = ChunksOf(level);
    for (uint32_t i = (first + chunks - 1) / chunks; (i + 1) * chunks <= sealed; ++i) {
      const size_t old = i + shift / kFanOut;
      if (level == 0 && before != nullptr && (i + 1) * chunks <= same &&
          old < before->levels_[0].size()) {
        levels_[0][i] = before->levels_[0][old];
      }
      if (levels_[level][i] == nullptr) Make(entries, level, i);
    }
  }
}

TotalsTree::Places TotalsTree::WidestFrom(uint32_t* begin, uint32_t end) {
  Places places;
  uint32_t level = 0;
  uint32_t width = 1;
  while (*begin < end && places.size < places.room.size()) {
    // Places get wider up to the widest one, and then narrower.
    while (level < kLevels && *begin % (width * kFanOut) == 0 && end - *begin >= width * kFanOut) {
      ++level;
      width *= kFanOut;
    }
    for (; end - *begin < width; --level) width /= kFanOut;
    places.room[places.size++] = {level, *begin / width};
    *begin += width;
  }
  return places;
}

void TotalsTree::Prefetch(const ChunkEntry* entries, const Places& places) const {
  for (const Place place : places.all()) {
    if (place.level > 0) {
      __builtin_prefetch(&levels_[place.level - 1][place.index]);
    } else {
      // The second line of a header says where the node is.
      __builtin_prefetch(reinterpret_cast<const std::byte*>(entries[place.index].block) + 64);
    }
  }
  for (const Place place : places.all()) {
    const TotalsNode* node = NodeAt(entries, place);
    if (node == nullptr) continue;
    __builtin_prefetch(node);
    __builtin_prefetch(reinterpret_cast<const std::byte*>(node) + 64);
  }
}

const TotalsNode* TotalsTree::NodeAt(const ChunkEntry* entries, Place place) const {
  return place.level > 0 ? levels_[place.level - 1][place.index].get()
                         : entries[place.index].block->totals();
}

}  // namespace proxist::hot::internal
