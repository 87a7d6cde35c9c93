// The flags of `pxctl query` as a plan.
#include "proxist/client/query_flags.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include "proxist/client/internal/fixed_point.h"

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

Status SetSelection(const QueryFlags& flags, query::Selection* selection) {
  selection->tenant = flags.tenant;
  selection->table = flags.table;
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

StatusOr<query::LastBy> BuildLastBy(const QueryFlags& flags) {
  query::LastBy op;
  op.first = flags.op == "first-by";
  PX_RETURN_IF_ERROR(SetSelection(flags, &op.from));
  PX_ASSIGN_OR_RETURN(op.at, TimeFlag("--at", flags.at, Timestamp::Max()));
  PX_ASSIGN_OR_RETURN(op.by, ListFlag("--by", flags.by));
  PX_ASSIGN_OR_RETURN(op.columns, ListFlag("--columns", flags.columns));
  op.count = flags.count.value_or(op.count);
  if (op.count == 0) return InvalidArgument("--count: it must be above zero");
  return op;
}

StatusOr<query::Range> BuildRange(const QueryFlags& flags) {
  query::Range op;
  PX_RETURN_IF_ERROR(SetSelection(flags, &op.from));
  PX_RETURN_IF_ERROR(SetInterval(flags, &op));
  PX_ASSIGN_OR_RETURN(op.columns, ListFlag("--columns", flags.columns));
  return op;
}

template <typename Op>
Status SetJoin(const QueryFlags& flags, Op* op) {
  PX_RETURN_IF_ERROR(SetSelection(flags, &op->left));
  PX_RETURN_IF_ERROR(SetInterval(flags, op));
  op->right.tenant = flags.tenant;
  op->right.table = flags.right;
  op->right.where = flags.right_where;
  op->right.symbols = op->left.symbols;
  PX_ASSIGN_OR_RETURN(op->columns, ListFlag("--columns", flags.columns));
  PX_ASSIGN_OR_RETURN(op->by, ListFlag("--by", flags.by));
  return OkStatus();
}

template <typename Op>
Status SetAggregates(const QueryFlags& flags, Op* op) {
  PX_ASSIGN_OR_RETURN(op->aggregates, ListFlag("--aggregates", flags.aggregates));
  PX_ASSIGN_OR_RETURN(op->by, ListFlag("--by", flags.by));
  if (!flags.price.empty()) op->price = flags.price;
  if (!flags.size.empty()) op->size = flags.size;
  return OkStatus();
}

StatusOr<query::Asof> BuildAsof(const QueryFlags& flags) {
  query::Asof op;
  PX_RETURN_IF_ERROR(SetJoin(flags, &op));
  PX_ASSIGN_OR_RETURN(op.right_columns, ListFlag("--right-columns", flags.right_columns));
  op.forward = flags.direction == "forward";
  op.nearest = flags.direction == "nearest";
  if (!op.forward && !op.nearest && !flags.direction.empty() && flags.direction != "backward") {
    return InvalidArgument("--direction: {} is not backward, forward or nearest",
                           Quoted(flags.direction));
  }
  op.strict = flags.strict;
  if (!flags.tolerance.empty()) {
    PX_ASSIGN_OR_RETURN(op.tolerance, DurationFlag("--tolerance", flags.tolerance));
  }
  return op;
}

/// A duration that may have a minus in front; empty: 0.
StatusOr<Duration> SignedDurationFlag(std::string_view flag, const std::string& text) {
  if (text.empty()) return Duration();
  const bool negative = text.starts_with("-");
  PX_ASSIGN_OR_RETURN(const Duration size, DurationFlag(flag, negative ? text.substr(1) : text));
  return negative ? Duration(-size.ns()) : size;
}

StatusOr<query::WindowJoin> BuildWindowJoin(const QueryFlags& flags) {
  query::WindowJoin op;
  PX_RETURN_IF_ERROR(SetJoin(flags, &op));
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

StatusOr<query::Bars> BuildBars(const QueryFlags& flags) {
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

StatusOr<query::Rolling> BuildRolling(const QueryFlags& flags) {
  query::Rolling op;
  PX_RETURN_IF_ERROR(SetSelection(flags, &op.from));
  PX_RETURN_IF_ERROR(SetInterval(flags, &op));
  PX_RETURN_IF_ERROR(SetWindow(flags.window, &op));
  PX_RETURN_IF_ERROR(SetAggregates(flags, &op));
  PX_ASSIGN_OR_RETURN(op.columns, ListFlag("--columns", flags.columns));
  op.centred = flags.centred;
  return op;
}

StatusOr<query::Book> BuildBook(const QueryFlags& flags) {
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

StatusOr<query::Plan> BuildPlan(const QueryFlags& flags) {
  query::Plan plan;
  plan.limit = flags.limit;
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

}  // namespace proxist::client
