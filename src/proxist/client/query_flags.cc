// The flags of `pxctl query` as a plan.
#include "proxist/client/query_flags.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include "proxist/client/internal/fixed_point.h"
#include "proxist/client/query_words.h"

namespace proxist::client {
namespace {

constexpr std::string_view kRows = "rows";

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\n") - begin + 1);
}

StatusOr<std::vector<std::string>> ListFlag(std::string_view flag, const std::string& text) {
  StatusOr<std::vector<std::string>> list = SplitList(text);
  if (!list.ok()) return Annotate(list.status(), flag);
  return list;
}

StatusOr<Timestamp> TimeFlag(std::string_view flag, const std::string& text, Timestamp otherwise) {
  if (text.empty()) return otherwise;
  StatusOr<Timestamp> time = ParseTimestamp(text);
  if (!time.ok()) return Annotate(time.status(), flag);
  return time;
}

StatusOr<Duration> DurationFlag(std::string_view flag, const std::string& text) {
  StatusOr<Duration> duration = ParseDuration(text);
  if (!duration.ok()) return Annotate(duration.status(), flag);
  return duration;
}

// Queries in queries.
constexpr int kMaxDepth = 8;

/// Builds plans from flags; `depth` queries stand around them.
class PlanBuilder {
 public:
  PlanBuilder(const RowReader& read_rows, int depth) : read_rows_(read_rows), depth_(depth) {}
  StatusOr<query::Plan> Build(const QueryFlags& flags) const;

 private:
  StatusOr<query::LastBy> BuildLastBy(const QueryFlags& flags) const;
  StatusOr<query::Range> BuildRange(const QueryFlags& flags) const;
  StatusOr<query::Asof> BuildAsof(const QueryFlags& flags) const;
  StatusOr<query::AsofRight> BuildRight(const QueryFlags& flags, const JoinClauses& join) const;
  StatusOr<query::WindowJoin> BuildWindowJoin(const QueryFlags& flags) const;
  StatusOr<query::Bars> BuildBars(const QueryFlags& flags) const;
  StatusOr<query::Rolling> BuildRolling(const QueryFlags& flags) const;
  StatusOr<query::Book> BuildBook(const QueryFlags& flags) const;
  Status SetSelection(const QueryFlags& flags, query::Selection* selection) const;
  /// A table, an inner query in parentheses, or @file.
  Status SetSource(const QueryFlags& flags, const std::string& text,
                   query::Selection* selection) const;

  const RowReader& read_rows_;
  int depth_;
};

Status PlanBuilder::SetSource(const QueryFlags& flags, const std::string& text,
                              query::Selection* selection) const {
  selection->tenant = flags.tenant;
  if (text.starts_with('@')) {
    if (read_rows_ == nullptr) return InvalidArgument("{}: no files are read here", Quoted(text));
    PX_ASSIGN_OR_RETURN(selection->rows, read_rows_(text.substr(1)));
  } else if (text.starts_with('(') && text.ends_with(')')) {
    if (depth_ == kMaxDepth) {
      return InvalidArgument("more than {} queries stand in each other", kMaxDepth);
    }
    StatusOr<QueryFlags> inner = ParseQueryWords(std::string_view(text).substr(1, text.size() - 2));
    if (!inner.ok()) return Annotate(inner.status(), "inner query");
    inner->tenant = flags.tenant;
    StatusOr<query::Plan> plan = PlanBuilder(read_rows_, depth_ + 1).Build(*inner);
    if (!plan.ok()) return Annotate(plan.status(), "inner query");
    selection->query = std::make_shared<const query::Plan>(std::move(*plan));
  } else {
    selection->table = text;
  }
  return OkStatus();
}

Status PlanBuilder::SetSelection(const QueryFlags& flags, query::Selection* selection) const {
  PX_RETURN_IF_ERROR(SetSource(flags, flags.table, selection));
  selection->where = flags.where;
  PX_ASSIGN_OR_RETURN(selection->symbols, ListFlag("--symbols", flags.symbols));
  return OkStatus();
}

template <typename Op>
Status SetInterval(const QueryFlags& flags, Op* op) {
  PX_ASSIGN_OR_RETURN(op->begin, TimeFlag("--from", flags.from, Timestamp::Min()));
  PX_ASSIGN_OR_RETURN(op->end, TimeFlag("--to", flags.to, Timestamp::Max()));
  return OkStatus();
}

StatusOr<query::LastBy> PlanBuilder::BuildLastBy(const QueryFlags& flags) const {
  query::LastBy op;
  op.first = flags.op == "first-by";
  PX_RETURN_IF_ERROR(SetSelection(flags, &op.from));
  const Timestamp farthest = op.first ? Timestamp::Min() : Timestamp::Max();
  PX_ASSIGN_OR_RETURN(op.at, TimeFlag("--at", flags.at, farthest));
  PX_ASSIGN_OR_RETURN(op.by, ListFlag("--by", flags.by));
  PX_ASSIGN_OR_RETURN(op.columns, ListFlag("--columns", flags.columns));
  op.count = flags.count.value_or(op.count);
  if (op.count == 0) return InvalidArgument("--count: it must be above zero");
  return op;
}

StatusOr<query::Range> PlanBuilder::BuildRange(const QueryFlags& flags) const {
  query::Range op;
  PX_RETURN_IF_ERROR(SetSelection(flags, &op.from));
  PX_RETURN_IF_ERROR(SetInterval(flags, &op));
  PX_ASSIGN_OR_RETURN(op.columns, ListFlag("--columns", flags.columns));
  op.distinct = flags.distinct;
  return op;
}

template <typename Op>
Status SetAggregates(const QueryFlags& flags, Op* op) {
  PX_ASSIGN_OR_RETURN(op->aggregates, ListFlag("--aggregates", flags.aggregates));
  PX_ASSIGN_OR_RETURN(op->by, ListFlag("--by", flags.by));
  if (!flags.price.empty()) op->price = flags.price;
  if (!flags.size.empty()) op->size = flags.size;
  return OkStatus();
}

StatusOr<query::AsofRight> PlanBuilder::BuildRight(const QueryFlags& flags,
                                                   const JoinClauses& join) const {
  query::AsofRight right;
  PX_RETURN_IF_ERROR(SetSource(flags, join.source, &right.from));
  right.from.where = join.where;
  PX_ASSIGN_OR_RETURN(right.from.symbols, ListFlag("--symbols", flags.symbols));
  PX_ASSIGN_OR_RETURN(right.columns, ListFlag("--right-columns", join.columns));
  PX_ASSIGN_OR_RETURN(right.by, ListFlag("--by", join.by));
  right.prefix = join.prefix;
  right.forward = join.direction == "forward";
  right.nearest = join.direction == "nearest";
  if (!right.forward && !right.nearest && !join.direction.empty() && join.direction != "backward") {
    return InvalidArgument("--direction: {} is not backward, forward or nearest",
                           Quoted(join.direction));
  }
  right.strict = join.strict;
  if (!join.tolerance.empty()) {
    PX_ASSIGN_OR_RETURN(right.tolerance, DurationFlag("--tolerance", join.tolerance));
  }
  return right;
}

StatusOr<query::Asof> PlanBuilder::BuildAsof(const QueryFlags& flags) const {
  query::Asof op;
  PX_RETURN_IF_ERROR(SetSelection(flags, &op.left));
  PX_RETURN_IF_ERROR(SetInterval(flags, &op));
  PX_ASSIGN_OR_RETURN(op.columns, ListFlag("--columns", flags.columns));
  const JoinClauses first{flags.right,     flags.by,        flags.right_columns, flags.right_where,
                          flags.direction, flags.tolerance, flags.prefix,        flags.strict};
  if (!flags.right.empty()) {
    PX_ASSIGN_OR_RETURN(op.rights.emplace_back(), BuildRight(flags, first));
  } else if (flags.joins.empty()) {
    return InvalidArgument("name what is joined with --right or --join");
  } else if (flags.strict || !(flags.by + flags.right_columns + flags.right_where +
                               flags.direction + flags.tolerance + flags.prefix)
                                  .empty()) {
    return InvalidArgument(
        "--by, --right-columns, --right-where, --direction, --tolerance, --strict and --prefix "
        "belong to --right, which is not given");
  }
  for (const std::string& text : flags.joins) {
    StatusOr<JoinClauses> join = ParseJoin(text);
    if (!join.ok()) return Annotate(join.status(), "--join");
    StatusOr<query::AsofRight> right = BuildRight(flags, *join);
    if (!right.ok()) return Annotate(right.status(), "--join");
    op.rights.push_back(std::move(*right));
  }
  static constexpr std::string_view kTimes[] = {"both", "left", "right"};
  const auto* times = std::ranges::find(kTimes, flags.show_time.empty() ? "both" : flags.show_time);
  if (times == std::end(kTimes)) {
    return InvalidArgument("--show-time: {} is not left, right or both", Quoted(flags.show_time));
  }
  op.times = static_cast<query::AsofTimes>(times - kTimes);
  return op;
}

/// A duration that may have a minus in front; empty: 0.
StatusOr<Duration> SignedDurationFlag(std::string_view flag, const std::string& text) {
  if (text.empty()) return Duration();
  const bool negative = text.starts_with("-");
  PX_ASSIGN_OR_RETURN(const Duration size, DurationFlag(flag, negative ? text.substr(1) : text));
  return negative ? Duration(-size.ns()) : size;
}

StatusOr<query::WindowJoin> PlanBuilder::BuildWindowJoin(const QueryFlags& flags) const {
  query::WindowJoin op;
  PX_RETURN_IF_ERROR(SetSelection(flags, &op.left));
  PX_RETURN_IF_ERROR(SetInterval(flags, &op));
  PX_RETURN_IF_ERROR(SetSource(flags, flags.right, &op.right));
  op.right.where = flags.right_where;
  op.right.symbols = op.left.symbols;
  PX_ASSIGN_OR_RETURN(op.columns, ListFlag("--columns", flags.columns));
  PX_RETURN_IF_ERROR(SetAggregates(flags, &op));
  PX_ASSIGN_OR_RETURN(op.before, SignedDurationFlag("--before", flags.before));
  PX_ASSIGN_OR_RETURN(op.after, SignedDurationFlag("--after", flags.after));
  op.prevailing = flags.prevailing;
  return op;
}

StatusOr<query::Fill> FillFlag(const std::string& text) {
  static constexpr std::string_view kFills[] = {"none", "null", "zero", "previous", "linear"};
  const auto* at = std::ranges::find(kFills, text.empty() ? "none" : text);
  if (at != std::end(kFills)) return static_cast<query::Fill>(at - kFills);
  return InvalidArgument("--fill: {} is not none, null, zero, previous or linear", Quoted(text));
}

StatusOr<query::Bars> PlanBuilder::BuildBars(const QueryFlags& flags) const {
  query::Bars op;
  PX_RETURN_IF_ERROR(SetSelection(flags, &op.from));
  PX_RETURN_IF_ERROR(SetInterval(flags, &op));
  PX_RETURN_IF_ERROR(SetAggregates(flags, &op));
  if (flags.op == "aggregate") return op;
  PX_ASSIGN_OR_RETURN(op.interval, DurationFlag("--interval", flags.interval));
  if (*op.interval <= Duration()) return InvalidArgument("--interval: it must be above zero");
  if (!flags.origin.empty()) {
    PX_ASSIGN_OR_RETURN(op.origin, TimeFlag("--origin", flags.origin, Timestamp()));
    if (*op.origin == Timestamp::Max()) return InvalidArgument("--origin: name a time");
  }
  op.zone = flags.zone;
  PX_ASSIGN_OR_RETURN(op.fill, FillFlag(flags.fill));
  return op;
}

/// None is left to the server, which knows whether one is needed.
Status SetWindow(const std::string& text, query::Rolling* op) {
  if (text.empty()) return OkStatus();
  if (!text.ends_with(kRows)) {
    PX_ASSIGN_OR_RETURN(op->window, DurationFlag("--window", text));
    return OkStatus();
  }
  const char* end = text.data() + text.size() - kRows.size();
  uint64_t rows = 0;
  const auto [stop, error] = std::from_chars(text.data(), end, rows);
  if (error != std::errc() || stop != end || rows == 0) {
    return InvalidArgument("--window: {} is not a number of rows above zero, as 100rows",
                           Quoted(text));
  }
  op->window_rows = rows;
  return OkStatus();
}

StatusOr<query::Rolling> PlanBuilder::BuildRolling(const QueryFlags& flags) const {
  query::Rolling op;
  PX_RETURN_IF_ERROR(SetSelection(flags, &op.from));
  PX_RETURN_IF_ERROR(SetInterval(flags, &op));
  PX_RETURN_IF_ERROR(SetWindow(flags.window, &op));
  PX_RETURN_IF_ERROR(SetAggregates(flags, &op));
  PX_ASSIGN_OR_RETURN(op.columns, ListFlag("--columns", flags.columns));
  op.centred = flags.centred;
  return op;
}

StatusOr<query::Book> PlanBuilder::BuildBook(const QueryFlags& flags) const {
  query::Book op;
  PX_RETURN_IF_ERROR(SetSelection(flags, &op.from));
  PX_ASSIGN_OR_RETURN(op.since, TimeFlag("--since", flags.since, Timestamp::Min()));
  PX_ASSIGN_OR_RETURN(op.at, TimeFlag("--at", flags.at, Timestamp::Max()));
  PX_ASSIGN_OR_RETURN(op.key, ListFlag("--key", flags.key));
  const auto set = [](const std::string& flag, std::string* field) {
    if (!flag.empty()) *field = flag;
  };
  set(flags.side, &op.side);
  set(flags.bid, &op.bid);
  set(flags.ask, &op.ask);
  set(flags.price, &op.price);
  set(flags.size, &op.size);
  op.remove = flags.remove;
  op.clear = flags.clear;
  op.depth = flags.depth.value_or(op.depth);
  if (op.depth == 0) return InvalidArgument("--depth: it must be above zero");
  return op;
}

/// "bid desc, venue".
StatusOr<std::vector<query::OrderKey>> OrderFlag(const std::string& text) {
  PX_ASSIGN_OR_RETURN(const std::vector<std::string> list, ListFlag("--order", text));
  std::vector<query::OrderKey> order;
  for (std::string_view key : list) {
    const bool descending = key.ends_with(" desc");
    if (descending || key.ends_with(" asc")) key = Trimmed(key.substr(0, key.rfind(' ')));
    const bool known =
        std::ranges::any_of(order, [&](const query::OrderKey& one) { return one.column == key; });
    if (known) return InvalidArgument("--order: {} stands twice", Quoted(key));
    order.push_back({std::string(key), descending});
  }
  return order;
}

template <typename T>
bool ParseNumber(std::string_view text, T* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size();
}

StatusOr<query::AsOfLog> AsOfLogFlag(const std::string& text) {
  query::AsOfLog out;
  uint64_t lsn = 0;
  uint16_t shard = 0;
  if (ParseNumber(text, &lsn)) {
    out.lsns.emplace_back(ShardId(0), Lsn(lsn));
    return out;
  }
  PX_ASSIGN_OR_RETURN(const std::vector<std::string> parts, SplitList(text));
  for (const std::string& part : parts) {
    const size_t colon = part.find(':');
    if (colon == std::string::npos || !ParseNumber(part.substr(0, colon), &shard) ||
        !ParseNumber(part.substr(colon + 1), &lsn)) {
      break;
    }
    out.lsns.emplace_back(ShardId(shard), Lsn(lsn));
  }
  if (!out.lsns.empty() && out.lsns.size() == parts.size()) return out;
  out.lsns.clear();
  const StatusOr<Timestamp> time = ParseTimestamp(text);
  if (!time.ok()) {
    return InvalidArgument(
        "--as-of-log: '{}' is no time (2013-10-09T14:00:00Z), no LSN of shard 0 (17) and no list "
        "of LSNs (0:17,1:9)",
        text);
  }
  out.time = *time;
  return out;
}

StatusOr<query::Plan> PlanBuilder::Build(const QueryFlags& flags) const {
  query::Plan plan;
  plan.limit = flags.limit;
  PX_ASSIGN_OR_RETURN(plan.order, OrderFlag(flags.order));
  if (!flags.as_of_log.empty()) {
    PX_ASSIGN_OR_RETURN(plan.as_of_log, AsOfLogFlag(flags.as_of_log));
  }
  if (flags.op == "last-by" || flags.op == "first-by" || flags.op == "snapshot") {
    PX_ASSIGN_OR_RETURN(plan.op, BuildLastBy(flags));
  } else if (flags.op == "range") {
    PX_ASSIGN_OR_RETURN(plan.op, BuildRange(flags));
  } else if (flags.op == "asof") {
    PX_ASSIGN_OR_RETURN(plan.op, BuildAsof(flags));
  } else if (flags.op == "window-join") {
    PX_ASSIGN_OR_RETURN(plan.op, BuildWindowJoin(flags));
  } else if (flags.op == "bars" || flags.op == "aggregate") {
    PX_ASSIGN_OR_RETURN(plan.op, BuildBars(flags));
  } else if (flags.op == "rolling") {
    PX_ASSIGN_OR_RETURN(plan.op, BuildRolling(flags));
  } else if (flags.op == "book") {
    PX_ASSIGN_OR_RETURN(plan.op, BuildBook(flags));
  } else {
    return InvalidArgument(
        "{} is not last-by, first-by, snapshot, range, asof, window-join, bars, aggregate, rolling "
        "or book",
        Quoted(flags.op));
  }
  return plan;
}

}  // namespace

StatusOr<std::vector<std::string>> SplitList(std::string_view text) {
  std::vector<std::string> elements;
  if (Trimmed(text).empty()) return elements;
  const auto add = [&](std::string_view element) -> Status {
    element = Trimmed(element);
    if (element.empty()) return InvalidArgument("{} has an empty element", Quoted(text));
    elements.emplace_back(element);
    return OkStatus();
  };
  size_t begin = 0;
  int depth = 0;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (quote != 0 || text[i] == '\'' || text[i] == '"') {
      if (quote == 0) {
        quote = text[i];
      } else if (text[i] == quote) {
        quote = 0;
      }
      continue;
    }
    if (text[i] == '(') ++depth;
    if (text[i] == ')' && --depth < 0) break;
    if (text[i] != ',' || depth > 0) continue;
    PX_RETURN_IF_ERROR(add(text.substr(begin, i - begin)));
    begin = i + 1;
  }
  if (depth != 0) return InvalidArgument("{} has parentheses that don't match", Quoted(text));
  PX_RETURN_IF_ERROR(add(text.substr(begin)));
  return elements;
}

StatusOr<query::Plan> BuildPlan(const QueryFlags& flags, const RowReader& read_rows) {
  return PlanBuilder(read_rows, 0).Build(flags);
}

}  // namespace proxist::client
