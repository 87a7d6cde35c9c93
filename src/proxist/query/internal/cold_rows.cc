// Versions resolve before anything else looks at a row.
#include "proxist/query/internal/cold_rows.h"

#include <algorithm>
#include <compare>
#include <utility>

namespace proxist::query::internal {

ColdBatch::ColdBatch(history::ReadResult read, std::span<const size_t> columns,
                     exec::Symbols* symbols)
    : result(std::move(read)) {
  const column::Batch& batch = result.batch;
  ts.resize(batch.rows);
  seq.resize(batch.rows);
  for (size_t row = 0; row < batch.rows; ++row) {
    ts[row] = batch.ts.At<int64_t>(row);
    seq[row] = batch.seq.At<uint64_t>(row);
  }
  const auto codes_of = [&](const column::ColumnView& view) {
    std::vector<uint32_t> codes;
    codes.reserve(view.dictionary.size());
    for (const std::string_view text : view.dictionary) codes.push_back(symbols->Code(text));
    return codes;
  };
  symbol_codes = codes_of(batch.symbol);
  column_codes.resize(batch.columns.size());
  for (const size_t column : columns) {
    if (batch.columns[column].type.kind == column::TypeKind::kSymbol) {
      column_codes[column] = codes_of(batch.columns[column]);
    }
  }
}

uint64_t RowsOf(std::span<const Piece> pieces) {
  uint64_t rows = 0;
  for (const Piece& piece : pieces) rows += piece.end - piece.begin;
  return rows;
}

void AppendRows(std::vector<Piece>* pieces, const Piece& rows) {
  if (!pieces->empty()) {
    Piece& last = pieces->back();
    if (last.block == rows.block && last.cold == rows.cold && last.end == rows.begin) {
      last.end = rows.end;
      return;
    }
  }
  pieces->push_back(rows);
}

void Resolve(const ColdBatch* batch, std::span<const uint32_t> cold,
             std::span<const hot::LateRow> late, std::vector<Piece>* pieces) {
  using Key = std::pair<int64_t, uint64_t>;
  const auto cold_key = [&](size_t i) { return Key{batch->ts[cold[i]], batch->seq[cold[i]]}; };
  const auto late_key = [&](size_t i) {
    return Key{hot::TimestampsOf(*late[i].block)[late[i].row],
               hot::SeqsOf(*late[i].block)[late[i].row]};
  };
  size_t c = 0;
  size_t l = 0;
  while (c < cold.size() || l < late.size()) {
    const bool take_late = l < late.size() && (c == cold.size() || late_key(l) <= cold_key(c));
    const Key key = take_late ? late_key(l) : cold_key(c);
    uint32_t best = 0;
    uint64_t best_version = 0;
    bool from_cold = false;
    for (; c < cold.size() && cold_key(c) == key; ++c) {
      if (from_cold && batch->result.versions[cold[c]] < best_version) continue;
      best = cold[c];
      best_version = batch->result.versions[best];
      from_cold = true;
    }
    const hot::LateRow* latest = nullptr;
    for (; l < late.size() && late_key(l) == key; ++l) latest = &late[l];
    if (latest != nullptr) {
      if (hot::OpOf(*latest->block, latest->row) == column::Op::kPut) {
        AppendRows(pieces, {latest->block, nullptr, latest->row, latest->row + 1});
      }
    } else if (batch->result.batch.OpAt(best) == column::Op::kPut) {
      AppendRows(pieces, {nullptr, batch, best, best + 1});
    }
  }
}

}  // namespace proxist::query::internal
