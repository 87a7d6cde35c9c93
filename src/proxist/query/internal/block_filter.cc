// A frame of the few columns that the predicate reads, made anew for each block.
#include "proxist/query/internal/block_filter.h"

#include <algorithm>

namespace proxist::query::internal {
namespace {

constexpr size_t kBlockRows = 4096;

}  // namespace

bool BlockFilter::Fits(const Side& side) {
  return side.has_where() && std::ranges::none_of(side.WhereSlots(), [&](size_t slot) {
           return side.DefOf(slot).type.kind == column::TypeKind::kString;
         });
}

BlockFilter::BlockFilter(const Side* side) : side_(side) {}

void BlockFilter::FillKeys(std::span<const Piece> pieces) {
  if (!side_->WhereReadsKeys()) {
    size_t rows = 0;
    for (const Piece& piece : pieces) rows += piece.end - piece.begin;
    frame_.ts.resize(rows);  // says how many there are
    return;
  }
  frame_.ts.clear();
  frame_.seq.clear();
  for (const Piece& piece : pieces) {
    frame_.ts.insert(frame_.ts.end(), piece.ts() + piece.begin, piece.ts() + piece.end);
    frame_.seq.insert(frame_.seq.end(), piece.seq() + piece.begin, piece.seq() + piece.end);
  }
}

void BlockFilter::Select(std::span<const Piece> pieces) {
  FillKeys(pieces);
  frame_.columns.resize(side_->slots());
  for (const size_t slot : side_->WhereSlots()) {
    exec::Column& column = frame_.columns[slot];
    column = exec::Column(side_->DefOf(slot).type);
    AppendValues(pieces, frame_.rows(), side_->ColumnOf(slot), &column);
  }
  selected_.clear();
  side_->Select(frame_, *symbol_, &selected_);
  ends_.clear();
  auto row = selected_.begin();
  uint32_t first = 0;  // of the piece's rows
  for (const Piece& piece : pieces) {
    const uint32_t next = first + piece.end - piece.begin;
    const auto end = std::lower_bound(row, selected_.end(), next);
    for (; row != end; ++row) *row += piece.begin - first;
    ends_.push_back(static_cast<size_t>(end - selected_.begin()));
    first = next;
  }
}

void BlockFilter::Append(std::span<const Piece> pieces, BlockRows* out) {
  Select(pieces);
  size_t begin = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    out->Append(pieces[i], std::span(selected_).subspan(begin, ends_[i] - begin));
    begin = ends_[i];
  }
}

void BlockFilter::Append(std::vector<Piece>* pieces, BlockRows* out) {
  Append(std::span<const Piece>(*pieces), out);
  runs_.clear();
  AppendRuns(*pieces, &runs_);
  pieces->swap(runs_);
}

StatusOr<std::vector<Piece>> BlockFilter::Runs(std::span<const Piece> pieces, Budget* budget) {
  std::vector<Piece> runs;
  PieceReader reader(pieces);
  while (!reader.done()) {
    const size_t known = runs.size();
    reader.Take(kBlockRows, &block_);
    Select(block_);
    AppendRuns(block_, &runs);
    PX_RETURN_IF_ERROR(budget->Charge((runs.size() - known) * sizeof(Piece)));
  }
  return runs;
}

void BlockFilter::AppendRuns(std::span<const Piece> pieces, std::vector<Piece>* out) const {
  size_t at = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    for (const size_t first = at; at < ends_[i];) {
      Piece run = pieces[i];
      run.begin = selected_[at];
      run.end = run.begin + 1;
      const bool begins = at == first;
      for (++at; at < ends_[i] && selected_[at] == run.end; ++at) ++run.end;
      if (begins) {
        AppendRows(out, run);  // perhaps next to those of the block before
      } else {
        out->push_back(run);
      }
    }
  }
}

}  // namespace proxist::query::internal
