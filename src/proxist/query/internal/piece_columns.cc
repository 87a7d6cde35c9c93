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

/// The values of rows, each in the run at `starts`; zero where there is no row or no such run.
template <typename T>
void Gather(const RightRows& of, const std::byte* const* starts, std::byte* out) {
  auto* to = reinterpret_cast<T*>(out);
  const uint32_t* rows = of.rows.data();
  for (const exec::RunMatches& matches : of.runs) {
    const bool none = matches.run == exec::RunMatches::kNoRun || starts[matches.run] == nullptr;
    const auto* from = none ? nullptr : reinterpret_cast<const T*>(starts[matches.run]);
    if (none) {
      std::fill_n(to, matches.rows, T{});
    } else if (matches.all) {
      for (uint32_t i = 0; i < matches.rows; ++i) to[i] = from[rows[i]];
    } else {
      for (uint32_t i = 0; i < matches.rows; ++i) {
        to[i] = rows[i] == exec::AsofPass::kNoRow ? T{} : from[rows[i]];
      }
    }
    to += matches.rows;
    rows += matches.rows;
  }
}

/// Calls each(place, run, row) for every row, and each(place, kNoRun, ...) where there is none.
template <typename Each>
void ForRows(const RightRows& of, const Each& each) {
  size_t place = 0;
  for (const exec::RunMatches& matches : of.runs) {
    for (uint32_t i = 0; i < matches.rows; ++i, ++place) {
      const uint32_t row = of.rows[place];
      each(place, row == exec::AsofPass::kNoRow ? exec::RunMatches::kNoRun : matches.run, row);
    }
  }
}

void SetMissing(const RightRows& rows, size_t base, exec::Column* out) {
  if (rows.all()) return;
  ForRows(rows, [&](size_t place, uint32_t run, uint32_t /*row*/) {
    if (run == exec::RunMatches::kNoRun) out->SetNull(base + place);
  });
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

void PrefetchRows(const void* values, size_t width, uint32_t begin, uint32_t end) {
  const auto* at = static_cast<const std::byte*>(values);
  if (at == nullptr) return;
  for (size_t i = begin * width; i < end * width; i += kLine) __builtin_prefetch(at + i, 0, 2);
}

void AppendKeys(std::span<const Piece> pieces, size_t rows, uint32_t symbol,
                std::span<exec::Column> columns) {
  std::fill_n(reinterpret_cast<uint32_t*>(columns[0].ExtendUnset(rows)), rows, symbol);
  std::byte* ts = columns[1].ExtendUnset(rows);
  std::byte* seq = columns[2].ExtendUnset(rows);
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
  std::byte* to = out->ExtendUnset(rows);
  for (const Piece& piece : pieces) {
    const size_t n = piece.end - piece.begin;
    const std::byte* values = hot::ValuesOf(*piece.block, column);
    if (values != nullptr) {
      std::memcpy(to, values + piece.begin * stride, n * stride);
    } else {
      std::memset(to, 0, n * stride);
    }
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
  starts_.reserve(pieces.size());
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
    starts_.push_back(reinterpret_cast<const std::byte*>(piece.ts() + piece.begin));
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

void PieceRuns::Prefetch(const RightRows& of) const {
  for (size_t c = 0; c < columns_.size(); ++c) {
    const std::byte* const* starts = values_.data() + c * pieces_.size();
    const size_t width = columns_[c].width;
    const uint32_t* rows = of.rows.data();
    for (const exec::RunMatches& matches : of.runs) {
      if (matches.run != exec::RunMatches::kNoRun && starts[matches.run] != nullptr) {
        const std::byte* from = starts[matches.run];
        for (uint32_t i = 0; i < matches.rows; ++i) {
          // Without a row nothing is there to be read, which asking does not mind.
          __builtin_prefetch(from + rows[i] * width, 0, 2);
        }
      }
      rows += matches.rows;
    }
  }
}

void PieceRuns::AppendValues(const RightRows& rows, size_t index, exec::Column* out) const {
  const size_t base = out->rows();
  std::byte* to = out->ExtendUnset(rows.rows.size());
  const std::byte* const* starts = values_.data() + index * pieces_.size();
  switch (out->stride()) {
    case 1:
      Gather<uint8_t>(rows, starts, to);
      break;
    case 2:
      Gather<uint16_t>(rows, starts, to);
      break;
    case 4:
      Gather<uint32_t>(rows, starts, to);
      break;
    default:
      PX_CHECK(out->stride() == 8);
      Gather<uint64_t>(rows, starts, to);
      break;
  }
  if (all_valid_[index]) return SetMissing(rows, base, out);
  ForRows(rows, [&](size_t place, uint32_t run, uint32_t row) {
    if (run == exec::RunMatches::kNoRun ||
        !hot::IsValid(*pieces_[run].block, columns_[index].index, pieces_[run].begin + row)) {
      out->SetNull(base + place);
    }
  });
}

void PieceRuns::AppendTimes(const RightRows& rows, exec::Column* out) const {
  const size_t base = out->rows();
  Gather<int64_t>(rows, starts_.data(), out->ExtendUnset(rows.rows.size()));
  SetMissing(rows, base, out);
}

void PieceRuns::AppendSeqs(const RightRows& rows, exec::Column* out) const {
  const size_t base = out->rows();
  auto* to = reinterpret_cast<uint64_t*>(out->ExtendUnset(rows.rows.size()));
  ForRows(rows, [&](size_t place, uint32_t run, uint32_t row) {
    const bool none = run == exec::RunMatches::kNoRun;
    to[place] = none ? 0 : pieces_[run].seq()[pieces_[run].begin + row];
  });
  SetMissing(rows, base, out);
}

}  // namespace proxist::query::internal
