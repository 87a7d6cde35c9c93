// One column of a chunk of rows while it is being filled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxist/column/batch.h"

namespace proxist::client {

/// Values are put in row order, up to `capacity` rows. One thread.
class ChunkColumn {
 public:
  ChunkColumn(column::Type type, size_t capacity);

  [[nodiscard]] column::Type type() const { return type_; }
  [[nodiscard]] size_t rows() const { return rows_; }

  /// A value of a fixed-width type; T has the type's width.
  template <typename T>
  void Put(T value) {
    std::memcpy(values_.data() + rows_ * sizeof(T), &value, sizeof(T));
    MarkValid();
  }
  /// A string or a symbol.
  void PutText(std::string_view text);
  void PutNull();
  /// The last value again until there are `rows`; there is at least one.
  void Repeat(size_t rows);

  /// Views into this column, valid until it changes.
  [[nodiscard]] column::ColumnView View() const;

 private:
  void MarkValid() {
    if (has_nulls_) validity_[rows_ >> 3] |= std::byte{1} << (rows_ & 7);
    ++rows_;
  }
  uint32_t CodeOf(std::string_view text);

  column::Type type_;
  size_t capacity_;
  size_t width_;
  size_t rows_ = 0;
  bool has_nulls_ = false;
  std::vector<std::byte> values_;
  std::vector<std::byte> validity_;
  std::string text_;                    // strings
  std::deque<std::string> dictionary_;  // symbols; a deque, so that the views stay
  std::unordered_map<std::string_view, uint32_t> codes_;
  uint32_t last_code_ = 0;
};

}  // namespace proxist::client
