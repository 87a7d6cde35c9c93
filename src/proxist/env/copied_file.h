// A MappedFile that is a copy: for file systems that keep their files in memory.
#pragma once

#include <cstring>
#include <memory>

#include "proxist/base/bytes.h"
#include "proxist/env/file_system.h"

namespace proxist::env {

class CopiedFile final : public MappedFile {
 public:
  explicit CopiedFile(ByteSpan bytes)
      : size_(bytes.size()), copy_(AllocateAligned(bytes.size(), kBlockBytes)) {
    if (size_ > 0) std::memcpy(copy_.get(), bytes.data(), size_);
  }
  [[nodiscard]] ByteSpan bytes() const override { return {copy_.get(), size_}; }
  void Release() const override {}

 private:
  const size_t size_;
  const AlignedBytes copy_;
};

}  // namespace proxist::env
