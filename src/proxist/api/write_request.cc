// Batches between the wire and the domain.
#include "proxist/api/write_request.h"

#include <algorithm>
#include <utility>

#include <google/protobuf/arena.h>

#include "proxist/api/column_message.h"
#include "proxist/column/widen.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::api {
namespace {

using column::Batch;
using column::ColumnDef;
using column::ColumnView;
using column::SeqMode;
using column::TableSchema;
using column::Type;
using column::TypeKind;

/// What a batch views into: the message, and zeros for columns that were left out.
struct Owner {
  std::shared_ptr<const v1::WriteRequest> request;
  std::vector<std::byte> zeros;
  std::vector<std::vector<std::byte>> widened;
};

/// Small at first: a request of one row waits in the backlog as one of thousands does.
google::protobuf::ArenaOptions GrowingFar() {
  google::protobuf::ArenaOptions options;
  options.max_block_size = size_t{64} << 10;
  return options;
}

struct RequestInArena {
  google::protobuf::Arena arena{GrowingFar()};
  v1::WriteRequest* const request =
      google::protobuf::Arena::CreateMessage<v1::WriteRequest>(&arena);
};

/// Where a wire column belongs in the batch, and the type it must have.
struct Target {
  ColumnView* view = nullptr;
  Type type;
};

StatusOr<Target> FindTarget(const TableSchema& schema, std::string_view name, Batch* batch) {
  if (name == kSymbolColumn) return Target{&batch->symbol, {TypeKind::kSymbol}};
  if (name == kTsColumn) return Target{&batch->ts, {TypeKind::kTimestamp}};
  if (name == kOpColumn) return Target{&batch->op, {TypeKind::kUint8}};
  if (name == kSeqColumn) {
    if (schema.seq == SeqMode::kAssigned) {
      return InvalidArgument("column seq: the table assigns seq, so a batch must not have it");
    }
    return Target{&batch->seq, {TypeKind::kUint64}};
  }
  const std::optional<size_t> index = schema.Find(name);
  if (!index) {
    std::string known;
    for (const ColumnDef& column : schema.columns) {
      if (!column.dropped) known += " " + column.name;
    }
    return InvalidArgument("column {}: unknown; the table has symbol ts seq{}", name, known);
  }
  return Target{&batch->columns[*index], schema.columns[*index].type};
}

Status DecodeColumns(const v1::WriteRequest& request, Batch* batch, Owner* owner) {
  std::vector<const ColumnView*> seen;
  for (const v1::Column& message : request.columns()) {
    PX_ASSIGN_OR_RETURN(Target target, FindTarget(*batch->schema, message.name(), batch));
    if (std::find(seen.begin(), seen.end(), target.view) != seen.end()) {
      return InvalidArgument("column {}: given twice", message.name());
    }
    seen.push_back(target.view);
    PX_ASSIGN_OR_RETURN(*target.view, DecodeColumn(message, batch->rows));
    if (column::Widens(target.view->type, target.type)) {
      // The producer goes by an earlier version of the table.
      std::vector<std::byte>& wide =
          owner->widened.emplace_back(batch->rows * column::WidthOf(target.type.kind));
      column::ConvertValues(target.view->type.kind, target.view->values.data(), batch->rows,
                            target.type.kind, wide.data());
      target.view->type = target.type;
      target.view->values = wide;
    }
    if (target.view->type != target.type) {
      return InvalidArgument("column {}: type {} where the table has {}", message.name(),
                             FormatType(target.view->type), FormatType(target.type));
    }
  }
  return OkStatus();
}

/// A view of nulls. It has a dictionary of one entry, so that code 0 stays within it.
ColumnView AllNull(Type type, size_t rows, const std::vector<std::byte>& zeros) {
  const bool text = type.kind == TypeKind::kString;
  ColumnView view;
  view.type = type;
  view.values = ByteSpan(zeros).first(text ? (rows + 1) * sizeof(uint32_t)
                                           : rows * column::WidthOf(type.kind));
  view.validity = ByteSpan(zeros).first((rows + 7) / 8);
  if (type.kind == TypeKind::kSymbol) view.dictionary.emplace_back();
  return view;
}

Status FillMissing(Batch* batch, Owner* owner) {
  const TableSchema& schema = *batch->schema;
  const auto missing = [](const ColumnView& view) { return view.values.empty(); };
  if (missing(batch->symbol)) return InvalidArgument("column symbol: missing");
  if (missing(batch->ts)) return InvalidArgument("column ts: missing");
  if (schema.seq == SeqMode::kProducer && missing(batch->seq)) {
    return InvalidArgument("column seq: missing; the table takes seq from the producer");
  }
  batch->seq.type = {TypeKind::kUint64};
  batch->op.type = {TypeKind::kUint8};
  for (size_t i = 0; i < schema.columns.size(); ++i) {
    if (!missing(batch->columns[i])) continue;
    const ColumnDef& column = schema.columns[i];
    if (!column.nullable) {
      return InvalidArgument("column {}: missing, and it is not nullable", column.name);
    }
    if (owner->zeros.empty()) owner->zeros.resize((batch->rows + 1) * sizeof(uint64_t));
    batch->columns[i] = AllNull(column.type, batch->rows, owner->zeros);
  }
  return OkStatus();
}

StatusOr<size_t> CountRows(const v1::WriteRequest& request) {
  for (const v1::Column& message : request.columns()) {
    if (message.name() != kSymbolColumn) continue;
    PX_ASSIGN_OR_RETURN(size_t rows, RowsOf(message));
    if (rows == 0) return InvalidArgument("the batch has no rows");
    return rows;
  }
  if (request.columns().empty()) return InvalidArgument("the batch has no columns and no rows");
  return InvalidArgument("column symbol: missing");
}

}  // namespace

std::shared_ptr<v1::WriteRequest> NewWriteRequest() {
  auto held = std::make_shared<RequestInArena>();
  v1::WriteRequest* const request = held->request;
  return {std::move(held), request};
}

StatusOr<Batch> DecodeWriteRequest(std::shared_ptr<const v1::WriteRequest> request,
                                   const column::SchemaPtr& schema) {
  const auto decode = [&]() -> StatusOr<Batch> {
    Batch batch;
    batch.schema = schema;
    batch.columns.resize(schema->columns.size());
    auto owner = std::make_shared<Owner>();
    owner->request = std::move(request);
    PX_ASSIGN_OR_RETURN(batch.rows, CountRows(*owner->request));
    PX_RETURN_IF_ERROR(DecodeColumns(*owner->request, &batch, owner.get()));
    PX_RETURN_IF_ERROR(FillMissing(&batch, owner.get()));
    batch.owner = std::move(owner);
    return batch;
  };
  StatusOr<Batch> batch = decode();
  if (!batch.ok()) return Annotate(batch.status(), fmt::format("table {}", schema->name));
  return batch;
}

void EncodeWriteRequest(const Batch& batch, v1::WriteRequest* request) {
  request->set_tenant(batch.schema->tenant);
  request->set_table(batch.schema->name);
  request->clear_columns();
  const auto add = [&](std::string_view name, Type type, ColumnView view) {
    view.type = type;
    EncodeColumn(name, view, batch.rows, request->add_columns());
  };
  add(kSymbolColumn, {TypeKind::kSymbol}, batch.symbol);
  add(kTsColumn, {TypeKind::kTimestamp}, batch.ts);
  if (!batch.seq.values.empty()) add(kSeqColumn, {TypeKind::kUint64}, batch.seq);
  if (!batch.op.values.empty()) add(kOpColumn, {TypeKind::kUint8}, batch.op);
  for (size_t i = 0; i < batch.columns.size(); ++i) {
    const ColumnDef& column = batch.schema->columns[i];
    add(column.name, column.type, batch.columns[i]);
  }
}

}  // namespace proxist::api
