// What figures were measured on.
#pragma once

#include <string>

namespace proxist::bench {

struct Machine {
  std::string kernel;       // "Linux 6.1.0"
  std::string file_system;  // "ext4"
  std::string device;       // "/dev/vda"; what stands under it is the host's secret
  unsigned processors = 0;
};

/// Of the disk that holds `directory`. Unknown parts are "unknown".
Machine DescribeMachine(const std::string& directory);

}  // namespace proxist::bench
