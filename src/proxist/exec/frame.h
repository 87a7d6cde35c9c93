// Resolved rows as columns: what operators read and what queries return.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/column/dictionary.h"
#include "proxist/column/type.h"
#include "proxist/exec/internal/byte_buffer.h"

namespace proxist::exec {

/// Strings of one query: codes of the shard's dictionary as they stood at the query's cut, and
/// codes of its own for strings that only history or the query text holds. Two codes of one Symbols
/// are equal exactly when their strings are. One thread.
class Symbols {
 public:
  static constexpr uint32_t kLocalBit = 1u << 31;
  /// `base` may be null; it outlives this. Codes at or above its size now are not looked up.
  explicit Symbols(const column::Dictionary* base);
  /// The code of `text`: the shard's if it has one, else a local one, added when new.
  uint32_t Code(std::string_view text);
  [[nodiscard]] std::string_view Text(uint32_t code) const;
  /// False when the shard gave the code later.
  [[nodiscard]] bool Knows(uint32_t code) const {
    return (code & kLocalBit) != 0 || code < base_size_;
  }

 private:
  const column::Dictionary* base_;
  uint32_t base_size_;
  struct Local;
  std::shared_ptr<Local> local_;
};

/// One column of n values in their native width, owned. Symbol: uint32 codes of the query's
/// Symbols. String: std::string_view into memory that the frame keeps alive. Bool: one byte.
class Column {
 public:
  Column() = default;
  explicit Column(column::Type type) : type_(type) {}

  [[nodiscard]] column::Type type() const { return type_; }
  [[nodiscard]] size_t rows() const { return rows_; }
  /// Bytes of one value here: WidthOf, or sizeof(std::string_view) for strings.
  [[nodiscard]] size_t stride() const;

  /// Makes room for `n` values in all, so that growing up to there moves nothing.
  void Reserve(size_t n) { bytes_.Reserve(n * stride()); }
  /// Grows by `n` values, zeroed and valid; returns the first new value's address.
  std::byte* Extend(size_t n);
  /// The same, but the values are not set: the caller sets all of them, those of nulls to zero.
  std::byte* ExtendUnset(size_t n);
  void SetNull(size_t row);
  void SetValid(size_t row);
  [[nodiscard]] bool IsValid(size_t row) const {
    return validity_.empty() || ((validity_[row >> 6] >> (row & 63)) & 1) != 0;
  }
  [[nodiscard]] bool has_nulls() const { return !validity_.empty(); }
  template <typename T>
  [[nodiscard]] const T* data() const {
    return reinterpret_cast<const T*>(bytes_.data());
  }
  template <typename T>
  [[nodiscard]] T* data() {
    return reinterpret_cast<T*>(bytes_.data());
  }
  template <typename T>
  void Append(T value) {
    *reinterpret_cast<T*>(Extend(1)) = value;
  }
  void AppendNull();
  /// Appends other[rows[i]] for each i; a negative index appends a null. Same type.
  void AppendGather(const Column& other, const int64_t* rows, size_t n);
  void AppendRange(const Column& other, size_t begin, size_t end);

 private:
  column::Type type_;
  size_t rows_ = 0;
  internal::ByteBuffer bytes_;
  std::vector<uint64_t> validity_;  // empty: all valid
};

/// Rows of one symbol, sorted by (ts, seq, series values), no key twice, no cancelled row.
struct Frame {
  std::vector<int64_t> ts;
  std::vector<uint64_t> seq;
  std::vector<Column> columns;  // the columns that the plan asked for, in its order
  std::vector<std::shared_ptr<const void>> keepalive;  // of string bytes

  [[nodiscard]] size_t rows() const { return ts.size(); }
};

/// A column of a result, with the name that the caller sees.
struct NamedColumn {
  std::string name;
  Column column;
};

}  // namespace proxist::exec
