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

}  // namespace proxist::hot::internal
