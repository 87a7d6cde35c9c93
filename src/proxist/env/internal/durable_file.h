// Preallocated files that are overwritten durably, one write at a time.
#pragma once

#include <memory>
#include <string>

#include "proxist/env/file_system.h"

namespace proxist::env {

/// FileSystem::OpenDurable on the host's files.
StatusOr<std::unique_ptr<DurableFile>> OpenDurablePosixFile(const std::string& path, uint64_t size);

/// FileSystem::AwaitWrites on the host's files.
Status AwaitWritesToPosixFile(const std::string& path);

}  // namespace proxist::env
