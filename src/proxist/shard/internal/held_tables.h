// Tables that history refuses rows of, and which of their rows it still lacks.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/time.h"
#include "proxist/shard/internal/keys.h"

namespace proxist::shard::internal {

/// A plain value: a copy can be changed and thrown away. One thread.
class HeldTables {
 public:
  /// `table`'s rows stay behind from now on.
  void Hold(TableId table);
  /// History takes `table` again: what is left over can be sent.
  void Release(TableId table);
  /// What metadata holds of `table`, which counts as held.
  void Restore(TableId table, std::vector<HeldPiece> pieces);

  /// A settled round left rows of `parked` behind: those in `ranges`, but on the days of `except`,
  /// which history has. Rounds are told of in their order, also those that left nothing.
  void AddRound(const std::vector<history::LsnRange>& ranges, const std::set<TableId>& parked,
                const std::map<TableId, std::set<Day>>& except);
  /// The same for one table, which is held then; later rounds do not grow the piece.
  void AddPiece(TableId table, HeldPiece piece);
  /// History has `table`'s rows in `range`, which starts a piece.
  void Remove(TableId table, const history::LsnRange& range);

  [[nodiscard]] bool empty() const { return tables_.empty(); }
  [[nodiscard]] std::set<TableId> ids() const;
  [[nodiscard]] const std::vector<HeldPiece>& PiecesOf(TableId table) const;
  /// A table with rows to send now.
  [[nodiscard]] std::optional<TableId> released() const;
  /// The least LSN of `shard` that is left over; nothing: none is.
  [[nodiscard]] std::optional<Lsn> FirstOf(ShardId shard) const;
  /// The greatest LSN of `shard` up to which history has everything, when settled rounds cover
  /// `flushed`.
  [[nodiscard]] Lsn PersistedBelow(ShardId shard, Lsn flushed) const;

 private:
  struct Table {
    std::vector<HeldPiece> pieces;
    bool released = false;
    bool grows = false;  // the last round left rows of it behind: the last piece may grow
  };
  std::map<TableId, Table> tables_;
};

}  // namespace proxist::shard::internal
