// Reading a log without writing to it.
#include "proxist/wal/inspect.h"
#include "proxist/wal/internal/replay.h"
#include "proxist/wal/log.h"

namespace proxist::wal {

Status InspectLog(env::FileSystem* files, const std::string& directory, const LogVisitor& visitor,
                  ReplayReport* report) {
  return ReplayLog(files, directory, std::nullopt, visitor, report).status();
}

Status ReadLog(env::FileSystem* files, const std::string& directory,
               const std::function<Status(const LogRecord&)>& visit, ReplayReport* report) {
  return InspectLog(files, directory, {.record = visit}, report);
}

}  // namespace proxist::wal
