// Loads a CSV file into a table, so that a repeated import counts once.
#include "proxist/client/importer.h"

#include <atomic>
#include <deque>
#include <memory>
#include <utility>

#include <xxhash.h>

#include "proxist/base/check.h"
#include "proxist/client/client.h"
#include "proxist/client/row_mapper.h"

namespace proxist::client {
namespace {

constexpr size_t kBatchesInFlight = 16;

// Puts the file before what is wrong with its content; other errors name it already.
Status InFile(const std::string& file, const Status& status) {
  if (status.code() != absl::StatusCode::kInvalidArgument) return status;
  return InvalidArgument("{} {}", file, Message(status));
}

struct SentChunk {
  BatchNumber number;
  ChunkLines lines;
};

// The error of a write, with the lines of the first chunk that was not acked.
Status AtLines(const Status& status, const std::string& file, BatchNumber acked,
               const std::deque<SentChunk>& sent) {
  for (const SentChunk& chunk : sent) {
    if (chunk.number <= acked) continue;
    return Annotate(status, fmt::format("{} lines {}-{} (batch {})", file, chunk.lines.first,
                                        chunk.lines.last, chunk.number.value()));
  }
  return status;
}

}  // namespace

std::string ImportProducer(const column::TableSchema& schema, const FileSummary& file,
                           const ImportMap& map, uint64_t chunk_rows, uint64_t from_line) {
  const std::string identity =
      fmt::format("tenant={}:{} table={}:{} file={} chunk_rows={} from_line={}\n{}",
                  schema.tenant.size(), schema.tenant, schema.name.size(), schema.name, file.digest,
                  chunk_rows, from_line, CanonicalText(map));
  const XXH128_hash_t hash = XXH3_128bits(identity.data(), identity.size());
  return fmt::format("import-{:016x}{:016x}", hash.high64, hash.low64);
}

Status ReadChunks(const ImportOptions& options, const ImportMap& map,
                  const column::SchemaPtr& schema, uint64_t* content_bytes,
                  const std::function<Status(const column::Batch&, ChunkLines)>& take) {
  PX_ASSIGN_OR_RETURN(const std::unique_ptr<DataFile> file, DataFile::Open(options.file));
  const ByteSource source = [&](std::span<char> out) -> StatusOr<size_t> {
    PX_ASSIGN_OR_RETURN(const size_t got, file->Read(out));
    *content_bytes += got;
    return got;
  };
  PX_ASSIGN_OR_RETURN(const std::unique_ptr<RowMapper> mapper,
                      RowMapper::Create(map, schema, options.chunk_rows));
  CsvReader reader(source, map.csv);
  PX_RETURN_IF_ERROR(reader.SkipLines(map.skip_lines));
  CsvRecord record;
  bool header_due = map.header;
  ChunkLines lines;
  while (true) {
    StatusOr<bool> more = reader.Next(&record);
    if (!more.ok()) return InFile(options.file, more.status());
    if (!*more) break;
    if (header_due) {
      header_due = false;
      PX_RETURN_IF_ERROR(mapper->BindHeader(record));
      continue;
    }
    if (record.line < options.from_line) continue;
    if (mapper->rows() == 0) lines.first = record.line;
    lines.last = record.line;
    PX_RETURN_IF_ERROR(InFile(options.file, mapper->Add(record)));
    if (mapper->full()) PX_RETURN_IF_ERROR(take(mapper->Take(), lines));
  }
  if (header_due) {
    return InvalidArgument("{} is empty, but the map says 'header: true'", options.file);
  }
  return mapper->rows() > 0 ? take(mapper->Take(), lines) : OkStatus();
}

StatusOr<ImportSummary> RunImport(Client& client, const column::SchemaPtr& schema,
                                  const ImportMap& map, const ImportOptions& options) {
  if (options.chunk_rows == 0 || options.chunk_rows > kMaxChunkRows) {
    return InvalidArgument("{} rows a chunk, expected 1 to {}", options.chunk_rows, kMaxChunkRows);
  }
  PX_ASSIGN_OR_RETURN(const FileSummary file, Summarize(options.file));
  std::atomic<uint64_t> duplicates{0};
  WriteStreamOptions stream_options;
  stream_options.producer =
      ImportProducer(*schema, file, map, options.chunk_rows, options.from_line);
  stream_options.max_in_flight = kBatchesInFlight;
  stream_options.retry_for = options.retry_for;
  stream_options.on_ack = [&](const WriteAck& ack) { duplicates += ack.duplicate ? 1 : 0; };
  const std::unique_ptr<WriteStream> stream = client.OpenWriteStream(std::move(stream_options));

  ImportSummary summary;
  ImportProgress progress{.total_bytes = file.content_bytes};
  std::deque<SentChunk> sent;  // not acked, and some that are
  const auto send = [&](const column::Batch& batch, ChunkLines lines) -> Status {
    sent.push_back({BatchNumber(++summary.batches), lines});
    const Status status = stream->Send(batch);
    if (!status.ok()) return AtLines(status, options.file, stream->acked(), sent);
    while (sent.front().number < stream->acked()) sent.pop_front();
    summary.rows += batch.rows;
    progress.rows = summary.rows;
    if (options.on_progress) options.on_progress(progress);
    return OkStatus();
  };
  const Status read = ReadChunks(options, map, schema, &progress.content_bytes, send);
  // Chunks before a bad line are good: they are waited for before the line is reported.
  const Status finished = stream->Finish();
  PX_RETURN_IF_ERROR(read);
  if (!finished.ok()) return AtLines(finished, options.file, stream->acked(), sent);
  summary.duplicates = duplicates.load();
  return summary;
}

}  // namespace proxist::client
