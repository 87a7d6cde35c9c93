// One column of a chunk of rows while it is being filled.
#include "proxist/client/internal/chunk_column.h"

#include "proxist/base/check.h"

namespace proxist::client {

using column::TypeKind;

ChunkColumn::ChunkColumn(column::Type type, size_t capacity)
    : type_(type),
      capacity_(capacity),
      width_(type.kind == TypeKind::kString ? sizeof(uint32_t) : column::WidthOf(type.kind)),
      values_((capacity + (type.kind == TypeKind::kString ? 1 : 0)) * width_) {}

void ChunkColumn::PutText(std::string_view text) {
  if (type_.kind == TypeKind::kSymbol) {
    Put(CodeOf(text));
    return;
  }
  text_ += text;
  const auto end = static_cast<uint32_t>(text_.size());
  std::memcpy(values_.data() + (rows_ + 1) * sizeof end, &end, sizeof end);
  MarkValid();
}

void ChunkColumn::PutNull() {
  if (!has_nulls_) {
    has_nulls_ = true;
    validity_.resize((capacity_ + 7) / 8);
    for (size_t row = 0; row < rows_; ++row) {
      validity_[row >> 3] |= std::byte{1} << (row & 7);
    }
  }
  if (type_.kind == TypeKind::kString) {
    const auto end = static_cast<uint32_t>(text_.size());
    std::memcpy(values_.data() + (rows_ + 1) * sizeof end, &end, sizeof end);
  } else if (type_.kind == TypeKind::kSymbol && dictionary_.empty()) {
    CodeOf("");  // the code 0 of a null row must lie within the dictionary
  }
  ++rows_;
}

void ChunkColumn::Repeat(size_t rows) {
  PX_CHECK(rows_ > 0 && rows <= capacity_);
  const size_t last = rows_ - 1;
  const bool valid =
      !has_nulls_ || ((static_cast<uint8_t>(validity_[last >> 3]) >> (last & 7)) & 1);
  if (!valid) {
    while (rows_ < rows) PutNull();
  } else if (type_.kind == TypeKind::kString) {
    uint32_t begin = 0;
    std::memcpy(&begin, values_.data() + last * sizeof begin, sizeof begin);
    const std::string text = text_.substr(begin);
    while (rows_ < rows) PutText(text);
  } else {
    while (rows_ < rows) {
      std::memcpy(values_.data() + rows_ * width_, values_.data() + last * width_, width_);
      MarkValid();
    }
  }
}

uint32_t ChunkColumn::CodeOf(std::string_view text) {
  if (last_code_ < dictionary_.size() && dictionary_[last_code_] == text) return last_code_;
  const auto known = codes_.find(text);
  if (known != codes_.end()) {
    last_code_ = known->second;
    return last_code_;
  }
  last_code_ = static_cast<uint32_t>(dictionary_.size());
  dictionary_.emplace_back(text);
  codes_.emplace(dictionary_.back(), last_code_);
  return last_code_;
}

column::ColumnView ChunkColumn::View() const {
  column::ColumnView view;
  view.type = type_;
  const size_t count = rows_ + (type_.kind == TypeKind::kString ? 1 : 0);
  view.values = ByteSpan(values_).first(count * width_);
  if (has_nulls_) view.validity = ByteSpan(validity_).first((rows_ + 7) / 8);
  view.text = AsBytes(text_);
  view.dictionary.assign(dictionary_.begin(), dictionary_.end());
  return view;
}

}  // namespace proxist::client
