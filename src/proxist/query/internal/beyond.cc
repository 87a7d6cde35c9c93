// One walk for all groups, until each has its rows.
#include "proxist/query/internal/beyond.h"

#include <algorithm>

#include "proxist/query/internal/operators.h"

namespace proxist::query::internal {
namespace {

// A first step of so many rows is likely to be enough for any number of them.
constexpr uint64_t kMostStepRows = 65536;

}  // namespace

exec::Frame PickRows(const exec::Frame& frame, const std::vector<int64_t>& rows) {
  exec::Frame out;
  out.keepalive = frame.keepalive;
  for (const int64_t row : rows) {
    out.ts.push_back(frame.ts[static_cast<size_t>(row)]);
    out.seq.push_back(frame.seq[static_cast<size_t>(row)]);
  }
  for (size_t c = 0; c < frame.columns.size(); ++c) {
    out.columns.push_back(PickColumn(frame, c, rows));
  }
  return out;
}

void AppendFrame(const exec::Frame& part, exec::Frame* all) {
  if (all->columns.empty()) {
    for (const exec::Column& column : part.columns) all->columns.emplace_back(column.type());
  }
  all->ts.insert(all->ts.end(), part.ts.begin(), part.ts.end());
  all->seq.insert(all->seq.end(), part.seq.begin(), part.seq.end());
  for (size_t c = 0; c < part.columns.size(); ++c) {
    all->columns[c].AppendRange(part.columns[c], 0, part.rows());
  }
  all->keepalive.insert(all->keepalive.end(), part.keepalive.begin(), part.keepalive.end());
}

StatusOr<exec::Frame> ReadBeyond(const BeyondRequest& request, Direction direction, Span beyond) {
  const bool forward = direction == Direction::kForward;
  exec::Frame all;
  if (request.rows == 0 || request.groups == 0 || beyond.from > beyond.to) return all;
  std::vector<uint64_t> missing(request.groups, request.rows);
  size_t open = request.groups;
  std::vector<exec::Frame> found;  // nearest first
  Cursor cursor(request.symbol, {}, direction, beyond,
                std::min(request.rows, kMostStepRows) * (request.by.empty() ? 1 : 4));
  const auto take = [&](size_t, const exec::Frame& step) -> Status {
    std::vector<uint32_t> selected;
    request.side->Select(step, *request.symbol, &selected);
    if (!forward) std::reverse(selected.begin(), selected.end());
    const std::vector<uint32_t> ids =
        request.grouping->Assign(ColumnsAt(step, request.by), selected);
    std::vector<int64_t> kept;
    for (size_t i = 0; i < selected.size() && open > 0; ++i) {
      if (ids[i] >= request.groups || missing[ids[i]] == 0) continue;
      kept.push_back(selected[i]);
      if (--missing[ids[i]] == 0) --open;
    }
    if (!forward) std::reverse(kept.begin(), kept.end());
    if (!kept.empty()) found.push_back(PickRows(step, kept));
    if (open == 0) cursor.Stop();
    return OkStatus();
  };
  PX_RETURN_IF_ERROR(Walk({&cursor, 1}, take));
  if (!forward) std::reverse(found.begin(), found.end());
  for (const exec::Frame& part : found) AppendFrame(part, &all);
  return all;
}

}  // namespace proxist::query::internal
