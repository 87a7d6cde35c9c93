// A heap over the series' next rows; the leading series is copied as far as it leads.
#include "proxist/query/internal/merge.h"

#include <algorithm>
#include <cstring>
#include <tuple>

namespace proxist::query::internal {
namespace {

/// Where the merge stands in one series.
struct Cursor {
  std::span<const Piece> pieces;
  size_t rank = 0;
  size_t piece = 0;
  uint32_t row = 0;
  const int64_t* ts = nullptr;
  const uint64_t* seq = nullptr;

  void Load() {
    ts = pieces[piece].ts();
    seq = pieces[piece].seq();
    row = pieces[piece].begin;
  }
  [[nodiscard]] std::tuple<int64_t, uint64_t, size_t> Key() const {
    return {ts[row], seq[row], rank};
  }
  /// Goes past the rows whose key is below `limit` (all rows when null) and appends them. False at
  /// the end.
  bool Advance(const Cursor* limit, std::vector<Piece>* out) {
    const Piece& now = pieces[piece];
    const uint32_t begin = row;
    if (limit == nullptr) {
      row = now.end;
    } else {
      const auto stop = limit->Key();
      while (row < now.end && Key() < stop) ++row;
    }
    AppendRows(out, {now.block, now.cold, begin, row});
    if (row < now.end) return true;
    if (++piece == pieces.size()) return false;
    Load();
    return true;
  }
};

}  // namespace

std::vector<Piece> Merge(std::span<const std::vector<Piece>> series) {
  std::vector<Piece> out;
  std::vector<Cursor> cursors;
  for (size_t rank = 0; rank < series.size(); ++rank) {
    if (series[rank].empty()) continue;
    Cursor& cursor = cursors.emplace_back();
    cursor.pieces = series[rank];
    cursor.rank = rank;
    cursor.Load();
  }
  if (cursors.size() == 1) {
    out.assign(cursors[0].pieces.begin(), cursors[0].pieces.end());
    return out;
  }
  const auto later = [&](const Cursor* a, const Cursor* b) { return a->Key() > b->Key(); };
  std::vector<Cursor*> heap;
  for (Cursor& cursor : cursors) heap.push_back(&cursor);
  std::make_heap(heap.begin(), heap.end(), later);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    Cursor* first = heap.back();
    heap.pop_back();
    bool more = first->Advance(heap.empty() ? nullptr : heap.front(), &out);
    while (more && heap.empty()) more = first->Advance(nullptr, &out);
    if (!more) continue;
    heap.push_back(first);
    std::push_heap(heap.begin(), heap.end(), later);
  }
  return out;
}

namespace {

/// Writes the piece's values of `column` to rows `base`.. of `out`, which are there, zeroed.
void CopyFromMemory(const Piece& piece, size_t column, size_t base, exec::Column* out) {
  const uint32_t n = piece.end - piece.begin;
  std::byte* to = out->data<std::byte>() + base * out->stride();
  const std::byte* values = hot::ValuesOf(*piece.block, column);
  if (values == nullptr) {
    for (uint32_t i = 0; i < n; ++i) out->SetNull(base + i);
    return;
  }
  const bool all_valid = hot::AllValid(*piece.block, column, piece.begin, piece.end);
  if (!all_valid) {
    for (uint32_t i = 0; i < n; ++i) {
      if (!hot::IsValid(*piece.block, column, piece.begin + i)) out->SetNull(base + i);
    }
  }
  if (out->type().kind != column::TypeKind::kString) {
    std::memcpy(to, values + size_t{piece.begin} * out->stride(), size_t{n} * out->stride());
    return;
  }
  for (uint32_t i = 0; i < n; ++i) {
    if (!all_valid && !out->IsValid(base + i)) continue;
    out->data<std::string_view>()[base + i] =
        AsText(hot::TextOf(*piece.block, column, piece.begin + i));
  }
}

void CopyFromHistory(const Piece& piece, size_t column, size_t base, exec::Column* out) {
  const column::ColumnView& view = piece.cold->result.batch.columns[column];
  const uint32_t n = piece.end - piece.begin;
  const size_t stride = out->stride();
  std::byte* to = out->data<std::byte>() + base * stride;
  for (uint32_t i = 0; i < n; ++i) {
    const size_t row = piece.begin + i;
    if (!view.IsValid(row)) {
      out->SetNull(base + i);
    } else if (view.type.kind == column::TypeKind::kSymbol) {
      out->data<uint32_t>()[base + i] = piece.cold->column_codes[column][view.At<uint32_t>(row)];
    } else if (view.type.kind == column::TypeKind::kString) {
      out->data<std::string_view>()[base + i] = view.TextAt(row);
    } else {
      std::memcpy(to + i * stride, view.values.data() + row * stride, stride);
    }
  }
}

}  // namespace

exec::Frame MakeFrame(std::span<const Piece> pieces, std::span<const size_t> columns,
                      const column::TableSchema& schema) {
  exec::Frame frame;
  size_t rows = 0;
  for (const Piece& piece : pieces) rows += piece.end - piece.begin;
  frame.ts.reserve(rows);
  frame.seq.reserve(rows);
  for (const Piece& piece : pieces) {
    frame.ts.insert(frame.ts.end(), piece.ts() + piece.begin, piece.ts() + piece.end);
    frame.seq.insert(frame.seq.end(), piece.seq() + piece.begin, piece.seq() + piece.end);
  }
  frame.columns.reserve(columns.size());
  for (const size_t index : columns) {
    exec::Column& column = frame.columns.emplace_back(schema.columns[index].type);
    column.Extend(rows);
    size_t base = 0;
    for (const Piece& piece : pieces) {
      if (piece.block != nullptr) {
        CopyFromMemory(piece, index, base, &column);
      } else {
        CopyFromHistory(piece, index, base, &column);
      }
      base += piece.end - piece.begin;
    }
  }
  return frame;
}

}  // namespace proxist::query::internal
