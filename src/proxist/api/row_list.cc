// Copies columns, so that a plan outlives the message that it came in.
#include "proxist/api/row_list.h"

#include <cstring>
#include <string>

#include "proxist/api/answer.h"
#include "proxist/api/column_message.h"
#include "proxist/v1/column.pb.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::api {
namespace {

using column::TypeKind;

exec::Column Copy(const column::ColumnView& view, size_t rows, exec::Symbols* symbols,
                  const std::string& text) {
  exec::Column out(view.type);
  std::byte* to = out.Extend(rows);
  std::vector<uint32_t> codes;
  for (const std::string_view entry : view.dictionary) codes.push_back(symbols->Code(entry));
  for (size_t row = 0; row < rows; ++row) {
    if (!view.IsValid(row)) {
      out.SetNull(row);
    } else if (view.type.kind == TypeKind::kSymbol) {
      out.data<uint32_t>()[row] = codes[view.At<uint32_t>(row)];
    } else if (view.type.kind == TypeKind::kString) {
      const auto begin = view.At<uint32_t>(row);
      out.data<std::string_view>()[row] = {text.data() + begin, view.At<uint32_t>(row + 1) - begin};
    } else {
      std::memcpy(to + row * out.stride(), view.values.data() + row * out.stride(), out.stride());
    }
  }
  return out;
}

}  // namespace

StatusOr<std::shared_ptr<const query::ResultBatch>> DecodeRows(
    const google::protobuf::RepeatedPtrField<v1::Column>& columns) {
  auto batch = std::make_shared<query::ResultBatch>();
  auto symbols = std::make_shared<exec::Symbols>(nullptr);
  if (columns.empty()) return batch;
  PX_ASSIGN_OR_RETURN(const size_t rows, RowsOf(columns[0]));
  for (const v1::Column& message : columns) {
    PX_ASSIGN_OR_RETURN(const column::ColumnView view, DecodeColumn(message, rows));
    PX_RETURN_IF_ERROR(CheckBounds(message.name(), view, rows));
    auto text = std::make_shared<const std::string>(message.text());
    batch->columns.push_back({message.name(), Copy(view, rows, symbols.get(), *text)});
    batch->keepalive.push_back(std::move(text));
  }
  batch->symbols = std::move(symbols);
  return batch;
}

void EncodeRows(const query::ResultBatch& batch,
                google::protobuf::RepeatedPtrField<v1::Column>* columns) {
  v1::QueryResponse message;
  EncodeRows(batch, 0, batch.rows(), &message);
  columns->Swap(message.mutable_columns());
}

}  // namespace proxist::api
