// Each column is read in the order of arrival and scattered to its sorted places.
#include "proxist/history/insert_block.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <numeric>
#include <string_view>
#include <utility>

#include "proxist/base/check.h"
#include "proxist/column/widen.h"
#include "proxist/history/internal/native_writer.h"
#include "proxist/history/internal/row_block.h"
#include "proxist/history/internal/row_selection.h"
#include "proxist/history/internal/sql.h"

namespace proxist::history {
namespace {

using column::ColumnView;
using column::TypeKind;

/// Parts whose batches have the schema's types: those of earlier versions are widened.
class WidenedParts {
 public:
  WidenedParts(const column::TableSchema& schema, std::span<const SelectedRows> parts)
      : parts_(parts.begin(), parts.end()) {
    for (SelectedRows& part : parts_) {
      if (!column::IsNarrower(part.source->batch, schema)) continue;
      SourceBatch& wide = sources_.emplace_back(*part.source);
      wide.batch = column::Widen(part.source->batch, schema);
      part.source = &wide;
    }
  }
  [[nodiscard]] std::span<const SelectedRows> parts() const { return parts_; }

 private:
  std::vector<SelectedRows> parts_;
  std::deque<SourceBatch> sources_;
};

class BlockEncoder {
 public:
  /// `places` has the place of every row, in the parts' order.
  BlockEncoder(const column::TableSchema& schema, std::span<const SelectedRows> parts,
               std::vector<uint32_t> places, std::vector<std::byte>* out)
      : schema_(schema),
        parts_(parts),
        total_(places.size()),
        places_(std::move(places)),
        writer_(out) {}

  void Encode(BlockColumns wanted) {
    const std::vector<HistoryColumn> columns = HistoryColumns(schema_);
    writer_.BeginBlock(CountColumns(schema_, wanted), total_);
    size_t at = 0;
    const auto begin = [&] {
      writer_.BeginColumn(columns[at].name, columns[at].clickhouse_type);
      ++at;
    };
    begin();
    EncodeSymbols([](const SelectedRows& part) { return &part.source->batch.symbol; }, false);
    begin();
    EncodeFixed<int64_t>([](const SelectedRows& part, uint32_t row) {
      return part.source->batch.ts.At<int64_t>(row);
    });
    begin();
    EncodeFixed<uint64_t>([](const SelectedRows& part, uint32_t row) {
      const ColumnView& seq = part.source->batch.seq;
      return seq.values.empty() ? part.LsnOf(row) : seq.At<uint64_t>(row);
    });
    for (size_t index = 0; index < schema_.columns.size(); ++index) {
      if (schema_.columns[index].dropped) continue;
      if (wanted == BlockColumns::kKeys && !IsSeries(index)) {
        ++at;
        continue;
      }
      begin();
      EncodeDeclared(index);
    }
    if (wanted != BlockColumns::kAll) return;
    begin();
    EncodeFixed<uint64_t>([](const SelectedRows& part, uint32_t row) { return part.LsnOf(row); });
    begin();
    EncodeFixed<uint16_t>(
        [](const SelectedRows& part, uint32_t) { return part.source->shard.value(); });
    begin();
    EncodeFixed<uint8_t>([](const SelectedRows& part, uint32_t row) {
      return static_cast<uint8_t>(part.source->batch.OpAt(row) == column::Op::kCancel ? 1 : 0);
    });
    if (schema_.versions == column::Versions::kAll) {
      begin();
      EncodeFixed<int64_t>(
          [](const SelectedRows& part, uint32_t) { return part.source->published.ns(); });
    }
    PX_CHECK(at == columns.size());
  }

 private:
  static size_t CountColumns(const column::TableSchema& schema, BlockColumns wanted) {
    constexpr size_t kKeyColumns = 3;
    if (wanted == BlockColumns::kKeys) return kKeyColumns + schema.series.size();
    if (wanted == BlockColumns::kAll) return HistoryColumns(schema).size();
    const auto dropped = std::ranges::count_if(
        schema.columns, [](const column::ColumnDef& def) { return def.dropped; });
    return kKeyColumns + schema.columns.size() - static_cast<size_t>(dropped);
  }
  [[nodiscard]] bool IsSeries(size_t index) const {
    return std::find(schema_.series.begin(), schema_.series.end(), index) != schema_.series.end();
  }

  /// `value(part, row)` of every row, at its sorted place.
  template <typename T, typename Value>
  void EncodeFixed(Value value) {
    std::byte* out = writer_.AppendFixed(total_ * sizeof(T));
    for (const SelectedRows& part : parts_) {
      const uint32_t* places = places_.data() + part.base;
      for (size_t i = 0; i < part.rows.size(); ++i) {
        const T v = value(part, part.rows[i]);
        std::memcpy(out + places[i] * sizeof(T), &v, sizeof(T));
      }
    }
  }

  template <typename T>
  void EncodeValues(size_t index) {
    std::byte* out = writer_.AppendFixed(total_ * sizeof(T));
    for (const SelectedRows& part : parts_) {
      const ColumnView* view = ViewOf(part, index);
      if (view == nullptr) continue;
      const std::byte* values = view->values.data();
      const uint32_t* places = places_.data() + part.base;
      for (size_t i = 0; i < part.rows.size(); ++i) {
        // What stands in the place of a null is not the producer's to decide: it is zero.
        if (!view->IsValid(part.rows[i])) continue;
        std::memcpy(out + places[i] * sizeof(T), values + part.rows[i] * sizeof(T), sizeof(T));
      }
    }
  }

  void EncodeNullMap(size_t index) {
    std::byte* out = writer_.AppendFixed(total_);
    for (const SelectedRows& part : parts_) {
      const ColumnView* view = ViewOf(part, index);
      for (size_t i = 0; i < part.rows.size(); ++i) {
        const bool valid = view != nullptr && view->IsValid(part.rows[i]);
        out[places_[part.base + i]] = std::byte{static_cast<uint8_t>(valid ? 0 : 1)};
      }
    }
  }

  void EncodeStrings(size_t index) {
    std::vector<std::string_view> texts(total_);
    for (const SelectedRows& part : parts_) {
      const ColumnView* view = ViewOf(part, index);
      if (view == nullptr) continue;
      for (size_t i = 0; i < part.rows.size(); ++i) {
        if (view->IsValid(part.rows[i])) {
          texts[places_[part.base + i]] = view->TextAt(part.rows[i]);
        }
      }
    }
    for (const std::string_view text : texts) writer_.AppendString(text);
  }

  template <typename Find>
  void EncodeSymbols(Find view_of, bool nullable) {
    TextUnion texts;
    constexpr uint32_t kNull = UINT32_MAX;
    const std::vector<uint32_t> codes = UnifyCodes(parts_, total_, view_of, kNull, &texts);
    // The null is entry 0 of a nullable column; elsewhere a missing value (of a cancel) is "".
    std::vector<std::string_view> dictionary;
    if (nullable) dictionary.emplace_back("");
    dictionary.insert(dictionary.end(), texts.texts().begin(), texts.texts().end());
    uint32_t missing = 0;
    if (!nullable) {
      missing = texts.Intern("");
      if (missing == dictionary.size()) dictionary.emplace_back("");
    }
    const uint32_t shift = nullable ? 1 : 0;
    std::vector<uint32_t> sorted(total_);
    for (size_t row = 0; row < total_; ++row) {
      sorted[places_[row]] = codes[row] == kNull ? missing : codes[row] + shift;
    }
    writer_.AppendLowCardinality(dictionary, sorted);
  }

  void EncodeDeclared(size_t index) {
    const column::ColumnDef& def = schema_.columns[index];
    if (def.type.kind == TypeKind::kSymbol) {
      return EncodeSymbols([&](const SelectedRows& part) { return ViewOf(part, index); },
                           def.nullable);
    }
    if (def.nullable) EncodeNullMap(index);
    if (def.type.kind == TypeKind::kString) return EncodeStrings(index);
    switch (column::WidthOf(def.type.kind)) {
      case 1:
        return EncodeValues<uint8_t>(index);
      case 2:
        return EncodeValues<uint16_t>(index);
      case 4:
        return EncodeValues<uint32_t>(index);
      default:
        return EncodeValues<uint64_t>(index);
    }
  }

  [[nodiscard]] const ColumnView* ViewOf(const SelectedRows& part, size_t index) const {
    return FindColumn(part.source->batch, schema_.columns[index], index);
  }

  const column::TableSchema& schema_;
  std::span<const SelectedRows> parts_;
  size_t total_;
  const std::vector<uint32_t> places_;
  NativeWriter writer_;
};

}  // namespace

std::vector<std::byte> EncodeInsertBlock(const InsertIntent& intent,
                                         std::span<const SourceBatch> sources,
                                         std::vector<std::byte> reused) {
  return EncodeSelectedRows(*intent.schema, SelectRows(intent, sources), std::move(reused));
}

std::vector<std::byte> EncodeSelectedRows(const column::TableSchema& schema,
                                          std::span<const SelectedRows> selected,
                                          std::vector<std::byte> reused) {
  std::vector<std::byte> out = std::move(reused);
  out.clear();
  if (selected.empty()) return out;
  const WidenedParts widened(schema, selected);
  const std::span<const SelectedRows> parts = widened.parts();
  const size_t total = parts.back().base + parts.back().rows.size();
  PX_CHECK(total <= kMaxInsertRows);
  size_t row_bytes = 0;
  for (const HistoryColumn& c : HistoryColumns(schema)) {
    row_bytes += column::WidthOf(c.type.kind) + (c.nullable ? 1 : 0);
  }
  for (const SelectedRows& part : parts) {
    PX_CHECK(part.source->batch.columns.size() <= schema.columns.size());
  }
  constexpr size_t kHeaderBytes = 1 << 16;
  out.reserve(total * row_bytes + kHeaderBytes);
  // The block's own memory is free until it is encoded, and larger than what sorting takes.
  std::vector<uint32_t> places = SortedPlaces(schema, parts, &out);
  out.clear();
  BlockEncoder(schema, parts, std::move(places), &out).Encode(BlockColumns::kAll);
  return out;
}

void EncodeBlock(const column::TableSchema& schema, std::span<const SelectedRows> selected,
                 BlockColumns wanted, std::vector<std::byte>* out) {
  const WidenedParts widened(schema, selected);
  const std::span<const SelectedRows> parts = widened.parts();
  std::vector<uint32_t> places(parts.empty() ? 0 : parts.back().base + parts.back().rows.size());
  std::iota(places.begin(), places.end(), 0);
  BlockEncoder(schema, parts, std::move(places), out).Encode(wanted);
}

}  // namespace proxist::history
