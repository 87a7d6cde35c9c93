// pxinspect wal: prints and verifies logs.
#pragma once

#include <string>

#include "proxist/base/status.h"
#include "proxist/env/cipher.h"

namespace proxist::pxinspect {

struct WalOptions {
  std::string directory;  // a data directory or one log's
  bool records = false;   // also each frame and record
  bool json = false;      // one JSON object a line
  env::Keyring* keys = nullptr;
};

/// Prints to stdout. The first error in any log, after all logs were looked at; NOT_FOUND when
/// there is none.
Status InspectWal(const WalOptions& options);

}  // namespace proxist::pxinspect
