// One embedded ClickHouse for all tests of this binary, and rows to fill it with.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxist/column/batch.h"
#include "proxist/history/embedded.h"
#include "proxist/history/history.h"

namespace proxist::history {

/// A fresh directory below the system's temporary one, removed with everything in it.
class ScratchDirectory {
 public:
  ScratchDirectory();
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// The launcher that the build made.
std::string LauncherPath();

/// Started at the first call; aborts with the reason when it can't be, since these tests prove
/// nothing without it. Stopped after the last test.
EmbeddedServer& SharedServer();

/// A table of its own for each test: `name`, its columns, series columns by index.
column::SchemaPtr MakeSchema(std::string name, std::vector<column::ColumnDef> columns,
                             std::vector<size_t> series = {},
                             column::SeqMode seq = column::SeqMode::kProducer);

/// 2013-10-09T00:00:00Z, the day most tests write to.
inline constexpr Timestamp kDayStart{1'381'276'800'000'000'000};

/// The intent for all rows of `sources` on the UTC day of kDayStart.
InsertIntent IntentFor(std::string token, const column::SchemaPtr& schema,
                       const std::vector<SourceBatch>& sources);

/// Everything of `symbols` in shard 0.
ReadRequest RequestFor(const column::SchemaPtr& schema, std::vector<std::string> symbols);

}  // namespace proxist::history
