// pxinspect verify: is a whole data directory what it should be?
#pragma once

#include <string>

#include "proxist/base/status.h"
#include "proxist/env/cipher.h"

namespace proxist::pxinspect {

/// Checks the metadata, every shard's log to the last value of each record, and every shard's
/// snapshots with the chunks that they refer to, and prints what it looked at. The first error
/// names file and offset where there is one. Writes nothing. The server must not run.
Status Verify(const std::string& directory, env::Keyring* keys);

}  // namespace proxist::pxinspect
