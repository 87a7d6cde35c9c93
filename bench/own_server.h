// A proxistd that lives as long as one measurement.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "bench/temporary_directory.h"
#include "proxist/base/status.h"

namespace proxist::bench {

/// Starts the proxistd that lies beside this executable on free ports over a new temporary
/// directory; stops it and removes the directory when destroyed. Also ends when this process does.
class OwnServer {
 public:
  /// `history`: as the option of proxistd; `options`: further ones, as on its command line.
  /// `parent`: where the temporary directory is made.
  static StatusOr<std::unique_ptr<OwnServer>> Start(const std::string& parent,
                                                    const std::string& history,
                                                    const std::vector<std::string>& options = {});
  ~OwnServer();
  OwnServer(const OwnServer&) = delete;
  OwnServer& operator=(const OwnServer&) = delete;
  /// "127.0.0.1:PORT" of the gRPC interface.
  [[nodiscard]] const std::string& address() const { return address_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] std::string data_directory() const { return directory_.path() + "/data"; }

 private:
  OwnServer(TemporaryDirectory directory, pid_t pid, std::string address)
      : directory_(std::move(directory)), pid_(pid), address_(std::move(address)) {}
  TemporaryDirectory directory_;
  pid_t pid_;
  std::string address_;
};

}  // namespace proxist::bench
