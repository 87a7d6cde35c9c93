// Replays a log on two threads: one reads, checks and decrypts, the caller's applies.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "proxist/wal/internal/replay.h"

namespace proxist::wal {

/// ReplayLog with the same outcome: `apply` is called on this thread, in order, while a thread of
/// its own is at most kAheadBytes of records ahead. An error of `apply` ends both and is returned.
StatusOr<LogState> ReplayAhead(env::FileSystem* files, const std::string& directory,
                               std::optional<LogIdentity> identity, env::Keyring* keys,
                               const std::function<Status(const LogRecord&)>& apply,
                               ReplayReport* report);

inline constexpr uint64_t kAheadBytes = uint64_t{32} << 20;

}  // namespace proxist::wal
