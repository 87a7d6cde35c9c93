// Query plans between the wire and the domain.
#include "proxist/api/query_request.h"

#include <utility>

#include "proxist/api/row_list.h"
#include "proxist/column/schema.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::api {
namespace {

using google::protobuf::RepeatedPtrField;

std::vector<std::string> Strings(const RepeatedPtrField<std::string>& field) {
  return {field.begin(), field.end()};
}
void SetStrings(const std::vector<std::string>& strings, RepeatedPtrField<std::string>* field) {
  field->Assign(strings.begin(), strings.end());
}

// Queries in queries.
constexpr int kMaxDepth = 8;

StatusOr<query::Plan> DecodeAt(const v1::QueryRequest& request, int depth);

StatusOr<query::Selection> DecodeSelection(const v1::Selection& message, std::string_view what,
                                           int depth) {
  const int sources = static_cast<int>(!message.table().empty()) +
                      static_cast<int>(message.rows_size() > 0) +
                      static_cast<int>(message.has_query());
  if (sources == 0) return InvalidArgument("{}: no table is named", what);
  if (sources > 1) return InvalidArgument("{}: give a table, rows or a query, not several", what);
  query::Selection selection;
  if (message.rows_size() > 0) {
    StatusOr<std::shared_ptr<const query::ResultBatch>> rows = DecodeRows(message.rows());
    if (!rows.ok()) return Annotate(rows.status(), what);
    selection.rows = std::move(*rows);
  }
  if (message.has_query()) {
    if (depth == kMaxDepth) {
      return InvalidArgument("{}: more than {} queries stand in each other", what, kMaxDepth);
    }
    PX_ASSIGN_OR_RETURN(query::Plan inner, DecodeAt(message.query(), depth + 1));
    selection.query = std::make_shared<const query::Plan>(std::move(inner));
  }
  selection.tenant =
      message.tenant().empty() ? std::string(column::kDefaultTenant) : message.tenant();
  selection.table = message.table();
  selection.symbols = Strings(message.symbols());
  selection.where = message.where();
  return selection;
}

void EncodeSelection(const query::Selection& selection, v1::Selection* message) {
  message->set_tenant(selection.tenant);
  message->set_table(selection.table);
  SetStrings(selection.symbols, message->mutable_symbols());
  message->set_where(selection.where);
  if (selection.rows != nullptr) EncodeRows(*selection.rows, message->mutable_rows());
  if (selection.query != nullptr) EncodePlan(*selection.query, message->mutable_query());
}

template <typename Message, typename Op>
void DecodeSpan(const Message& message, Op* op) {
  if (message.has_begin()) op->begin = Timestamp(message.begin());
  if (message.has_end()) op->end = Timestamp(message.end());
}

template <typename Op, typename Message>
void EncodeSpan(const Op& op, Message* message) {
  if (op.begin != Timestamp::Min()) message->set_begin(op.begin.ns());
  if (op.end != Timestamp::Max()) message->set_end(op.end.ns());
}

template <typename Message, typename Op>
void DecodePriceAndSize(const Message& message, Op* op) {
  if (!message.price().empty()) op->price = message.price();
  if (!message.size().empty()) op->size = message.size();
}

StatusOr<query::LastBy> Decode(const v1::LastBy& message, int depth) {
  query::LastBy op;
  PX_ASSIGN_OR_RETURN(op.from, DecodeSelection(message.from(), "last_by", depth));
  op.first = message.first();
  if (message.has_at()) op.at = Timestamp(message.at());
  op.by = Strings(message.by());
  op.columns = Strings(message.columns());
  if (message.has_count()) op.count = message.count();
  return op;
}

StatusOr<query::Range> Decode(const v1::Range& message, int depth) {
  query::Range op;
  PX_ASSIGN_OR_RETURN(op.from, DecodeSelection(message.from(), "range", depth));
  DecodeSpan(message, &op);
  op.columns = Strings(message.columns());
  op.distinct = message.distinct();
  return op;
}

/// Of Asof itself, where one right side may be written, or of an AsofRight.
template <typename Message>
Status DecodeMatching(const Message& message, query::AsofRight* right) {
  right->by = Strings(message.by());
  right->forward = message.forward();
  right->nearest = message.nearest();
  right->strict = message.strict();
  if (!message.has_tolerance_ns()) return OkStatus();
  if (message.tolerance_ns() < 0) {
    return InvalidArgument("asof: a tolerance of {} ns is negative", message.tolerance_ns());
  }
  right->tolerance = Duration(message.tolerance_ns());
  return OkStatus();
}

StatusOr<query::Asof> Decode(const v1::Asof& message, int depth) {
  query::Asof op;
  PX_ASSIGN_OR_RETURN(op.left, DecodeSelection(message.left(), "asof, left", depth));
  if (message.has_right() || message.rights_size() == 0) {
    query::AsofRight& right = op.rights.emplace_back();
    PX_ASSIGN_OR_RETURN(right.from, DecodeSelection(message.right(), "asof, right", depth));
    right.columns = Strings(message.right_columns());
    PX_RETURN_IF_ERROR(DecodeMatching(message, &right));
  }
  for (const v1::AsofRight& one : message.rights()) {
    query::AsofRight& right = op.rights.emplace_back();
    PX_ASSIGN_OR_RETURN(right.from, DecodeSelection(one.from(), "asof, right", depth));
    right.columns = Strings(one.columns());
    right.prefix = one.prefix();
    PX_RETURN_IF_ERROR(DecodeMatching(one, &right));
  }
  DecodeSpan(message, &op);
  op.columns = Strings(message.columns());
  if (!v1::AsofTimes_IsValid(message.times())) {
    return InvalidArgument("asof: times of {} are not known", static_cast<int>(message.times()));
  }
  op.times = static_cast<query::AsofTimes>(message.times());
  return op;
}

StatusOr<query::Bars> Decode(const v1::Bars& message, int depth) {
  query::Bars op;
  PX_ASSIGN_OR_RETURN(op.from, DecodeSelection(message.from(), "bars", depth));
  if (message.has_interval_ns()) {
    if (message.interval_ns() <= 0) {
      return InvalidArgument("bars: an interval of {} ns is not above 0", message.interval_ns());
    }
    op.interval = Duration(message.interval_ns());
  }
  DecodeSpan(message, &op);
  DecodePriceAndSize(message, &op);
  if (message.has_origin()) op.origin = Timestamp(message.origin());
  op.zone = message.zone();
  op.aggregates = Strings(message.aggregates());
  op.by = Strings(message.by());
  if (!v1::Fill_IsValid(message.fill())) {
    return InvalidArgument("bars: a fill of {} is not known", static_cast<int>(message.fill()));
  }
  op.fill = static_cast<query::Fill>(message.fill());
  return op;
}

StatusOr<query::WindowJoin> Decode(const v1::WindowJoin& message, int depth) {
  query::WindowJoin op;
  PX_ASSIGN_OR_RETURN(op.left, DecodeSelection(message.left(), "window_join, left", depth));
  PX_ASSIGN_OR_RETURN(op.right, DecodeSelection(message.right(), "window_join, right", depth));
  DecodeSpan(message, &op);
  DecodePriceAndSize(message, &op);
  op.columns = Strings(message.columns());
  op.by = Strings(message.by());
  constexpr int64_t kMost = Duration::Days(36'500).ns();
  for (const int64_t ns : {message.before_ns(), message.after_ns()}) {
    if (ns < -kMost || ns > kMost) {
      return InvalidArgument("window_join: a window of {} ns is too long", ns);
    }
  }
  op.before = Duration(message.before_ns());
  op.after = Duration(message.after_ns());
  op.prevailing = message.prevailing();
  op.aggregates = Strings(message.aggregates());
  return op;
}

StatusOr<query::Rolling> Decode(const v1::Rolling& message, int depth) {
  query::Rolling op;
  PX_ASSIGN_OR_RETURN(op.from, DecodeSelection(message.from(), "rolling", depth));
  if (message.has_window_ns() && message.has_window_rows()) {
    return InvalidArgument("rolling: give either a window in time or one in rows");
  }
  if (message.has_window_ns()) {
    if (message.window_ns() < 0) {
      return InvalidArgument("rolling: a window of {} ns is negative", message.window_ns());
    }
    op.window = Duration(message.window_ns());
  }
  if (message.has_window_rows()) {
    if (message.window_rows() == 0) return InvalidArgument("rolling: a window of 0 rows");
    op.window_rows = message.window_rows();
  }
  DecodeSpan(message, &op);
  DecodePriceAndSize(message, &op);
  op.aggregates = Strings(message.aggregates());
  op.columns = Strings(message.columns());
  op.by = Strings(message.by());
  op.centred = message.centred();
  return op;
}

StatusOr<query::Book> Decode(const v1::Book& message, int depth) {
  query::Book op;
  PX_ASSIGN_OR_RETURN(op.from, DecodeSelection(message.from(), "book", depth));
  if (message.has_since()) op.since = Timestamp(message.since());
  if (message.has_at()) op.at = Timestamp(message.at());
  op.key = Strings(message.key());
  if (!message.side().empty()) op.side = message.side();
  if (!message.bid().empty()) op.bid = message.bid();
  if (!message.ask().empty()) op.ask = message.ask();
  DecodePriceAndSize(message, &op);
  op.remove = message.remove();
  op.clear = message.clear();
  if (message.has_depth()) op.depth = message.depth();
  return op;
}

struct PlanEncoder {
  v1::QueryRequest* request;

  void operator()(const query::LastBy& op) const {
    v1::LastBy* out = request->mutable_last_by();
    EncodeSelection(op.from, out->mutable_from());
    out->set_first(op.first);
    if (op.at != Timestamp::Max()) out->set_at(op.at.ns());
    SetStrings(op.by, out->mutable_by());
    SetStrings(op.columns, out->mutable_columns());
    if (op.count != 1) out->set_count(op.count);
  }
  void operator()(const query::Range& op) const {
    v1::Range* out = request->mutable_range();
    EncodeSelection(op.from, out->mutable_from());
    EncodeSpan(op, out);
    SetStrings(op.columns, out->mutable_columns());
    out->set_distinct(op.distinct);
  }
  void operator()(const query::Asof& op) const {
    v1::Asof* out = request->mutable_asof();
    EncodeSelection(op.left, out->mutable_left());
    EncodeSpan(op, out);
    SetStrings(op.columns, out->mutable_columns());
    for (const query::AsofRight& right : op.rights) {
      v1::AsofRight* one = out->add_rights();
      EncodeSelection(right.from, one->mutable_from());
      SetStrings(right.columns, one->mutable_columns());
      SetStrings(right.by, one->mutable_by());
      one->set_prefix(right.prefix);
      one->set_forward(right.forward);
      one->set_nearest(right.nearest);
      one->set_strict(right.strict);
      if (right.tolerance) one->set_tolerance_ns(right.tolerance->ns());
    }
    out->set_times(static_cast<v1::AsofTimes>(op.times));
  }
  void operator()(const query::Bars& op) const {
    v1::Bars* out = request->mutable_bars();
    EncodeSelection(op.from, out->mutable_from());
    EncodeSpan(op, out);
    if (op.interval) out->set_interval_ns(op.interval->ns());
    if (op.origin) out->set_origin(op.origin->ns());
    out->set_zone(op.zone);
    SetStrings(op.aggregates, out->mutable_aggregates());
    SetStrings(op.by, out->mutable_by());
    out->set_price(op.price);
    out->set_size(op.size);
    out->set_fill(static_cast<v1::Fill>(op.fill));
  }
  void operator()(const query::Rolling& op) const {
    v1::Rolling* out = request->mutable_rolling();
    EncodeSelection(op.from, out->mutable_from());
    EncodeSpan(op, out);
    if (op.window) out->set_window_ns(op.window->ns());
    if (op.window_rows) out->set_window_rows(*op.window_rows);
    SetStrings(op.aggregates, out->mutable_aggregates());
    SetStrings(op.columns, out->mutable_columns());
    SetStrings(op.by, out->mutable_by());
    out->set_price(op.price);
    out->set_size(op.size);
    out->set_centred(op.centred);
  }
  void operator()(const query::WindowJoin& op) const {
    v1::WindowJoin* out = request->mutable_window_join();
    EncodeSelection(op.left, out->mutable_left());
    EncodeSelection(op.right, out->mutable_right());
    EncodeSpan(op, out);
    SetStrings(op.columns, out->mutable_columns());
    SetStrings(op.by, out->mutable_by());
    out->set_before_ns(op.before.ns());
    out->set_after_ns(op.after.ns());
    out->set_prevailing(op.prevailing);
    SetStrings(op.aggregates, out->mutable_aggregates());
    out->set_price(op.price);
    out->set_size(op.size);
  }
  void operator()(const query::Book& op) const {
    v1::Book* out = request->mutable_book();
    EncodeSelection(op.from, out->mutable_from());
    if (op.since != Timestamp::Min()) out->set_since(op.since.ns());
    if (op.at != Timestamp::Max()) out->set_at(op.at.ns());
    SetStrings(op.key, out->mutable_key());
    out->set_side(op.side);
    out->set_bid(op.bid);
    out->set_ask(op.ask);
    out->set_price(op.price);
    out->set_size(op.size);
    out->set_remove(op.remove);
    out->set_clear(op.clear);
    out->set_depth(op.depth);
  }
};

template <typename Message>
Status DecodeInto(const Message& message, int depth, query::Plan* plan) {
  PX_ASSIGN_OR_RETURN(plan->op, Decode(message, depth));
  return OkStatus();
}

StatusOr<query::Plan> DecodeAt(const v1::QueryRequest& request, int depth) {
  query::Plan plan;
  if (request.has_limit()) plan.limit = request.limit();
  for (const v1::OrderKey& key : request.order()) {
    plan.order.push_back({key.column(), key.descending()});
  }
  if (request.has_as_of_log()) {
    const v1::AsOfLog& moment = request.as_of_log();
    if (moment.has_time() == !moment.lsns().empty()) {
      return InvalidArgument("as_of_log: give either LSNs or a time");
    }
    query::AsOfLog& out = plan.as_of_log.emplace();
    if (moment.has_time()) out.time = Timestamp(moment.time());
    for (const v1::ShardLsn& one : moment.lsns()) {
      out.lsns.emplace_back(ShardId(static_cast<uint16_t>(one.shard())), Lsn(one.lsn()));
    }
  }
  Status status;
  switch (request.op_case()) {
    case v1::QueryRequest::kLastBy:
      status = DecodeInto(request.last_by(), depth, &plan);
      break;
    case v1::QueryRequest::kRange:
      status = DecodeInto(request.range(), depth, &plan);
      break;
    case v1::QueryRequest::kAsof:
      status = DecodeInto(request.asof(), depth, &plan);
      break;
    case v1::QueryRequest::kBars:
      status = DecodeInto(request.bars(), depth, &plan);
      break;
    case v1::QueryRequest::kRolling:
      status = DecodeInto(request.rolling(), depth, &plan);
      break;
    case v1::QueryRequest::kWindowJoin:
      status = DecodeInto(request.window_join(), depth, &plan);
      break;
    case v1::QueryRequest::kBook:
      status = DecodeInto(request.book(), depth, &plan);
      break;
    case v1::QueryRequest::OP_NOT_SET:
      status = InvalidArgument("the query has no operator that this server knows");
  }
  PX_RETURN_IF_ERROR(status);
  return plan;
}

std::string NameOf(const query::Selection& selection) {
  if (selection.rows != nullptr) return "rows";
  return selection.query == nullptr ? selection.table : "(" + TablesOf(*selection.query) + ")";
}

}  // namespace

StatusOr<query::Plan> DecodePlan(const v1::QueryRequest& request) { return DecodeAt(request, 0); }

void EncodePlan(const query::Plan& plan, v1::QueryRequest* request) {
  std::visit(PlanEncoder{request}, plan.op);
  if (plan.limit) request->set_limit(*plan.limit);
  for (const query::OrderKey& key : plan.order) {
    v1::OrderKey* out = request->add_order();
    out->set_column(key.column);
    out->set_descending(key.descending);
  }
  if (!plan.as_of_log.has_value()) return;
  v1::AsOfLog* moment = request->mutable_as_of_log();
  if (plan.as_of_log->time.has_value()) moment->set_time(plan.as_of_log->time->ns());
  for (const auto& [shard, lsn] : plan.as_of_log->lsns) {
    v1::ShardLsn* out = moment->add_lsns();
    out->set_shard(shard.value());
    out->set_lsn(lsn.value());
  }
}

std::string_view OperatorName(const query::Plan& plan) {
  static constexpr std::string_view kNames[] = {"last-by", "range",       "asof", "bars",
                                                "rolling", "window-join", "book"};
  const auto* last_by = std::get_if<query::LastBy>(&plan.op);
  if (last_by != nullptr && last_by->first) return "first-by";
  return kNames[plan.op.index()];
}

std::string TablesOf(const query::Plan& plan) {
  if (const auto* asof = std::get_if<query::Asof>(&plan.op)) {
    std::string names = NameOf(asof->left);
    for (const query::AsofRight& right : asof->rights) names += "," + NameOf(right.from);
    return names;
  }
  return std::visit(
      [](const auto& op) {
        if constexpr (requires { op.right; }) {
          return NameOf(op.left) + "," + NameOf(op.right);
        } else if constexpr (requires { op.from; }) {
          return NameOf(op.from);
        } else {
          return std::string();  // answered above
        }
      },
      plan.op);
}

}  // namespace proxist::api
