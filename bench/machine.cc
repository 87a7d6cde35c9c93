#include "bench/machine.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <sys/utsname.h>

namespace proxist::bench {

Machine DescribeMachine(const std::string& directory) {
  Machine machine{"unknown", "unknown", "unknown", std::thread::hardware_concurrency()};
  utsname names{};
  if (uname(&names) == 0) machine.kernel = std::string(names.sysname) + " " + names.release;
  std::error_code error;
  const std::string path = std::filesystem::canonical(directory, error).string();
  // The mount whose point is the longest prefix of the path; its line names device and type.
  std::ifstream mounts("/proc/self/mounts");
  size_t longest = 0;
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string device, point, type;
    fields >> device >> point >> type;
    if (!path.starts_with(point) || point.size() < longest) continue;
    longest = point.size();
    machine.device = device;
    machine.file_system = type;
  }
  return machine;
}

}  // namespace proxist::bench
