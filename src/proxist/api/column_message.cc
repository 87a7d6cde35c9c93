// Columns between their wire message and views into it.
#include "proxist/api/column_message.h"

#include "proxist/v1/column.pb.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::api {

using column::ColumnView;
using column::TypeKind;

StatusOr<column::Type> DecodeType(const v1::Type& message) {
  static_assert(v1::TYPE_KIND_SYMBOL == static_cast<int>(TypeKind::kSymbol) &&
                v1::TYPE_KIND_BOOL == static_cast<int>(TypeKind::kBool));
  const int kind = message.kind();
  if (kind < v1::TYPE_KIND_BOOL || kind > v1::TYPE_KIND_SYMBOL) {
    return InvalidArgument("type kind {} is not known", kind);
  }
  if (kind != v1::TYPE_KIND_DECIMAL && message.scale() != 0) {
    return InvalidArgument("only decimals have a scale; kind {} has scale {}", kind,
                           message.scale());
  }
  if (message.scale() > column::kMaxDecimalScale) {
    return InvalidArgument("decimal scale {} is above {}", message.scale(),
                           column::kMaxDecimalScale);
  }
  return column::Type{static_cast<TypeKind>(kind), static_cast<uint8_t>(message.scale())};
}

void EncodeType(column::Type type, v1::Type* message) {
  message->set_kind(static_cast<v1::TypeKind>(type.kind));
  message->set_scale(type.scale);
}

StatusOr<size_t> RowsOf(const v1::Column& message) {
  StatusOr<column::Type> type = DecodeType(message.type());
  if (!type.ok()) {
    return Annotate(type.status(), fmt::format("column {}", message.name()));
  }
  const size_t bytes = message.values().size();
  const bool text = type->kind == TypeKind::kString;
  const size_t width = text ? sizeof(uint32_t) : column::WidthOf(type->kind);
  if (bytes % width != 0) {
    return InvalidArgument("column {}: {} bytes of values are not a multiple of {} ({})",
                           message.name(), bytes, width, FormatType(*type));
  }
  if (text && bytes == 0) {
    return InvalidArgument("column {}: no offsets; a string column of n rows has n+1",
                           message.name());
  }
  return text ? bytes / width - 1 : bytes / width;
}

StatusOr<ColumnView> DecodeColumn(const v1::Column& message, size_t rows) {
  PX_ASSIGN_OR_RETURN(size_t held, RowsOf(message));
  if (held != rows) {
    return InvalidArgument("column {}: {} rows where {} are expected", message.name(), held, rows);
  }
  PX_ASSIGN_OR_RETURN(column::Type type, DecodeType(message.type()));
  const size_t validity_bytes = (rows + 7) / 8;
  if (!message.validity().empty() && message.validity().size() != validity_bytes) {
    return InvalidArgument("column {}: {} bytes of validity where {} rows need {} or none",
                           message.name(), message.validity().size(), rows, validity_bytes);
  }
  if (type.kind != TypeKind::kString && !message.text().empty()) {
    return InvalidArgument("column {}: text in a column of type {}", message.name(),
                           FormatType(type));
  }
  if (type.kind != TypeKind::kSymbol && message.dictionary_size() != 0) {
    return InvalidArgument("column {}: a dictionary in a column of type {}", message.name(),
                           FormatType(type));
  }
  ColumnView view;
  view.type = type;
  view.values = AsBytes(message.values());
  view.validity = AsBytes(message.validity());
  view.text = AsBytes(message.text());
  view.dictionary.assign(message.dictionary().begin(), message.dictionary().end());
  return view;
}

Status CheckBounds(std::string_view name, const ColumnView& view, size_t rows) {
  if (view.type.kind == TypeKind::kSymbol) {
    for (size_t row = 0; row < rows; ++row) {
      if (view.IsValid(row) && view.At<uint32_t>(row) >= view.dictionary.size()) {
        return InvalidArgument("column {}, row {}: code {} of a dictionary of {}", name, row,
                               view.At<uint32_t>(row), view.dictionary.size());
      }
    }
  }
  if (view.type.kind == TypeKind::kString) {
    uint32_t last = view.At<uint32_t>(0);
    for (size_t row = 0; row < rows; ++row) {
      const uint32_t next = view.At<uint32_t>(row + 1);
      if (next < last || next > view.text.size()) {
        return InvalidArgument("column {}, row {}: offset {} after {} in {} bytes of text", name,
                               row, next, last, view.text.size());
      }
      last = next;
    }
  }
  return OkStatus();
}

void EncodeColumn(std::string_view name, const ColumnView& view, size_t rows, v1::Column* message) {
  message->set_name(name.data(), name.size());
  EncodeType(view.type, message->mutable_type());
  const bool text = view.type.kind == TypeKind::kString;
  const size_t width = text ? sizeof(uint32_t) : column::WidthOf(view.type.kind);
  message->set_values(view.values.data(), (rows + (text ? 1 : 0)) * width);
  if (!view.validity.empty()) message->set_validity(view.validity.data(), (rows + 7) / 8);
  if (text) message->set_text(view.text.data(), view.text.size());
  message->mutable_dictionary()->Reserve(static_cast<int>(view.dictionary.size()));
  for (std::string_view entry : view.dictionary) {
    message->add_dictionary(entry.data(), entry.size());
  }
}

StatusOr<std::vector<NamedView>> DecodeAnswer(const v1::QueryResponse& response) {
  std::vector<NamedView> answer;
  answer.reserve(static_cast<size_t>(response.columns_size()));
  for (const v1::Column& message : response.columns()) {
    StatusOr<ColumnView> view = DecodeColumn(message, response.rows());
    if (!view.ok()) return DataLoss("the answer is damaged: {}", Message(view.status()));
    if (Status bounds = CheckBounds(message.name(), *view, response.rows()); !bounds.ok()) {
      return DataLoss("the answer is damaged: {}", Message(bounds));
    }
    answer.push_back({message.name(), std::move(*view)});
  }
  return answer;
}

}  // namespace proxist::api
