// Length-prefixed strings in slabs that live as long as their block.
#pragma once

#include <cstddef>
#include <cstdint>

#include "proxist/base/bytes.h"

namespace proxist::hot::internal {

/// Part of a block's strings; the newest slab first.
struct TextSlab;

struct TextPlace {
  const std::byte* address;  // of a uint32 length and the bytes
  size_t new_bytes;          // allocated by this call
};

/// Copies `text` behind the slabs of `*head`. An empty text costs nothing.
TextPlace AppendText(TextSlab** head, ByteSpan text);
void FreeText(TextSlab* head);

/// The string at an address that AppendText gave.
inline ByteSpan TextOf(const std::byte* address) {
  return {address + sizeof(uint32_t), LoadAt<uint32_t>(address, 0)};
}

}  // namespace proxist::hot::internal
