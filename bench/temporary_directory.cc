#include "bench/temporary_directory.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace proxist::bench {

StatusOr<TemporaryDirectory> TemporaryDirectory::Make(const std::string& parent) {
  std::error_code error;
  std::filesystem::create_directories(parent, error);
  std::string path = parent + "/proxist-bench-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) {
    return Unavailable("cannot make a directory under {}: {}", parent, std::strerror(errno));
  }
  return TemporaryDirectory(std::move(path));
}

TemporaryDirectory::~TemporaryDirectory() {
  if (path_.empty()) return;
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

}  // namespace proxist::bench
