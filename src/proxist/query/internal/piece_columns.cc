// Copies of spans, gathers of single rows, nulls on the side.
#include "proxist/query/internal/piece_columns.h"

#include <algorithm>
#include <cstring>

#include "proxist/base/check.h"

namespace proxist::query::internal {
namespace {

// How many blocks ahead headers are asked for.
constexpr size_t kHeadersAhead = 8;
constexpr size_t kLine = 64;

void PrefetchHeader(const hot::RowBlock& block) {
  const auto* header = reinterpret_cast<const std::byte*>(&block);
  // The header and the places of the first columns.
  for (size_t at = 0; at < sizeof(hot::RowBlock) + 2 * kLine; at += kLine) {
    __builtin_prefetch(header + at);
  }
}

/// How many of the rows are there. What is not there stays zero.
template <typename T>
size_t Gather(std::span<const exec::RunRow> rows, const std::byte* const* values, std::byte* out) {
  auto* to = reinterpret_cast<T*>(out);
  size_t taken = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i].found()) continue;
    const std::byte* from = values[rows[i].run];
    if (from == nullptr) continue;
    to[i] = LoadAt<T>(from, rows[i].row);
    ++taken;
  }
  return taken;
}

void SetMissing(std::span<const exec::RunRow> rows, size_t base, exec::Column* out) {
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i].found()) out->SetNull(base + i);
  }
}

}  // namespace

size_t PieceReader::Take(size_t most, std::vector<Piece>* out) {
  out->clear();
  size_t rows = 0;
  while (rows < most && !left_.empty()) {
    Piece piece = left_.front();
    piece.begin += taken_;
    const auto n = static_cast<uint32_t>(std::min<size_t>(piece.end - piece.begin, most - rows));
    taken_ += n;
    rows += n;
    if (piece.begin + n == piece.end) {
      left_ = left_.subspan(1);
      taken_ = 0;
    }
    piece.end = piece.begin + n;
    out->push_back(piece);
  }
  return rows;
}

void AppendKeys(std::span<const Piece> pieces, size_t rows, uint32_t symbol,
                std::span<exec::Column> columns) {
  std::fill_n(reinterpret_cast<uint32_t*>(columns[0].Extend(rows)), rows, symbol);
  std::byte* ts = columns[1].Extend(rows);
  std::byte* seq = columns[2].Extend(rows);
  for (const Piece& piece : pieces) {
    const size_t bytes = (piece.end - piece.begin) * sizeof(int64_t);
    std::memcpy(ts, piece.ts() + piece.begin, bytes);
    std::memcpy(seq, piece.seq() + piece.begin, bytes);
    ts += bytes;
    seq += bytes;
  }
}

void AppendValues(std::span<const Piece> pieces, size_t rows, size_t column, exec::Column* out) {
  size_t base = out->rows();
  const size_t stride = out->stride();
  std::byte* to = out->Extend(rows);
  for (const Piece& piece : pieces) {
    const size_t n = piece.end - piece.begin;
    const std::byte* values = hot::ValuesOf(*piece.block, column);
    if (values != nullptr) std::memcpy(to, values + piece.begin * stride, n * stride);
    if (!hot::AllValid(*piece.block, column, piece.begin, piece.end)) {
      for (uint32_t i = 0; i < n; ++i) {
        if (!hot::IsValid(*piece.block, column, piece.begin + i)) out->SetNull(base + i);
      }
    }
    to += n * stride;
    base += n;
  }
}

PieceRuns::PieceRuns(std::span<const Piece> pieces, std::span<const FixedColumn> columns)
    : pieces_(pieces), columns_(columns) {
  times_.reserve(pieces.size());
  values_.resize(columns.size() * pieces.size());
  all_valid_.assign(columns.size(), true);
  for (size_t run = 0; run < std::min(pieces.size(), kHeadersAhead); ++run) {
    PrefetchHeader(*pieces[run].block);
  }
  for (size_t run = 0; run < pieces.size(); ++run) {
    if (run + kHeadersAhead < pieces.size()) PrefetchHeader(*pieces[run + kHeadersAhead].block);
    const Piece& piece = pieces[run];
    PX_CHECK(piece.block != nullptr && piece.begin < piece.end);
    times_.push_back({piece.ts() + piece.begin, piece.end - piece.begin});
    for (size_t c = 0; c < columns.size(); ++c) {
      const std::byte* values = hot::ValuesOf(*piece.block, columns[c].index);
      values_[c * pieces.size() + run] =
          values == nullptr ? nullptr : values + piece.begin * columns[c].width;
      if (all_valid_[c] && !hot::AllValid(*piece.block, columns[c].index, piece.begin, piece.end)) {
        all_valid_[c] = false;
      }
    }
  }
}

void PieceRuns::Prefetch(std::span<const exec::RunRow> rows) const {
  for (size_t c = 0; c < columns_.size(); ++c) {
    const std::byte* const* values = values_.data() + c * pieces_.size();
    const size_t width = columns_[c].width;
    for (const exec::RunRow& row : rows) {
      if (!row.found() || values[row.run] == nullptr) continue;
      __builtin_prefetch(values[row.run] + row.row * width);
    }
  }
}

void PieceRuns::AppendValues(std::span<const exec::RunRow> rows, size_t index,
                             exec::Column* out) const {
  const size_t base = out->rows();
  std::byte* to = out->Extend(rows.size());
  const std::byte* const* values = values_.data() + index * pieces_.size();
  size_t taken = 0;
  switch (out->stride()) {
    case 1:
      taken = Gather<uint8_t>(rows, values, to);
      break;
    case 2:
      taken = Gather<uint16_t>(rows, values, to);
      break;
    case 4:
      taken = Gather<uint32_t>(rows, values, to);
      break;
    default:
      PX_CHECK(out->stride() == 8);
      taken = Gather<uint64_t>(rows, values, to);
      break;
  }
  if (taken == rows.size() && all_valid_[index]) return;
  for (size_t i = 0; i < rows.size(); ++i) {
    const exec::RunRow& row = rows[i];
    if (!row.found() || !hot::IsValid(*pieces_[row.run].block, columns_[index].index,
                                      pieces_[row.run].begin + row.row)) {
      out->SetNull(base + i);
    }
  }
}

void PieceRuns::AppendTimes(std::span<const exec::RunRow> rows, exec::Column* out) const {
  const size_t base = out->rows();
  auto* to = reinterpret_cast<int64_t*>(out->Extend(rows.size()));
  bool all = true;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].found()) {
      to[i] = times_[rows[i].run].ts[rows[i].row];
    } else {
      all = false;
    }
  }
  if (!all) SetMissing(rows, base, out);
}

void PieceRuns::AppendSeqs(std::span<const exec::RunRow> rows, exec::Column* out) const {
  const size_t base = out->rows();
  auto* to = reinterpret_cast<uint64_t*>(out->Extend(rows.size()));
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i].found()) continue;
    const Piece& piece = pieces_[rows[i].run];
    to[i] = piece.seq()[piece.begin + rows[i].row];
  }
  SetMissing(rows, base, out);
}

}  // namespace proxist::query::internal
