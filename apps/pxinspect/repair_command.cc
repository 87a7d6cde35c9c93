// pxinspect repair: cuts a log off.
#include "repair_command.h"

#include <charconv>

#include "proxist/env/file_system.h"
#include "proxist/wal/repair.h"

namespace proxist::pxinspect {
namespace {

bool ParseNumber(std::string_view text, int base, uint64_t* number) {
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, *number, base);
  return error == std::errc() && rest == end && !text.empty();
}

}  // namespace

Status Repair(const RepairOptions& options) {
  const std::string_view place = options.truncate_at;
  const size_t colon = place.find(':');
  uint64_t segment = 0;
  uint64_t offset = 0;
  if (colon == std::string_view::npos || !ParseNumber(place.substr(0, colon), 16, &segment) ||
      !ParseNumber(place.substr(colon + 1), 10, &offset)) {
    return InvalidArgument(
        "--truncate-at '{}': expected SEGMENT:OFFSET, as in 000000000000001f:8192", place);
  }
  env::FileSystem& files = env::PosixFileSystem();
  PX_ASSIGN_OR_RETURN(const wal::CutPlan plan,
                      wal::PlanCut(&files, options.directory, segment, offset));
  fmt::print("keeps {} frames up to LSN {}\n", plan.frames_kept, plan.last.value());
  fmt::print("gives up {} bytes of {:016x}.wal from offset {} on\n", plan.clear_bytes, segment,
             offset);
  for (const uint64_t number : plan.aside) {
    fmt::print("moves {:016x}.wal to {:016x}.wal.cut\n", number, number);
  }
  if (!options.write) {
    fmt::print("{}\n", "nothing was changed; --write does it");
    return OkStatus();
  }
  // DIR/wal/<shard>: a server on DIR holds its lock.
  const std::string lock_path = options.directory + "/../../LOCK";
  PX_ASSIGN_OR_RETURN(const bool in_data_directory, files.Exists(lock_path));
  std::unique_ptr<env::FileLock> lock;
  if (in_data_directory) {
    PX_ASSIGN_OR_RETURN(lock, files.Lock(lock_path));
  }
  PX_RETURN_IF_ERROR(wal::Cut(&files, plan));
  fmt::print("{}\n", "done");
  return OkStatus();
}

}  // namespace proxist::pxinspect
