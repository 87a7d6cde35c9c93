// Bytes that grow without being cleared.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <tuple>
#include <utility>

namespace proxist::exec::internal {

/// Like a vector of bytes, but new ones are not set, and a large buffer grows where it lies if the
/// system can. One thread.
class ByteBuffer {
 public:
  ByteBuffer() = default;
  ByteBuffer(const ByteBuffer& other) {
    if (other.size_ == 0) return;
    Grow(other.size_);
    std::memcpy(Resize(other.size_), other.data(), other.size_);
  }
  ByteBuffer(ByteBuffer&& other) noexcept
      : data_(std::move(other.data_)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  ByteBuffer& operator=(ByteBuffer other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }
  ~ByteBuffer() = default;

  [[nodiscard]] const std::byte* data() const { return data_.get(); }
  [[nodiscard]] std::byte* data() { return data_.get(); }
  [[nodiscard]] size_t size() const { return size_; }
  void Reserve(size_t bytes) {
    if (bytes > capacity_) Grow(bytes);
  }
  /// Bytes past the old size are not set. Returns where these begin.
  std::byte* Resize(size_t bytes) {
    if (bytes > capacity_) Grow(std::max(bytes, 2 * capacity_));
    return data_.get() + std::exchange(size_, bytes);
  }

 private:
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }  // NOLINT: of realloc
  };
  void Grow(size_t bytes) {
    auto* grown = static_cast<std::byte*>(std::realloc(data_.get(), bytes));  // NOLINT: see above
    if (grown == nullptr) throw std::bad_alloc();
    std::ignore = data_.release();
    data_.reset(grown);
    capacity_ = bytes;
  }

  std::unique_ptr<std::byte[], Free> data_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace proxist::exec::internal
