// Strings as codes: one writer, any number of readers that take no lock.
#include "proxist/column/dictionary.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

#include "proxist/base/bytes.h"
#include "proxist/base/check.h"
#include "proxist/base/mix.h"

namespace proxist::column {
namespace {

constexpr size_t kFirstSegmentBits = 6;
constexpr size_t kSegments = 32 - kFirstSegmentBits + 1;
constexpr size_t kFirstIndexSlots = 128;
constexpr size_t kTextBlockBytes = 4096;
constexpr uint32_t kMaxEntries = std::numeric_limits<uint32_t>::max() - 1;

// Segment s holds 2^(s + kFirstSegmentBits) entries, so entries never move as segments are added.
struct Place {
  size_t segment;
  size_t offset;
};
Place PlaceOf(uint32_t code) {
  const uint64_t shifted = uint64_t{code} + (uint64_t{1} << kFirstSegmentBits);
  const size_t top = std::bit_width(shifted) - 1;
  return {top - kFirstSegmentBits, shifted - (uint64_t{1} << top)};
}

// Open addressing; a slot is the upper half of the hash over code + 1, 0 when free.
struct Index {
  explicit Index(size_t slot_count) : slots(slot_count) {}
  std::vector<std::atomic<uint64_t>> slots;
};

template <typename T>
uint64_t LoadWord(const char* at) {
  T word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

/// Symbols are short: two words that overlap hold one, and are mixed where the caller stands.
uint64_t HashOf(std::string_view text) {
  const size_t n = text.size();
  const char* at = text.data();
  uint64_t head = 0;
  uint64_t tail = 0;
  if (n > 16) return Checksum(AsBytes(text));
  if (n >= 8) {
    head = LoadWord<uint64_t>(at);
    tail = LoadWord<uint64_t>(at + n - 8);
  } else if (n >= 4) {
    head = LoadWord<uint32_t>(at);
    tail = LoadWord<uint32_t>(at + n - 4);
  } else if (n > 0) {
    head = LoadWord<uint8_t>(at) | LoadWord<uint8_t>(at + n / 2) << 8;
    tail = LoadWord<uint8_t>(at + n - 1);
  }
  return Mix64(head ^ 0x9e3779b97f4a7c15, tail ^ (0xd6e8feb86659fd93 + n));
}

uint64_t SlotValue(uint64_t hash, uint32_t code) {
  return (hash & 0xffffffff00000000) | (uint64_t{code} + 1);
}

}  // namespace

struct Dictionary::Impl {
  std::array<std::atomic<std::string_view*>, kSegments> segments{};
  std::atomic<const Index*> index{nullptr};
  std::atomic<uint32_t> size{0};
  std::atomic<size_t> bytes{sizeof(Impl)};

  // The writer's alone.
  std::vector<std::unique_ptr<std::string_view[]>> owned_segments;
  std::vector<std::unique_ptr<Index>> indexes;  // the last one is current
  std::vector<std::unique_ptr<char[]>> text_blocks;
  size_t text_left = 0;
  char* text_next = nullptr;

  std::string_view At(uint32_t code) const {
    const Place place = PlaceOf(code);
    return segments[place.segment].load(std::memory_order_acquire)[place.offset];
  }

  std::optional<uint32_t> Find(std::string_view text, uint64_t hash) const {
    const Index* table = index.load(std::memory_order_acquire);
    const size_t mask = table->slots.size() - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
      const uint64_t slot = table->slots[at].load(std::memory_order_acquire);
      if (slot == 0) return std::nullopt;
      if ((slot ^ hash) >> 32 != 0) continue;
      const auto code = static_cast<uint32_t>(slot) - 1;
      if (At(code) == text) return code;
    }
  }

  /// Asks for the memory that Find reads first.
  void PrefetchSlot(uint64_t hash) const {
    const Index* table = index.load(std::memory_order_acquire);
    __builtin_prefetch(&table->slots[hash & (table->slots.size() - 1)]);
  }
  /// The entry that Find looks at first, if any.
  const std::string_view* Candidate(uint64_t hash) const {
    const Index* table = index.load(std::memory_order_acquire);
    const size_t mask = table->slots.size() - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
      const uint64_t slot = table->slots[at].load(std::memory_order_acquire);
      if (slot == 0) return nullptr;
      if ((slot ^ hash) >> 32 != 0) continue;
      const Place place = PlaceOf(static_cast<uint32_t>(slot) - 1);
      return segments[place.segment].load(std::memory_order_acquire) + place.offset;
    }
  }

  static void Insert(Index* table, uint64_t hash, uint32_t code) {
    const size_t mask = table->slots.size() - 1;
    size_t at = hash & mask;
    while (table->slots[at].load(std::memory_order_relaxed) != 0) at = (at + 1) & mask;
    table->slots[at].store(SlotValue(hash, code), std::memory_order_release);
  }

  void Grow(size_t slots) {
    auto next = std::make_unique<Index>(slots);
    const uint32_t count = size.load(std::memory_order_relaxed);
    for (uint32_t code = 0; code < count; ++code) {
      Insert(next.get(), HashOf(At(code)), code);
    }
    index.store(next.get(), std::memory_order_release);
    indexes.push_back(std::move(next));
    bytes.fetch_add(slots * sizeof(uint64_t), std::memory_order_relaxed);
  }

  std::string_view Keep(std::string_view text) {
    if (text.empty()) return {};
    if (text.size() > text_left) {
      const size_t block = std::max(kTextBlockBytes, text.size());
      text_blocks.push_back(std::make_unique<char[]>(block));
      text_next = text_blocks.back().get();
      text_left = block;
      bytes.fetch_add(block, std::memory_order_relaxed);
    }
    std::memcpy(text_next, text.data(), text.size());
    const std::string_view kept(text_next, text.size());
    text_next += text.size();
    text_left -= text.size();
    return kept;
  }

  uint32_t Add(std::string_view text, uint64_t hash) {
    const uint32_t code = size.load(std::memory_order_relaxed);
    PX_CHECK(code < kMaxEntries);
    if ((uint64_t{code} + 1) * 2 > indexes.back()->slots.size()) {
      Grow(indexes.back()->slots.size() * 2);
    }
    const Place place = PlaceOf(code);
    if (place.offset == 0) {
      const size_t entries = size_t{1} << (place.segment + kFirstSegmentBits);
      owned_segments.push_back(std::make_unique<std::string_view[]>(entries));
      segments[place.segment].store(owned_segments.back().get(), std::memory_order_release);
      bytes.fetch_add(entries * sizeof(std::string_view), std::memory_order_relaxed);
    }
    owned_segments.back()[place.offset] = Keep(text);
    size.store(code + 1, std::memory_order_release);
    Insert(indexes.back().get(), hash, code);
    return code;
  }
};

Dictionary::Dictionary() : impl_(std::make_unique<Impl>()) { impl_->Grow(kFirstIndexSlots); }
Dictionary::~Dictionary() = default;

uint32_t Dictionary::Intern(std::string_view text) {
  const uint64_t hash = HashOf(text);
  const std::optional<uint32_t> known = impl_->Find(text, hash);
  return known ? *known : impl_->Add(text, hash);
}

void Dictionary::FindAll(std::span<const std::string_view> texts, std::span<const uint32_t> which,
                         std::span<uint32_t> codes) const {
  constexpr size_t kGroup = 32;
  std::array<uint64_t, kGroup> hashes;
  std::array<const std::string_view*, kGroup> entries;
  for (; !which.empty(); which = which.subspan(std::min(kGroup, which.size()))) {
    const size_t n = std::min(kGroup, which.size());
    for (size_t i = 0; i < n; ++i) {
      hashes[i] = HashOf(texts[which[i]]);
      impl_->PrefetchSlot(hashes[i]);
    }
    for (size_t i = 0; i < n; ++i) {
      entries[i] = impl_->Candidate(hashes[i]);
      __builtin_prefetch(entries[i]);
    }
    for (size_t i = 0; i < n; ++i) {
      if (entries[i] != nullptr) __builtin_prefetch(entries[i]->data());
    }
    for (size_t i = 0; i < n; ++i) {
      const std::optional<uint32_t> known = impl_->Find(texts[which[i]], hashes[i]);
      if (known) codes[which[i]] = *known;
    }
  }
}

std::optional<uint32_t> Dictionary::Find(std::string_view text) const {
  return impl_->Find(text, HashOf(text));
}

std::string_view Dictionary::At(uint32_t code) const { return impl_->At(code); }

uint32_t Dictionary::size() const { return impl_->size.load(std::memory_order_acquire); }

size_t Dictionary::SizeBytes() const { return impl_->bytes.load(std::memory_order_relaxed); }

}  // namespace proxist::column
