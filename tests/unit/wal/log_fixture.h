// What the log's tests share: small logs with known records.
#pragma once

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/wal/log.h"
#include "tests/unit/wal/memory_file_system.h"

namespace proxist::wal {

/// A record as it was added or replayed.
struct KnownRecord {
  std::string payload;
  uint64_t first = 0;
  uint64_t last = 0;
  uint32_t epoch = 1;
  bool operator==(const KnownRecord&) const = default;
};

inline void PrintTo(const KnownRecord& record, std::ostream* out) {
  *out << record.payload.size() << " bytes, LSN " << record.first << ".." << record.last
       << ", epoch " << record.epoch;
}

inline LogOptions SmallLog() {
  LogOptions options;
  options.directory = "log";
  options.segment_bytes = 64 << 10;
  options.incarnation = 0x1122334455667788;
  options.shard = ShardId(3);
  options.epoch = Epoch(1);
  options.prepare_next = false;
  options.read_ahead = false;
  return options;
}

/// A payload that differs for each `lsn`.
inline std::string Payload(uint64_t lsn, size_t size) {
  std::string text(size, '\0');
  uint64_t state = lsn * 0x9e3779b97f4a7c15 + 1;
  for (char& c : text) {
    state = state * 6364136223846793005 + 1442695040888963407;
    c = static_cast<char>(state >> 56);
  }
  return text;
}

inline KnownRecord MakeRecord(uint64_t first, uint64_t rows, size_t bytes, uint32_t epoch = 1) {
  return {Payload(first, bytes), first, first + rows - 1, epoch};
}

inline Status Add(Log* log, const KnownRecord& record) {
  return log->AddRecord(AsBytes(record.payload), Lsn(record.first), Lsn(record.last));
}

/// Adds, submits and waits for one frame with one record.
inline Status Append(Log* log, const KnownRecord& record, FrameLevel level = FrameLevel::kSynced) {
  PX_RETURN_IF_ERROR(Add(log, record));
  PX_RETURN_IF_ERROR(log->Submit(level));
  return log->Wait();
}

/// What opening a log gave.
struct Opened {
  Status status;
  std::unique_ptr<Log> log;
  std::vector<KnownRecord> records;
  ReplayReport report;
};

inline std::function<Status(const LogRecord&)> Collect(std::vector<KnownRecord>* out) {
  return [out](const LogRecord& record) {
    out->push_back({std::string(AsText(record.payload)), record.first.value(), record.last.value(),
                    record.epoch.value()});
    return OkStatus();
  };
}

inline Opened OpenLog(env::FileSystem* files, const LogOptions& options) {
  Opened opened;
  StatusOr<std::unique_ptr<Log>> log =
      Log::Open(files, options, Collect(&opened.records), &opened.report);
  opened.status = log.status();
  if (log.ok()) opened.log = std::move(*log);
  return opened;
}

/// The same through ReadLog, which writes nothing.
inline Opened ReadAll(env::FileSystem* files, const std::string& directory) {
  Opened read;
  read.status = ReadLog(files, directory, Collect(&read.records), &read.report);
  return read;
}

}  // namespace proxist::wal
