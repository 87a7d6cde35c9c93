// Rows that history returned, and how versions of a key resolve against late rows in memory.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "proxist/exec/frame.h"
#include "proxist/history/history.h"
#include "proxist/hot/store.h"

namespace proxist::query::internal {

/// One answer of history, with aligned times and with codes of the query's Symbols.
struct ColdBatch {
  ColdBatch(history::ReadResult read, std::span<const size_t> columns, exec::Symbols* symbols);

  history::ReadResult result;
  std::vector<int64_t> ts;
  std::vector<uint64_t> seq;
  std::vector<uint32_t> symbol_codes;               // by code of the batch
  std::vector<std::vector<uint32_t>> column_codes;  // by schema column, then code of the batch

  [[nodiscard]] uint32_t SymbolAt(size_t row) const {
    return symbol_codes[result.batch.symbol.At<uint32_t>(row)];
  }
};

/// Consecutive rows of one place: of memory (block) or of an answer of history (cold).
struct Piece {
  const hot::RowBlock* block = nullptr;
  const ColdBatch* cold = nullptr;
  uint32_t begin = 0;
  uint32_t end = 0;

  [[nodiscard]] const int64_t* ts() const {
    return block != nullptr ? hot::TimestampsOf(*block) : cold->ts.data();
  }
  [[nodiscard]] int64_t first_ts() const { return ts()[begin]; }
  [[nodiscard]] const uint64_t* seq() const {
    return block != nullptr ? hot::SeqsOf(*block) : cold->seq.data();
  }
};

uint64_t RowsOf(std::span<const Piece> pieces);

/// Appends rows [begin, end) of a place, as part of the last piece when they follow it.
void AppendRows(std::vector<Piece>* pieces, const Piece& rows);

/// One series' rows: `cold` are rows of one answer in the order (ts, seq, version), `late` versions
/// above the persisted LSN in the order (ts, seq, lsn). Of each key the highest version stays, a
/// late one above all of history's; cancelled keys go. Appends in order.
void Resolve(const ColdBatch* batch, std::span<const uint32_t> cold,
             std::span<const hot::LateRow> late, std::vector<Piece>* pieces);

}  // namespace proxist::query::internal
