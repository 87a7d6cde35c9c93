// Is each of a shard's snapshots what recovery would take?
#pragma once

#include <string>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/env/cipher.h"
#include "proxist/hot/chunk_file.h"

namespace proxist::pxinspect {

/// Reads every snapshot in `directory`, the newest first, with each block that it holds or refers
/// to in a chunk file, and prints a line for each. `newest`: the cut of the newest one that is
/// whole; 0: there is none. Returns the first error, after looking at all: DATA_LOSS names file and
/// offset, FAILED_PRECONDITION a file of another shard.
Status VerifySnapshots(const std::string& directory, const hot::FileIdentity& identity,
                       env::Keyring* keys, Lsn* newest);

}  // namespace proxist::pxinspect
