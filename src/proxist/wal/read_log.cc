// Reading a log without writing to it.
#include "proxist/wal/inspect.h"
#include "proxist/wal/internal/replay.h"
#include "proxist/wal/log.h"

namespace proxist::wal {

Status InspectLog(env::FileSystem* files, const std::string& directory, const LogVisitor& visitor,
                  ReplayReport* report, env::Keyring* keys) {
  return ReplayLog(files, directory, std::nullopt, keys, visitor, report).status();
}

Status ReadLog(env::FileSystem* files, const std::string& directory,
               const std::function<Status(const LogRecord&)>& visit, ReplayReport* report,
               env::Keyring* keys) {
  return InspectLog(files, directory, {.record = visit}, report, keys);
}

}  // namespace proxist::wal
