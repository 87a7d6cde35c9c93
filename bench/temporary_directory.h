// A directory that lives as long as one measurement.
#pragma once

#include <string>
#include <utility>

#include "proxist/base/status.h"

namespace proxist::bench {

/// Removed with all it holds when destroyed.
class TemporaryDirectory {
 public:
  /// A new directory under `parent`, which is created when it is missing. Errors name it.
  static StatusOr<TemporaryDirectory> Make(const std::string& parent);
  TemporaryDirectory() = default;
  ~TemporaryDirectory();
  TemporaryDirectory(TemporaryDirectory&& other) noexcept
      : path_(std::exchange(other.path_, std::string())) {}
  TemporaryDirectory& operator=(TemporaryDirectory&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  explicit TemporaryDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;  // empty: none
};

}  // namespace proxist::bench
