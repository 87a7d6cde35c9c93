// Slabs double up to a bound, so small blocks stay small.
#include "proxist/hot/internal/text.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "proxist/base/check.h"

namespace proxist::hot::internal {
namespace {

constexpr size_t kFirstSlabBytes = 256;
constexpr size_t kLargestSlabBytes = 64 << 10;
alignas(uint32_t) constexpr std::byte kEmptyText[sizeof(uint32_t)] = {};

}  // namespace

struct TextSlab {
  TextSlab* next;
  size_t used;
  size_t capacity;
  std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }
};

TextPlace AppendText(TextSlab** head, ByteSpan text) {
  if (text.empty()) return {kEmptyText, 0};
  const size_t need = (sizeof(uint32_t) + text.size() + 3) / 4 * 4;
  size_t new_bytes = 0;
  TextSlab* slab = *head;
  if (slab == nullptr || slab->capacity - slab->used < need) {
    const size_t doubled =
        slab == nullptr ? kFirstSlabBytes : std::min(kLargestSlabBytes, slab->capacity * 2);
    const size_t capacity = std::max(need, doubled);
    new_bytes = sizeof(TextSlab) + capacity;
    void* memory = std::malloc(new_bytes);
    PX_CHECK(memory != nullptr);
    slab = new (memory) TextSlab{*head, 0, capacity};
    *head = slab;
  }
  std::byte* at = slab->bytes() + slab->used;
  const auto length = static_cast<uint32_t>(text.size());
  std::memcpy(at, &length, sizeof length);
  std::memcpy(at + sizeof length, text.data(), text.size());
  slab->used += need;
  return {at, new_bytes};
}

void FreeText(TextSlab* head) {
  while (head != nullptr) {
    TextSlab* next = head->next;
    std::free(head);
    head = next;
  }
}

}  // namespace proxist::hot::internal
