// Blocks for ClickHouse to insert.
#include "proxist/history/internal/native_writer.h"

#include <algorithm>
#include <cstring>

#include "proxist/base/check.h"

namespace proxist::history {

void NativeWriter::AppendVarint(uint64_t value) {
  while (value >= 0x80) {
    AppendByte(static_cast<std::byte>(value | 0x80));
    value >>= 7;
  }
  AppendByte(static_cast<std::byte>(value));
}

void NativeWriter::AppendUint64(uint64_t value) {
  std::memcpy(AppendFixed(sizeof value), &value, sizeof value);
}

std::byte* NativeWriter::AppendFixed(size_t bytes) {
  if (out_->size() < at_ + bytes) out_->resize(at_ + bytes);
  std::byte* const to = out_->data() + at_;
  at_ += bytes;
  return to;
}

void NativeWriter::AppendString(std::string_view text) {
  AppendVarint(text.size());
  std::ranges::copy(AsBytes(text), AppendFixed(text.size()));
}

void NativeWriter::BeginBlock(size_t columns, size_t rows) {
  AppendVarint(columns);
  AppendVarint(rows);
}

void NativeWriter::BeginColumn(std::string_view name, std::string_view type) {
  AppendString(name);
  AppendString(type);
}

template <typename T>
void NativeWriter::AppendIndexes(std::span<const uint32_t> codes) {
  std::byte* to = AppendFixed(codes.size() * sizeof(T));
  for (size_t i = 0; i < codes.size(); ++i) {
    const auto narrow = static_cast<T>(codes[i]);
    std::memcpy(to + i * sizeof(T), &narrow, sizeof(T));
  }
}

void NativeWriter::AppendLowCardinality(std::span<const std::string_view> dictionary,
                                        std::span<const uint32_t> codes) {
  PX_CHECK(!dictionary.empty());
  AppendUint64(kLowCardinalityVersion);
  const uint64_t index_type = dictionary.size() <= 0x100 ? 0 : dictionary.size() <= 0x10000 ? 1 : 2;
  AppendUint64(index_type | kHasAdditionalKeys);
  AppendUint64(dictionary.size());
  for (const std::string_view entry : dictionary) AppendString(entry);
  AppendUint64(codes.size());
  if (index_type == 0) return AppendIndexes<uint8_t>(codes);
  if (index_type == 1) return AppendIndexes<uint16_t>(codes);
  AppendIndexes<uint32_t>(codes);
}

}  // namespace proxist::history
