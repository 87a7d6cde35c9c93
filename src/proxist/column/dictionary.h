// Strings as dense codes, shared by all tables of a shard.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace proxist::column {

/// Append-only. One thread adds; any number of threads look up at the same time, without locks:
/// strings never move, and the hash index is replaced, not changed, when it grows (old ones live as
/// long as the dictionary: at most as much memory again). A reader that learned a code by an
/// acquire load may turn it into its string.
class Dictionary {
 public:
  Dictionary();
  ~Dictionary();
  Dictionary(const Dictionary&) = delete;
  Dictionary& operator=(const Dictionary&) = delete;

  /// The writer's thread only. The code of `text`, added when it is new.
  uint32_t Intern(std::string_view text);
  /// Any thread. The code of `text`, if it was added before the call.
  [[nodiscard]] std::optional<uint32_t> Find(std::string_view text) const;
  /// Any thread. Find of texts[i] into codes[i] for each i of `which`; those not found are left as
  /// they are. Cheaper than one by one: their cache misses overlap.
  void FindAll(std::span<const std::string_view> texts, std::span<const uint32_t> which,
               std::span<uint32_t> codes) const;
  /// Any thread; `code` < size(). Valid as long as the dictionary.
  [[nodiscard]] std::string_view At(uint32_t code) const;
  /// Any thread. Codes are 0..size()-1.
  [[nodiscard]] uint32_t size() const;
  [[nodiscard]] size_t SizeBytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace proxist::column
