// pxinspect repair: cuts a log off.
#pragma once

#include <string>

#include "proxist/base/status.h"

namespace proxist::pxinspect {

struct RepairOptions {
  std::string directory;    // of one log
  std::string truncate_at;  // SEGMENT:OFFSET, the segment as in its file's name
  bool write = false;       // else it only says what it would do
};

/// Prints what is kept and what is given up; does it with `write`, when no server holds the data
/// directory.
Status Repair(const RepairOptions& options);

}  // namespace proxist::pxinspect
