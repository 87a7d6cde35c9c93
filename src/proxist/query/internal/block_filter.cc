// A frame of the few columns that the predicate reads, made anew for each block.
#include "proxist/query/internal/block_filter.h"

#include <algorithm>
#include <utility>

namespace proxist::query::internal {
namespace {

constexpr size_t kBlockRows = 4096;

}  // namespace

bool BlockFilter::Fits(const Side& side) {
  return std::ranges::none_of(side.WhereSlots(), [&](size_t slot) {
    return side.DefOf(slot).type.kind == column::TypeKind::kString;
  });
}

std::optional<BlockFilter> BlockFilter::Of(const Side* side) {
  return side->has_where() ? std::optional(BlockFilter(side)) : std::nullopt;
}

void BlockFilter::Open(SymbolScan* symbol) {
  symbol_ = symbol;
  budget_ = symbol->table().context().budget;
  charged_runs_ = 0;
}

template <typename Take>
Status BlockFilter::ForBlocks(std::span<const Piece> pieces, const Take& take) {
  PieceReader reader(pieces);
  while (!reader.done()) {
    PX_RETURN_IF_ERROR(budget_->LookAt(reader.Take(kBlockRows, &block_)));
    Select();
    take();
  }
  return OkStatus();
}

Status BlockFilter::Append(std::span<const Piece> pieces, BlockRows* out) {
  return ForBlocks(pieces, [&] { AppendBlock(out); });
}

Status BlockFilter::Append(std::vector<Piece>* pieces, BlockRows* out) {
  runs_.clear();
  PX_RETURN_IF_ERROR(ForBlocks(*pieces, [&] {
    AppendBlock(out);
    AppendRuns(&runs_);
  }));
  pieces->swap(runs_);
  if (pieces->size() <= charged_runs_) return OkStatus();
  const size_t grown = pieces->size() - std::exchange(charged_runs_, pieces->size());
  return budget_->Charge(grown * sizeof(Piece));
}

StatusOr<std::vector<Piece>> BlockFilter::Runs(std::span<const Piece> pieces) {
  std::vector<Piece> runs;
  size_t charged = 0;
  Status fits;
  PX_RETURN_IF_ERROR(ForBlocks(pieces, [&] {
    if (!fits.ok()) return;
    AppendRuns(&runs);
    fits = budget_->Charge((runs.size() - charged) * sizeof(Piece));
    charged = runs.size();
  }));
  PX_RETURN_IF_ERROR(fits);
  return runs;
}

void BlockFilter::FillKeys() {
  if (!side_->WhereReadsKeys()) {
    frame_.ts.resize(RowsOf(block_));  // says how many there are
    return;
  }
  frame_.ts.clear();
  frame_.seq.clear();
  for (const Piece& piece : block_) {
    frame_.ts.insert(frame_.ts.end(), piece.ts() + piece.begin, piece.ts() + piece.end);
    frame_.seq.insert(frame_.seq.end(), piece.seq() + piece.begin, piece.seq() + piece.end);
  }
}

void BlockFilter::Select() {
  FillKeys();
  frame_.columns.resize(side_->slots());
  for (const size_t slot : side_->WhereSlots()) {
    exec::Column& column = frame_.columns[slot];
    column = exec::Column(side_->DefOf(slot).type);
    AppendValues(block_, frame_.rows(), side_->ColumnOf(slot), &column);
  }
  selected_.clear();
  side_->Select(frame_, *symbol_, &selected_);
  ends_.clear();
  auto row = selected_.begin();
  uint32_t first = 0;  // of the piece's rows
  for (const Piece& piece : block_) {
    const uint32_t next = first + piece.end - piece.begin;
    const auto end = std::lower_bound(row, selected_.end(), next);
    for (; row != end; ++row) *row += piece.begin - first;
    ends_.push_back(static_cast<size_t>(end - selected_.begin()));
    first = next;
  }
}

void BlockFilter::AppendBlock(BlockRows* out) const {
  size_t begin = 0;
  for (size_t i = 0; i < block_.size(); ++i) {
    out->Append(block_[i], std::span(selected_).subspan(begin, ends_[i] - begin));
    begin = ends_[i];
  }
}

void BlockFilter::AppendRuns(std::vector<Piece>* out) const {
  size_t at = 0;
  for (size_t i = 0; i < block_.size(); ++i) {
    for (const size_t first = at; at < ends_[i];) {
      Piece run = block_[i];
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
