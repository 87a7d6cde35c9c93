// Symbols are compared as texts, since codes belong to their batch.
#include "proxist/query/internal/batch_compare.h"

#include <cstring>
#include <string_view>
#include <utility>

namespace proxist::query::internal {
namespace {

using column::TypeKind;

bool SameCell(const ResultBatch& a, size_t row_a, const ResultBatch& b, size_t row_b, size_t i) {
  const exec::Column& x = a.columns[i].column;
  const exec::Column& y = b.columns[i].column;
  if (x.type() != y.type()) return false;
  if (!x.IsValid(row_a) || !y.IsValid(row_b)) return x.IsValid(row_a) == y.IsValid(row_b);
  switch (x.type().kind) {
    case TypeKind::kSymbol:
      return a.symbols->Text(x.data<uint32_t>()[row_a]) ==
             b.symbols->Text(y.data<uint32_t>()[row_b]);
    case TypeKind::kString:
      return x.data<std::string_view>()[row_a] == y.data<std::string_view>()[row_b];
    default:
      return std::memcmp(x.data<std::byte>() + row_a * x.stride(),
                         y.data<std::byte>() + row_b * y.stride(), x.stride()) == 0;
  }
}

bool SameRow(const ResultBatch& a, size_t row_a, const ResultBatch& b, size_t row_b) {
  if (a.columns.size() != b.columns.size()) return false;
  for (size_t i = 0; i < a.columns.size(); ++i) {
    if (!SameCell(a, row_a, b, row_b, i)) return false;
  }
  return true;
}

std::string FormatCell(const exec::Column& column, size_t row, const exec::Symbols& symbols) {
  if (!column.IsValid(row)) return "null";
  switch (column.type().kind) {
    case TypeKind::kBool:
    case TypeKind::kUint8:
      return fmt::format("{}", column.data<uint8_t>()[row]);
    case TypeKind::kInt8:
      return fmt::format("{}", column.data<int8_t>()[row]);
    case TypeKind::kInt16:
      return fmt::format("{}", column.data<int16_t>()[row]);
    case TypeKind::kInt32:
      return fmt::format("{}", column.data<int32_t>()[row]);
    case TypeKind::kUint16:
      return fmt::format("{}", column.data<uint16_t>()[row]);
    case TypeKind::kUint32:
      return fmt::format("{}", column.data<uint32_t>()[row]);
    case TypeKind::kUint64:
      return fmt::format("{}", column.data<uint64_t>()[row]);
    case TypeKind::kFloat32:
      return column::FormatFloat32(column.data<float>()[row]);
    case TypeKind::kFloat64:
      return column::FormatFloat64(column.data<double>()[row]);
    case TypeKind::kDecimal:
      return column::FormatDecimal(column.data<int64_t>()[row], column.type().scale);
    case TypeKind::kString:
      return std::string(column.data<std::string_view>()[row]);
    case TypeKind::kSymbol:
      return std::string(symbols.Text(column.data<uint32_t>()[row]));
    default:
      return fmt::format("{}", column.data<int64_t>()[row]);
  }
}

}  // namespace

std::string FormatRow(const ResultBatch& batch, size_t row) {
  std::string out;
  for (const exec::NamedColumn& column : batch.columns) {
    out += fmt::format("{}{}={}", out.empty() ? "" : " ", column.name,
                       FormatCell(column.column, row, *batch.symbols));
  }
  return out;
}

void AnswerCompare::Keep(ResultBatch batch) { kept_.push_back(std::move(batch)); }

void AnswerCompare::Rewind() { batch_ = row_ = 0; }

void AnswerCompare::PassEmpty() {
  while (batch_ < kept_.size() && row_ == kept_[batch_].rows()) {
    ++batch_;
    row_ = 0;
  }
}

std::optional<AnswerCompare::Difference> AnswerCompare::Compare(const ResultBatch& batch) {
  for (size_t row = 0; row < batch.rows(); ++row, ++row_) {
    PassEmpty();
    if (batch_ == kept_.size()) return Difference{"", FormatRow(batch, row)};
    if (!SameRow(kept_[batch_], row_, batch, row)) {
      return Difference{FormatRow(kept_[batch_], row_), FormatRow(batch, row)};
    }
  }
  return std::nullopt;
}

std::optional<AnswerCompare::Difference> AnswerCompare::End() {
  PassEmpty();
  if (batch_ == kept_.size()) return std::nullopt;
  return Difference{FormatRow(kept_[batch_], row_), ""};
}

}  // namespace proxist::query::internal
