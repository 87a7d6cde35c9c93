// Matches inside the left rows' span first, then looks beyond it for those that have none.
#include "proxist/query/internal/asof_table.h"

#include <algorithm>
#include <tuple>

#include "proxist/exec/int128.h"
#include "proxist/query/internal/beyond.h"
#include "proxist/query/internal/operators.h"

namespace proxist::query::internal {
namespace {

constexpr Duration kLookBack = Duration::Seconds(60);

/// The time of a row of `near`, or of one of `far`, which count on from there.
int64_t TimeOf(int64_t at, const exec::Frame& near, const exec::Frame& far) {
  const size_t near_rows = near.rows();
  const auto row = static_cast<size_t>(at);
  return row < near_rows ? near.ts[row] : far.ts[row - near_rows];
}

/// True when `candidate` is a match and nearer to `ts` than `match`.
bool Nearer(int64_t ts, int64_t candidate, int64_t match, const exec::Frame& near,
            const exec::Frame& far) {
  if (candidate < 0 || match < 0) return candidate >= 0;
  const auto distance = [&](int64_t at) {
    const auto way = static_cast<exec::Int128>(TimeOf(at, near, far)) - ts;
    return way < 0 ? -way : way;
  };
  return distance(candidate) < distance(match);
}

}  // namespace

AsofTable::AsofTable(const AsofRight& plan, Side side) : plan_(plan), side_(std::move(side)) {
  if (plan.nearest || !plan.forward) rules_.push_back({false, plan.strict, plan.tolerance});
  if (plan.nearest || plan.forward) rules_.push_back({true, plan.strict, plan.tolerance});
}

Status AsofTable::Resolve(Side* left) {
  if (plan_.tolerance.has_value() && *plan_.tolerance < Duration(0)) {
    return InvalidArgument("asof: a tolerance may not be negative");
  }
  PX_ASSIGN_OR_RETURN(std::tie(left_by_, by_), GroupSlotsOfBoth(left, &side_, plan_.by, "asof"));
  std::vector<std::string> names = plan_.columns;
  if (names.empty()) {
    for (const column::ColumnDef& def : side_.schema()->columns) {
      if (def.dropped) continue;
      if (std::find(plan_.by.begin(), plan_.by.end(), def.name) == plan_.by.end()) {
        names.push_back(def.name);
      }
    }
  }
  seq_ = std::find(names.begin(), names.end(), "seq") != names.end();
  std::erase(names, "seq");
  if (names.empty()) return OkStatus();
  PX_ASSIGN_OR_RETURN(choice_, Choice::Make(&side_, names));
  return OkStatus();
}

std::optional<AsofColumns> AsofTable::InMemory() const {
  const std::optional<std::vector<size_t>> slots = choice_.Slots();
  if (!slots.has_value() || rules_.size() > 1) return std::nullopt;
  if (side_.given() != nullptr || !BlockFilter::Fits(side_) || !by_.empty()) return std::nullopt;
  AsofColumns columns;
  for (const size_t slot : *slots) {
    const column::TypeKind kind = side_.DefOf(slot).type.kind;
    if (kind == column::TypeKind::kString) return std::nullopt;
    columns.right.push_back({side_.ColumnOf(slot), column::WidthOf(kind)});
  }
  columns.right_seq = seq_;
  return columns;
}

Status AsofTable::Open(QueryContext* context, std::span<SymbolScan* const> left, Span span) {
  // What a first look before their span is likely to need is read with it.
  const Timestamp from = rules_[0].forward ? span.from : span.from.Minus(kLookBack);
  return open_.Open(&side_, context, left, {from, span.to});
}

StatusOr<AsofTable::Matches> AsofTable::Match(SymbolScan& symbol, const exec::Frame& left,
                                              std::span<const uint32_t> rows) {
  exec::Grouping grouping;
  const std::vector<uint32_t> ids = grouping.Assign(ColumnsAt(left, left_by_), rows);
  const size_t groups = grouping.size();
  std::vector<int64_t> ts;
  for (const uint32_t row : rows) ts.push_back(left.ts[row]);
  Found found;
  std::vector<int64_t> match(rows.size(), -1);
  if (SymbolScan* right = open_.Of(symbol)) {
    PX_RETURN_IF_ERROR(
        ReadNear(*right, {Timestamp(ts.front()), Timestamp(ts.back())}, &grouping, &found));
    for (const exec::AsofRule& rule : rules_) {
      PX_ASSIGN_OR_RETURN(const std::vector<int64_t> one,
                          MatchBy(rule, *right, ts, ids, groups, &grouping, &found));
      for (size_t i = 0; i < match.size(); ++i) {
        if (Nearer(ts[i], one[i], match[i], found.near, found.far)) match[i] = one[i];
      }
    }
  }
  AppendFrame(found.far, &found.near);
  Matches out;
  choice_.Append(found.near, symbol, match, &out.columns);
  exec::Column seq({column::TypeKind::kUint64, 0});
  for (const int64_t at : match) {
    if (at < 0) {
      seq.AppendNull();
      out.times.AppendNull();
      continue;
    }
    seq.Append(found.near.seq[static_cast<size_t>(at)]);
    out.times.Append(found.near.ts[static_cast<size_t>(at)]);
  }
  if (seq_) out.columns.push_back(std::move(seq));
  out.keepalive = std::move(found.near.keepalive);
  return out;
}

/// For each left row its right row: a row of found->near, or after all of these one of
/// found->far; -1: none.
StatusOr<std::vector<int64_t>> AsofTable::MatchBy(const exec::AsofRule& rule, SymbolScan& right,
                                                  const std::vector<int64_t>& ts,
                                                  const std::vector<uint32_t>& ids, size_t groups,
                                                  exec::Grouping* grouping, Found* found) const {
  std::vector<int64_t> right_ts;
  for (const uint32_t row : found->selected) right_ts.push_back(found->near.ts[row]);
  std::vector<int64_t> match =
      exec::AsofMatch(ts, ids, right_ts, found->ids, grouping->size(), rule);
  for (int64_t& at : match) {
    if (at >= 0) at = found->selected[static_cast<size_t>(at)];
  }
  FarRows far_of(groups, -1);
  PX_RETURN_IF_ERROR(ReadFar(rule, right, ts, ids, match, grouping, found, &far_of));
  const auto near_rows = static_cast<int64_t>(found->near.rows());
  for (size_t i = 0; i < match.size(); ++i) {
    const int64_t far = far_of[ids[i]];
    if (match[i] >= 0 || far < 0) continue;
    if (exec::AsofAdmits(rule, Timestamp(ts[i]),
                         Timestamp(found->far.ts[static_cast<size_t>(far)]))) {
      match[i] = near_rows + far;
    }
  }
  return match;
}

Status AsofTable::ReadNear(SymbolScan& right, Span span, exec::Grouping* grouping,
                           Found* found) const {
  PX_ASSIGN_OR_RETURN(found->near, right.Read(span, {}));
  side_.Select(found->near, right, &found->selected);
  found->ids = grouping->Assign(ColumnsAt(found->near, by_), found->selected);
  for (const exec::Column& column : found->near.columns) {
    found->far.columns.emplace_back(column.type());
  }
  return OkStatus();
}

/// Looks beyond the left rows' span for the groups whose outer left rows have no match yet:
/// before it backward, after it forward, as far as tolerance admits.
Status AsofTable::ReadFar(const exec::AsofRule& rule, SymbolScan& right,
                          const std::vector<int64_t>& ts, const std::vector<uint32_t>& ids,
                          const std::vector<int64_t>& match, exec::Grouping* grouping, Found* found,
                          FarRows* far_of) const {
  const size_t groups = far_of->size();
  // The left row of each group that reaches furthest, and whether any is without a match.
  std::vector<bool> wanted(groups, false);
  Timestamp reach = rule.forward ? Timestamp::Min() : Timestamp::Max();
  for (size_t i = 0; i < match.size(); ++i) {
    if (match[i] >= 0) continue;
    wanted[ids[i]] = true;
    const Timestamp at(ts[i]);
    if (rule.forward) {
      const Timestamp limit =
          rule.tolerance.has_value() ? at.Plus(*rule.tolerance) : Timestamp::Max();
      reach = std::max(reach, limit);
    } else {
      const Timestamp limit =
          rule.tolerance.has_value() ? at.Minus(*rule.tolerance) : Timestamp::Min();
      reach = std::min(reach, limit);
    }
  }
  size_t open = static_cast<size_t>(std::count(wanted.begin(), wanted.end(), true));
  if (open == 0) return OkStatus();
  const Span span = rule.forward ? Span{After(Timestamp(ts.back())), reach}
                                 : Span{reach, Before(Timestamp(ts.front()))};
  std::vector<bool> whole;
  std::vector<Cursor> cursors = MakeCursors(rule, right, span, wanted, grouping, &whole);
  const auto take = [&](size_t c, const exec::Frame& frame) -> Status {
    std::vector<uint32_t> rows;
    side_.Select(frame, right, &rows);
    if (!rule.forward) std::reverse(rows.begin(), rows.end());
    if (whole[c] && rows.size() > 1) rows.resize(1);
    const std::vector<uint32_t> right_ids = grouping->Assign(ColumnsAt(frame, by_), rows);
    std::vector<int64_t> kept;
    for (size_t i = 0; i < rows.size(); ++i) {
      const uint32_t id = right_ids[i];
      if (id >= groups || !wanted[id] || (*far_of)[id] >= 0) continue;
      (*far_of)[id] = static_cast<int64_t>(found->far.rows());
      found->far.ts.push_back(frame.ts[rows[i]]);
      found->far.seq.push_back(frame.seq[rows[i]]);
      kept.push_back(rows[i]);
      --open;
    }
    for (size_t k = 0; k < frame.columns.size(); ++k) {
      found->far.columns[k].AppendGather(frame.columns[k], kept.data(), kept.size());
    }
    auto& alive = found->far.keepalive;
    if (!kept.empty()) alive.insert(alive.end(), frame.keepalive.begin(), frame.keepalive.end());
    if (open == 0) {
      for (Cursor& cursor : cursors) cursor.Stop();
    } else if (whole[c] && !rows.empty()) {
      cursors[c].Stop();
    }
    return OkStatus();
  };
  return Walk(cursors, take);
}

/// One walk for each wanted group of series when the by columns are series columns, else one for
/// all. `whole`: the first row that a walk selects is all that it is for.
std::vector<Cursor> AsofTable::MakeCursors(const exec::AsofRule& rule, SymbolScan& right, Span span,
                                           const std::vector<bool>& wanted,
                                           exec::Grouping* grouping,
                                           std::vector<bool>* whole) const {
  std::vector<Cursor> cursors;
  const Direction direction = rule.forward ? Direction::kForward : Direction::kBackward;
  constexpr size_t kFilteredStep = 8;
  const auto groups = side_.SeriesGroups(right, by_);
  if (by_.empty() || !groups.has_value()) {
    whole->push_back(by_.empty());
    cursors.emplace_back(&right, std::vector<uint32_t>(), direction, span,
                         side_.has_where() || !whole->back() ? kFilteredStep : 1);
    return cursors;
  }
  for (const Side::SeriesGroup& group : *groups) {
    std::vector<exec::Column> key;
    for (const uint32_t code : group.key) {
      key.emplace_back(column::Type{column::TypeKind::kSymbol, 0}).Append(code);
    }
    std::vector<const exec::Column*> columns;
    for (const exec::Column& column : key) columns.push_back(&column);
    const uint32_t row = 0;
    const uint32_t id = grouping->Assign(columns, {&row, 1})[0];
    if (id >= wanted.size() || !wanted[id]) continue;
    whole->push_back(true);
    cursors.emplace_back(&right, group.series, direction, span,
                         side_.has_where() ? kFilteredStep : 1);
  }
  return cursors;
}

}  // namespace proxist::query::internal
