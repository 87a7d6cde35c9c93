// Blocks for ClickHouse to insert.
#include "proxist/history/internal/native_writer.h"

#include <cstring>

#include "proxist/base/check.h"

namespace proxist::history {

void NativeWriter::AppendVarint(uint64_t value) {
  while (value >= 0x80) {
    out_->push_back(static_cast<std::byte>(value | 0x80));
    value >>= 7;
  }
  out_->push_back(static_cast<std::byte>(value));
}

std::byte* NativeWriter::AppendFixed(size_t bytes) {
  const size_t at = out_->size();
  out_->resize(at + bytes);
  return out_->data() + at;
}

void NativeWriter::AppendString(std::string_view text) {
  AppendVarint(text.size());
  const ByteSpan bytes = AsBytes(text);
  out_->insert(out_->end(), bytes.begin(), bytes.end());
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
  ByteWriter header(out_);
  header.Put(kLowCardinalityVersion);
  const uint64_t index_type = dictionary.size() <= 0x100 ? 0 : dictionary.size() <= 0x10000 ? 1 : 2;
  header.Put(index_type | kHasAdditionalKeys);
  header.Put(static_cast<uint64_t>(dictionary.size()));
  for (const std::string_view entry : dictionary) AppendString(entry);
  header.Put(static_cast<uint64_t>(codes.size()));
  if (index_type == 0) return AppendIndexes<uint8_t>(codes);
  if (index_type == 1) return AppendIndexes<uint16_t>(codes);
  AppendIndexes<uint32_t>(codes);
}

}  // namespace proxist::history
