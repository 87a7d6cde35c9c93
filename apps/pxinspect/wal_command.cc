// pxinspect wal: prints and verifies logs.
#include "wal_command.h"

#include <algorithm>
#include <cstdio>
#include <vector>

#include "data_directory.h"
#include "proxist/env/file_system.h"
#include "proxist/shard/record.h"
#include "proxist/wal/inspect.h"

namespace proxist::pxinspect {
namespace {

/// `text` as a JSON string with its quotes.
std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

/// "5..9", or "none after 4" for records without rows.
std::string LsnRange(Lsn first, Lsn last) {
  if (last < first) return fmt::format("none after {}", last.value());
  return fmt::format("{}..{}", first.value(), last.value());
}

/// Prints one log as it is walked.
class LogPrinter {
 public:
  LogPrinter(const WalOptions& options, std::string directory)
      : options_(options), directory_(std::move(directory)) {}

  Status Run() {
    wal::LogVisitor visitor{
        .segment = [this](const wal::SegmentInfo& segment) { return PrintSegment(segment); },
        .frame = {},
        .record = {}};
    if (options_.records) {
      visitor.frame = [this](const wal::FrameInfo& frame) { return PrintFrame(frame); };
      visitor.record = [this](const wal::LogRecord& record) { return PrintRecord(record); };
    }
    const Status status =
        wal::InspectLog(&env::PosixFileSystem(), directory_, visitor, &report_, options_.keys);
    PrintSummary(status);
    return status;
  }

 private:
  [[nodiscard]] Status PrintSegment(const wal::SegmentInfo& segment) {
    ++segments_;
    if (options_.json) {
      fmt::print(R"({{"type":"segment","file":{},"number":{},"incarnation":"{:016x}","shard":{},)"
                 R"("epoch":{},"bytes":{},"recycled":{},"key":{}}})"
                 "\n",
                 Quoted(segment.path), segment.number, segment.incarnation, segment.shard.value(),
                 segment.epoch.value(), segment.segment_bytes, segment.recycled,
                 segment.key.value());
    } else {
      fmt::print("segment {}: incarnation {:016x}, shard {}, epoch {}, {} bytes{}{}\n",
                 segment.path, segment.incarnation, segment.shard.value(), segment.epoch.value(),
                 segment.segment_bytes, segment.recycled ? ", in a recycled file" : "",
                 segment.key == KeyId(0)
                     ? ""
                     : fmt::format(", encrypted under key {}", segment.key.value()));
    }
    return OkStatus();
  }

  [[nodiscard]] Status PrintFrame(const wal::FrameInfo& frame) const {
    if (options_.json) {
      fmt::print(R"({{"type":"frame","segment":{},"offset":{},"bytes":{},"records":{},"epoch":{},)"
                 R"("first_lsn":{},"last_lsn":{},"durable":{}}})"
                 "\n",
                 frame.segment, frame.offset, frame.bytes, frame.records, frame.epoch.value(),
                 frame.first.value(), frame.last.value(), frame.durable);
    } else {
      fmt::print("  frame at {}: {} bytes, {} records, epoch {}, LSNs {}\n", frame.offset,
                 frame.bytes, frame.records, frame.epoch.value(),
                 LsnRange(frame.first, frame.last));
    }
    return OkStatus();
  }

  [[nodiscard]] Status PrintRecord(const wal::LogRecord& record) const {
    if (options_.json) {
      fmt::print(R"({{"type":"record","segment":{},"offset":{},"epoch":{},"first_lsn":{},)"
                 R"("last_lsn":{},"bytes":{},"batch":{}}})"
                 "\n",
                 record.segment, record.frame_offset, record.epoch.value(), record.first.value(),
                 record.last.value(), record.payload.size(), BatchOf(record));
    } else {
      fmt::print("    record: epoch {}, LSNs {}, {} bytes, {}\n", record.epoch.value(),
                 LsnRange(record.first, record.last), record.payload.size(), BatchOf(record));
    }
    return OkStatus();
  }

  /// What a shard wrote into the record.
  [[nodiscard]] std::string BatchOf(const wal::LogRecord& record) const {
    const auto decoded = shard::DecodeRecord(record.payload);
    if (!decoded.ok()) {
      return options_.json ? "null" : fmt::format("no batch: {}", Message(decoded.status()));
    }
    const shard::RecordHeader& header = decoded->header;
    const uint64_t rows = record.last.value() - record.first.value() + 1;
    if (options_.json) {
      return fmt::format(R"({{"tenant":{},"table_id":{},"schema_version":{},"producer":{},)"
                         R"("batch_number":{},"rows":{},"published":{}}})",
                         Quoted(header.tenant), header.table.value(), header.schema_version.value(),
                         Quoted(header.producer), header.number.value(), rows,
                         Quoted(FormatIso8601(header.server_time)));
    }
    const std::string from =
        header.producer.empty()
            ? "no producer"
            : fmt::format("producer {} batch {}", Quoted(header.producer), header.number.value());
    return fmt::format("{} rows of table id {} version {} in tenant {}, {}, at {}", rows,
                       header.table.value(), header.schema_version.value(), header.tenant, from,
                       FormatIso8601(header.server_time));
  }

  void PrintSummary(const Status& status) const {
    if (options_.json) {
      const std::string torn = report_.torn_tail
                                   ? fmt::format(R"({{"segment":{},"offset":{}}})",
                                                 report_.torn_segment, report_.torn_offset)
                                   : "null";
      fmt::print(R"({{"type":"log","directory":{},"segments":{},"frames":{},"records":{},)"
                 R"("bytes":{},"last_lsn":{},"torn_tail":{},"error":{}}})"
                 "\n",
                 Quoted(directory_), segments_, report_.frames, report_.records, report_.bytes,
                 report_.last.value(), torn, status.ok() ? "null" : Quoted(Message(status)));
      return;
    }
    fmt::print("log {}: {} segments, {} frames, {} records, {} bytes, last LSN {}\n", directory_,
               segments_, report_.frames, report_.records, report_.bytes, report_.last.value());
    if (report_.durable_segment != 0) {
      fmt::print("watermark: segment {:016x} at offset {}\n", report_.durable_segment,
                 report_.durable_offset);
    }
    if (report_.torn_tail) {
      fmt::print("torn tail: segment {:016x} at offset {}: {}; the server cuts it when it starts\n",
                 report_.torn_segment, report_.torn_offset, report_.torn_why);
    }
    if (status.ok()) fmt::print("{}\n", "whole");
  }

  const WalOptions& options_;
  const std::string directory_;
  wal::ReplayReport report_;
  uint64_t segments_ = 0;
};

}  // namespace

Status InspectWal(const WalOptions& options) {
  PX_ASSIGN_OR_RETURN(const std::vector<std::string> logs, FindLogs(options.directory));
  Status first_error;
  for (const std::string& log : logs) {
    const Status status = LogPrinter(options, log).Run();
    if (first_error.ok()) first_error = status;
  }
  return first_error;
}

}  // namespace proxist::pxinspect
