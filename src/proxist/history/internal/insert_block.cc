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
  /// Without symbols `order` is no order: its places alone count. Writes into `out` from `at` on.
  BlockEncoder(const column::TableSchema& schema, std::span<const SelectedRows> parts,
               BlockOrder order, std::vector<std::byte>* out, size_t at)
      : schema_(schema),
        parts_(parts),
        total_(order.places.size()),
        order_(std::move(order)),
        writer_(out, at) {}

  void Encode(BlockColumns wanted) {
    const std::vector<HistoryColumn> columns = HistoryColumns(schema_);
    writer_.BeginBlock(CountColumns(schema_, wanted), total_);
    size_t at = 0;
    const auto begin = [&] {
      writer_.BeginColumn(columns[at].name, columns[at].clickhouse_type);
      ++at;
    };
    begin();
    if (order_.symbols.empty()) {
      EncodeSymbols([](const SelectedRows& part) { return &part.source->batch.symbol; }, false);
    } else {
      EncodeSortedSymbols();
    }
    begin();
    EncodeOf<int64_t>([](const SelectedRows& part) { return part.source->batch.ts.values; },
                      [](const SelectedRows&, uint32_t) { return int64_t{0}; });
    begin();
    EncodeOf<uint64_t>([](const SelectedRows& part) { return part.source->batch.seq.values; },
                       [](const SelectedRows& part, uint32_t row) { return part.LsnOf(row); });
    for (size_t index = 0; index < schema_.columns.size(); ++index) {
      if (schema_.columns[index].dropped) continue;
      if (wanted == BlockColumns::kKeys && !IsSeries(index)) {
        ++at;
        continue;
      }
      begin();
      EncodeDeclared(index);
    }
    if (wanted == BlockColumns::kAll) {
      begin();
      EncodeOf<uint64_t>([](const SelectedRows&) { return ByteSpan(); },
                         [](const SelectedRows& part, uint32_t row) { return part.LsnOf(row); });
      begin();
      EncodeConstant<uint16_t>([](const SelectedRows& part) { return part.source->shard.value(); });
      begin();
      EncodeOf<uint8_t>([](const SelectedRows& part) { return part.source->batch.op.values; },
                        [](const SelectedRows&, uint32_t) { return uint8_t{0}; });
      if (schema_.versions == column::Versions::kAll) {
        begin();
        EncodeConstant<int64_t>(
            [](const SelectedRows& part) { return part.source->published.ns(); });
      }
      PX_CHECK(at == columns.size());
    }
    writer_.Finish();
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

  /// Puts `value(row)` of the part's rows at their places.
  template <typename T, typename Value>
  void Scatter(const SelectedRows& part, Value value, std::byte* out) const {
    const uint32_t* places = order_.places.data();
    part.ForEach([=](size_t at, uint32_t row) {
      const T v = value(row);
      std::memcpy(out + places[at] * sizeof(T), &v, sizeof(T));
    });
  }
  template <typename T>
  void ScatterValues(const SelectedRows& part, const std::byte* values, std::byte* out) const {
    Scatter<T>(
        part, [values](uint32_t row) { return LoadAt<T>(values, row); }, out);
  }

  /// `values_of(part)`, or `value(part, row)` of the rows of a part where these are empty.
  template <typename T, typename ValuesOf, typename Value>
  void EncodeOf(ValuesOf values_of, Value value) {
    std::byte* out = writer_.AppendFixed(total_ * sizeof(T));
    for (const SelectedRows& part : parts_) {
      const ByteSpan values = values_of(part);
      if (!values.empty()) {
        ScatterValues<T>(part, values.data(), out);
      } else {
        Scatter<T>(
            part, [&](uint32_t row) { return value(part, row); }, out);
      }
    }
  }

  /// `value(part)` of every row; mostly that of all parts.
  template <typename T, typename Value>
  void EncodeConstant(Value value) {
    std::byte* out = writer_.AppendFixed(total_ * sizeof(T));
    if (parts_.empty()) return;
    const T first = value(parts_.front());
    for (size_t i = 0; i < total_; ++i) std::memcpy(out + i * sizeof(T), &first, sizeof(T));
    for (const SelectedRows& part : parts_) {
      const T own = value(part);
      if (own != first)
        Scatter<T>(
            part, [own](uint32_t) { return own; }, out);
    }
  }

  template <typename T>
  void EncodeValues(size_t index) {
    std::byte* out = writer_.AppendFixed(total_ * sizeof(T));
    // What stands in the place of a null is not the producer's to decide: it is zero.
    const bool whole = std::ranges::all_of(parts_, [&](const SelectedRows& part) {
      const ColumnView* view = ViewOf(part, index);
      return view != nullptr && view->validity.empty();
    });
    if (!whole) std::memset(out, 0, total_ * sizeof(T));
    for (const SelectedRows& part : parts_) {
      const ColumnView* view = ViewOf(part, index);
      if (view == nullptr) continue;
      const std::byte* values = view->values.data();
      if (view->validity.empty()) {
        ScatterValues<T>(part, values, out);
        continue;
      }
      part.ForEach([&](size_t at, uint32_t row) {
        if (!view->IsValid(row)) return;
        std::memcpy(out + order_.places[at] * sizeof(T), values + row * sizeof(T), sizeof(T));
      });
    }
  }

  void EncodeNullMap(size_t index) {
    std::byte* out = writer_.AppendFixed(total_);
    for (const SelectedRows& part : parts_) {
      const ColumnView* view = ViewOf(part, index);
      part.ForEach([&](size_t at, uint32_t row) {
        const bool valid = view != nullptr && view->IsValid(row);
        out[order_.places[at]] = std::byte{static_cast<uint8_t>(valid ? 0 : 1)};
      });
    }
  }

  void EncodeStrings(size_t index) {
    std::vector<std::string_view> texts(total_);
    for (const SelectedRows& part : parts_) {
      const ColumnView* view = ViewOf(part, index);
      if (view == nullptr) continue;
      part.ForEach([&](size_t at, uint32_t row) {
        if (view->IsValid(row)) texts[order_.places[at]] = view->TextAt(row);
      });
    }
    for (const std::string_view text : texts) writer_.AppendString(text);
  }

  template <typename Find>
  void EncodeSymbols(Find view_of, bool nullable) {
    // A null is entry 0 of a nullable column; elsewhere a missing value (of a cancel) is "".
    TextUnion texts;
    const uint32_t missing = nullable ? UINT32_MAX : texts.Intern("");
    const uint32_t shift = nullable ? 1 : 0;
    std::vector<uint32_t> codes(total_);
    VisitCodes(parts_, view_of, missing, &texts,
               [&](size_t at, uint32_t code) { codes[order_.places[at]] = code + shift; });
    std::vector<std::string_view> dictionary;
    if (nullable) dictionary.emplace_back("");
    dictionary.insert(dictionary.end(), texts.texts().begin(), texts.texts().end());
    writer_.AppendLowCardinality(dictionary, codes);
  }

  void EncodeSortedSymbols() {
    std::vector<uint32_t> codes(total_);
    size_t begin = 0;
    for (uint32_t code = 0; code < order_.symbols.size(); ++code) {
      std::fill(codes.begin() + static_cast<std::ptrdiff_t>(begin),
                codes.begin() + static_cast<std::ptrdiff_t>(order_.ends[code]), code);
      begin = order_.ends[code];
    }
    writer_.AppendLowCardinality(order_.symbols, codes);
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
  const BlockOrder order_;
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
  const size_t total = TotalRows(selected);
  if (total == 0) return {};
  const WidenedParts widened(schema, selected);
  const std::span<const SelectedRows> parts = widened.parts();
  PX_CHECK(total <= kMaxInsertRows);
  size_t row_bytes = 0;
  for (const HistoryColumn& c : HistoryColumns(schema)) {
    row_bytes += column::WidthOf(c.type.kind) + (c.nullable ? 1 : 0);
  }
  for (const SelectedRows& part : parts) {
    PX_CHECK(part.source->batch.columns.size() <= schema.columns.size());
  }
  constexpr size_t kHeaderBytes = 1 << 16;
  std::vector<std::byte> out = std::move(reused);
  if (out.capacity() < total * row_bytes + kHeaderBytes) out.clear();  // not worth a copy
  out.reserve(total * row_bytes + kHeaderBytes);
  // The block's own memory is free until it is encoded, and larger than what sorting takes.
  BlockOrder order = OrderRows(schema, parts, &out);
  BlockEncoder(schema, parts, std::move(order), &out, 0).Encode(BlockColumns::kAll);
  return out;
}

void EncodeBlock(const column::TableSchema& schema, std::span<const SelectedRows> selected,
                 BlockColumns wanted, std::vector<std::byte>* out) {
  const WidenedParts widened(schema, selected);
  const std::span<const SelectedRows> parts = widened.parts();
  BlockOrder as_they_come{.places = std::vector<uint32_t>(TotalRows(parts))};
  std::iota(as_they_come.places.begin(), as_they_come.places.end(), 0);
  BlockEncoder(schema, parts, std::move(as_they_come), out, out->size()).Encode(wanted);
}

}  // namespace proxist::history
