// Loads a CSV file into a table, so that a repeated import counts once.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/client/data_file.h"
#include "proxist/client/import_map.h"
#include "proxist/client/write_stream.h"
#include "proxist/column/batch.h"
#include "proxist/column/schema.h"

namespace proxist::client {

class Client;

inline constexpr uint64_t kDefaultChunkRows = 10'000;
inline constexpr uint64_t kMaxChunkRows = 1'000'000;

struct ImportProgress {
  uint64_t rows = 0;           // sent
  uint64_t content_bytes = 0;  // read of the file's content
  uint64_t total_bytes = 0;    // of the file's content
};

struct ImportOptions {
  std::string file;
  uint64_t chunk_rows = kDefaultChunkRows;  // 1..kMaxChunkRows
  uint64_t from_line = 1;                   // records that start before it are passed over
  Duration retry_for = Duration::Seconds(60);
  std::function<void(const ImportProgress&)> on_progress;  // after each chunk; may be empty
};

struct ImportSummary {
  uint64_t rows = 0;
  uint64_t batches = 0;
  uint64_t duplicates = 0;  // batches that the server had already
};

/// "import-" and 32 hex digits: the same for the same table, file content, map and chunking, so
/// that a repeated import sends the same batches under the same numbers.
std::string ImportProducer(const column::TableSchema& schema, const FileSummary& file,
                           const ImportMap& map, uint64_t chunk_rows, uint64_t from_line);

/// Where a chunk of a file lies.
struct ChunkLines {
  uint64_t first = 0;
  uint64_t last = 0;
};

/// Reads the file's records from `options.from_line` on and hands on chunk after chunk, in order.
/// Stops at the first error, its own ("FILE line N, column M (name): reason") or `take`'s; chunks
/// before it have been taken, and rows of the chunk in which it lies are not.
Status ReadChunks(const ImportOptions& options, const ImportMap& map,
                  const column::SchemaPtr& schema, uint64_t* content_bytes,
                  const std::function<Status(const column::Batch&, ChunkLines)>& take);

/// Imports through `client` into `schema`'s table. Errors: as ReadChunks, Summarize and
/// WriteStream; a batch that the server refuses is named by its lines.
StatusOr<ImportSummary> RunImport(Client& client, const column::SchemaPtr& schema,
                                  const ImportMap& map, const ImportOptions& options);

}  // namespace proxist::client
