// Columns that grow, and the strings of one query.
#include "proxist/exec/frame.h"

#include <cstring>
#include <deque>
#include <unordered_map>

#include "proxist/base/check.h"

namespace proxist::exec {

struct Symbols::Local {
  std::deque<std::string> texts;  // never move
  std::unordered_map<std::string_view, uint32_t> codes;
};

Symbols::Symbols(const column::Dictionary* base)
    : base_(base), base_size_(base == nullptr ? 0 : base->size()) {}

uint32_t Symbols::Code(std::string_view text) {
  if (base_ != nullptr) {
    const std::optional<uint32_t> code = base_->Find(text);
    if (code.has_value() && *code < base_size_) return *code;
  }
  if (local_ == nullptr) local_ = std::make_shared<Local>();
  const auto known = local_->codes.find(text);
  if (known != local_->codes.end()) return known->second;
  const auto code = kLocalBit | static_cast<uint32_t>(local_->texts.size());
  local_->codes.emplace(local_->texts.emplace_back(text), code);
  return code;
}

std::string_view Symbols::Text(uint32_t code) const {
  if ((code & kLocalBit) == 0) {
    PX_CHECK(code < base_size_);
    return base_->At(code);
  }
  PX_CHECK(local_ != nullptr && (code & ~kLocalBit) < local_->texts.size());
  return local_->texts[code & ~kLocalBit];
}

size_t Column::stride() const {
  return type_.kind == column::TypeKind::kString ? sizeof(std::string_view)
                                                 : column::WidthOf(type_.kind);
}

std::byte* Column::Extend(size_t n) {
  std::byte* values = ExtendUnset(n);
  if (n > 0) std::memset(values, 0, n * stride());
  return values;
}

std::byte* Column::ExtendUnset(size_t n) {
  std::byte* values = bytes_.Resize(bytes_.size() + n * stride());
  if (!validity_.empty()) {
    validity_.resize((rows_ + n + 63) / 64, ~uint64_t{0});
    for (size_t row = rows_; row < rows_ + n && (row & 63) != 0; ++row) {
      validity_[row >> 6] |= uint64_t{1} << (row & 63);
    }
  }
  rows_ += n;
  return values;
}

void Column::SetNull(size_t row) {
  PX_CHECK(row < rows_);
  if (validity_.empty()) validity_.assign((rows_ + 63) / 64, ~uint64_t{0});
  validity_[row >> 6] &= ~(uint64_t{1} << (row & 63));
}

void Column::SetValid(size_t row) {
  PX_CHECK(row < rows_);
  if (!validity_.empty()) validity_[row >> 6] |= uint64_t{1} << (row & 63);
}

void Column::AppendNull() {
  Extend(1);
  SetNull(rows_ - 1);
}

namespace {

template <size_t kStride>
void Gather(const std::byte* from, const int64_t* rows, size_t n, std::byte* to) {
  for (size_t i = 0; i < n; ++i) {
    if (rows[i] >= 0) {
      std::memcpy(to + i * kStride, from + static_cast<size_t>(rows[i]) * kStride, kStride);
    }
  }
}

}  // namespace

void Column::AppendGather(const Column& other, const int64_t* rows, size_t n) {
  PX_CHECK(other.type_ == type_ && &other != this);
  if (n == 0) return;
  const size_t base = rows_;
  std::byte* to = Extend(n);
  const std::byte* from = other.bytes_.data();
  switch (stride()) {
    case 1:
      Gather<1>(from, rows, n, to);
      break;
    case 2:
      Gather<2>(from, rows, n, to);
      break;
    case 4:
      Gather<4>(from, rows, n, to);
      break;
    case 8:
      Gather<8>(from, rows, n, to);
      break;
    default:
      Gather<sizeof(std::string_view)>(from, rows, n, to);
      break;
  }
  for (size_t i = 0; i < n; ++i) {
    if (rows[i] < 0 || !other.IsValid(static_cast<size_t>(rows[i]))) SetNull(base + i);
  }
}

void Column::AppendRange(const Column& other, size_t begin, size_t end) {
  PX_CHECK(other.type_ == type_ && &other != this && begin <= end && end <= other.rows_);
  if (begin == end) return;
  const size_t base = rows_;
  std::byte* to = ExtendUnset(end - begin);
  std::memcpy(to, other.bytes_.data() + begin * stride(), (end - begin) * stride());
  if (!other.has_nulls()) return;
  for (size_t row = begin; row < end; ++row) {
    if (!other.IsValid(row)) SetNull(base + row - begin);
  }
}

}  // namespace proxist::exec
