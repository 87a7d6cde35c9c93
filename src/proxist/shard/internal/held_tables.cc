#include "proxist/shard/internal/held_tables.h"

#include <algorithm>
#include <utility>

namespace proxist::shard::internal {
namespace {

void Extend(const std::vector<history::LsnRange>& ranges, HeldPiece* piece) {
  for (const history::LsnRange& range : ranges) {
    const auto same = std::find_if(piece->ranges.begin(), piece->ranges.end(),
                                   [&](const auto& one) { return one.shard == range.shard; });
    if (same == piece->ranges.end()) {
      piece->ranges.push_back(range);
    } else {
      same->last = range.last;
    }
  }
}

}  // namespace

void HeldTables::Hold(TableId table) { tables_[table].released = false; }

void HeldTables::Release(TableId table) {
  const auto found = tables_.find(table);
  if (found == tables_.end()) return;
  found->second.released = true;
  found->second.grows = false;
  if (found->second.pieces.empty()) tables_.erase(found);
}

void HeldTables::Restore(TableId table, std::vector<HeldPiece> pieces) {
  tables_[table].pieces = std::move(pieces);
}

void HeldTables::AddRound(const std::vector<history::LsnRange>& ranges,
                          const std::set<TableId>& parked,
                          const std::map<TableId, std::set<Day>>& except) {
  for (auto& [table, held] : tables_) {
    if (!parked.contains(table)) {
      held.grows = false;
      continue;
    }
    const auto days = except.find(table);
    const bool whole = days == except.end() || days->second.empty();
    if (whole && held.grows) {
      Extend(ranges, &held.pieces.back());
      continue;
    }
    HeldPiece piece{ranges, {}};
    if (!whole) piece.except.assign(days->second.begin(), days->second.end());
    held.pieces.push_back(std::move(piece));
    held.grows = whole;
  }
}

void HeldTables::AddPiece(TableId table, HeldPiece piece) {
  Table& held = tables_[table];
  held.released = false;
  held.grows = false;
  held.pieces.push_back(std::move(piece));
}

void HeldTables::Remove(TableId table, const history::LsnRange& range) {
  const auto found = tables_.find(table);
  if (found == tables_.end()) return;
  for (HeldPiece& piece : found->second.pieces) {
    for (history::LsnRange& left : piece.ranges) {
      if (left.shard == range.shard && left.first == range.first) left.first = range.last.Next();
    }
    std::erase_if(piece.ranges, [](const auto& left) { return left.first > left.last; });
  }
  const size_t pieces = found->second.pieces.size();
  const bool last_went = pieces > 0 && found->second.pieces.back().ranges.empty();
  std::erase_if(found->second.pieces, [](const HeldPiece& piece) { return piece.ranges.empty(); });
  if (last_went) found->second.grows = false;
  if (found->second.released && found->second.pieces.empty()) tables_.erase(found);
}

std::set<TableId> HeldTables::ids() const {
  std::set<TableId> ids;
  for (const auto& [table, held] : tables_) ids.insert(table);
  return ids;
}

const std::vector<HeldPiece>& HeldTables::PiecesOf(TableId table) const {
  static const std::vector<HeldPiece> kNone;
  const auto found = tables_.find(table);
  return found == tables_.end() ? kNone : found->second.pieces;
}

std::optional<TableId> HeldTables::released() const {
  for (const auto& [table, held] : tables_) {
    if (held.released) return table;
  }
  return std::nullopt;
}

std::optional<Lsn> HeldTables::FirstOf(ShardId shard) const {
  std::optional<Lsn> first;
  for (const auto& [table, held] : tables_) {
    for (const HeldPiece& piece : held.pieces) {
      for (const history::LsnRange& range : piece.ranges) {
        if (range.shard == shard) first = std::min(first.value_or(range.first), range.first);
      }
    }
  }
  return first;
}

Lsn HeldTables::PersistedBelow(ShardId shard, Lsn flushed) const {
  const std::optional<Lsn> first = FirstOf(shard);
  return first.has_value() ? std::min(flushed, Lsn(first->value() - 1)) : flushed;
}

}  // namespace proxist::shard::internal
