// Little-endian bytes: a bounded reader, an appending writer, and aligned buffers.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "proxist/base/status.h"

namespace proxist {

static_assert(std::endian::native == std::endian::little,
              "formats are little-endian, read in place");

using ByteSpan = std::span<const std::byte>;

inline ByteSpan AsBytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view AsText(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The `index`-th T of `bytes`, which need not be aligned. The caller keeps it in bounds.
template <typename T>
T LoadAt(const std::byte* bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes + index * sizeof(T), sizeof(T));
  return value;
}

/// Appends little-endian values to a byte vector that it does not own.
class ByteWriter {
 public:
  explicit ByteWriter(std::vector<std::byte>* out) : out_(out) {}
  template <typename T>
    requires std::is_arithmetic_v<T>
  void Put(T value) {
    Raw(&value, sizeof value);
  }
  /// uint32 length, then the bytes.
  void PutString(std::string_view text) {
    Put(static_cast<uint32_t>(text.size()));
    Raw(text.data(), text.size());
  }
  void PutBytes(ByteSpan bytes) { Raw(bytes.data(), bytes.size()); }
  /// Zero bytes until the size is a multiple of `alignment`.
  void PadTo(size_t alignment) {
    out_->resize((out_->size() + alignment - 1) / alignment * alignment);
  }
  [[nodiscard]] size_t size() const { return out_->size(); }

 private:
  void Raw(const void* data, size_t size) {
    if (size == 0) return;
    const size_t at = out_->size();
    out_->resize(at + size);
    std::memcpy(out_->data() + at, data, size);
  }
  std::vector<std::byte>* out_;
};

/// Reads little-endian values off a span; every read past the end is DATA_LOSS that names `what`.
class ByteReader {
 public:
  ByteReader(ByteSpan bytes, std::string_view what) : bytes_(bytes), what_(what) {}
  template <typename T>
    requires std::is_arithmetic_v<T>
  StatusOr<T> Get() {
    if (remaining() < sizeof(T)) return Short(sizeof(T));
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  StatusOr<ByteSpan> GetBytes(size_t size) {
    if (remaining() < size) return Short(size);
    ByteSpan out = bytes_.subspan(at_, size);
    at_ += size;
    return out;
  }
  StatusOr<std::string_view> GetString() {
    PX_ASSIGN_OR_RETURN(uint32_t size, Get<uint32_t>());
    PX_ASSIGN_OR_RETURN(ByteSpan bytes, GetBytes(size));
    return AsText(bytes);
  }
  /// Skips to a multiple of `alignment` from the start of the span.
  Status SkipTo(size_t alignment) {
    const size_t next = (at_ + alignment - 1) / alignment * alignment;
    if (next > bytes_.size()) return Short(next - at_);
    at_ = next;
    return OkStatus();
  }
  [[nodiscard]] size_t offset() const { return at_; }
  [[nodiscard]] size_t remaining() const { return bytes_.size() - at_; }

 private:
  [[nodiscard]] Status Short(size_t wanted) const {
    return DataLoss("{} ends at byte {}: {} more bytes expected, {} left", what_, at_, wanted,
                    remaining());
  }
  ByteSpan bytes_;
  std::string_view what_;
  size_t at_ = 0;
};

/// Zeroed memory of `size` bytes at `alignment`, freed by the unique_ptr.
struct AlignedDelete {
  void operator()(std::byte* p) const;
};
using AlignedBytes = std::unique_ptr<std::byte[], AlignedDelete>;
AlignedBytes AllocateAligned(size_t size, size_t alignment);
/// Memory of any content in huge pages, where the system has them: what a device reads from there
/// lies in one piece. Takes a multiple of kHugePageBytes at that alignment; none of it is touched.
constexpr size_t kHugePageBytes = size_t{2} << 20;
AlignedBytes AllocateInHugePages(size_t size);

/// XXH3-64 of `bytes`, seeded. Source: xxHash's XXH3 specification.
uint64_t Checksum(ByteSpan bytes, uint64_t seed = 0);

}  // namespace proxist
