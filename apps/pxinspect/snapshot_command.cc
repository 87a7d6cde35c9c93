#include "snapshot_command.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <vector>

#include <nlohmann/json.hpp>

#include "proxist/env/file_system.h"
#include "proxist/hot/chunk_file.h"
#include "proxist/shard/snapshot_file.h"

namespace proxist::pxinspect {
namespace {

using Json = nlohmann::ordered_json;

void Print(const Json& json) {
  fmt::print("{}\n", json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

Json TimeJson(Timestamp ts) {
  return ts == Timestamp::Min() ? Json(nullptr) : Json(FormatIso8601(ts));
}

bool IsSnapshot(const std::string& name) { return shard::ParseSnapshotFileName(name).has_value(); }
bool IsChunkFile(const std::string& name) { return hot::ParseChunkFileName(name).has_value(); }

/// Paths of the files in `directory`, or below its snapshots/, whose names `wanted` takes.
StatusOr<std::vector<std::string>> FindFiles(const std::string& directory,
                                             const std::function<bool(const std::string&)>& wanted,
                                             std::string_view what) {
  env::FileSystem& files = env::PosixFileSystem();
  std::vector<std::string> directories{directory};
  PX_RETURN_IF_ERROR(files.List(directory).status());
  const auto shards = files.List(directory + "/snapshots");
  for (const std::string& name : shards.ok() ? *shards : std::vector<std::string>()) {
    directories.push_back(directory + "/snapshots/" + name);
  }
  std::vector<std::string> paths;
  for (const std::string& one : directories) {
    const auto names = files.List(one);
    for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
      if (wanted(name)) paths.push_back(one + "/" + name);
    }
  }
  if (!paths.empty()) return paths;
  return NotFound("{}: holds no {}: expected them there, or in snapshots/<shard>/ of it", directory,
                  what);
}

/// One snapshot as a summary and, when asked for, its series.
class SnapshotPrinter {
 public:
  SnapshotPrinter(const SnapshotOptions& options, std::string path)
      : options_(options), path_(std::move(path)) {}

  Status Run() {
    shard::SnapshotVisitor visitor;
    visitor.header = [this](const auto& header) { return TakeHeader(header); };
    visitor.state = [this](const shard::SnapshotState& state) {
      summary_["persisted_lsn"] = state.persisted.value();
      return OkStatus();
    };
    visitor.strings = [this](auto strings) {
      for (const std::string_view text : strings) strings_.emplace_back(text);
      return OkStatus();
    };
    visitor.table = [this](const shard::SnapshotTable& table) {
      summary_["tables"].push_back({{"id", table.schema.id.value()},
                                    {"tenant", table.schema.tenant},
                                    {"name", table.schema.name},
                                    {"version", table.schema.version.value()},
                                    {"max_ts", TimeJson(table.max_ts)}});
      return OkStatus();
    };
    visitor.series = [this](const hot::StoredSeries& series) { return TakeSeries(series); };
    visitor.producer = [this](const auto&) { return Count(&producers_); };
    visitor.batch = [this](const auto&) { return Count(&batches_); };
    visitor.file = [this](const shard::FileUse& use) {
      summary_["files"].push_back({{"name", hot::ChunkFileName(use.file)},
                                   {"bytes", use.bytes},
                                   {"live_bytes", use.live_bytes},
                                   {"live_chunks", use.live_chunks}});
      return OkStatus();
    };
    const Status status =
        shard::ReadSnapshot(&env::PosixFileSystem(), path_, std::nullopt, visitor, options_.keys);
    PrintSummary(status);
    return status;
  }

 private:
  static Status Count(uint64_t* counter) {
    ++*counter;
    return OkStatus();
  }

  Status TakeHeader(const shard::SnapshotHeader& header) {
    summary_["incarnation"] = fmt::format("{:016x}", header.identity.incarnation);
    summary_["shard"] = header.identity.shard.value();
    summary_["epoch"] = header.epoch.value();
    summary_["key"] = header.key.value();
    summary_["cut_lsn"] = header.cut.value();
    summary_["taken"] = TimeJson(header.taken);
    return OkStatus();
  }

  StatusOr<uint64_t> RowsOf(ByteSpan block) const {
    if (block.empty()) return uint64_t{0};
    PX_ASSIGN_OR_RETURN(const hot::BlockSummary summary, hot::DescribeBlock(block));
    return uint64_t{summary.rows};
  }

  Status TakeSeries(const hot::StoredSeries& series) {
    uint64_t sealed = 0;
    for (const hot::StoredChunk& chunk : series.chunks) sealed += chunk.rows;
    PX_ASSIGN_OR_RETURN(const uint64_t tail, RowsOf(series.tail));
    PX_ASSIGN_OR_RETURN(const uint64_t overlay, RowsOf(series.overlay));
    PX_RETURN_IF_ERROR(RowsOf(series.boundary_rows).status());
    ++series_;
    chunks_ += series.chunks.size();
    rows_ += sealed + tail + overlay;
    if (!options_.details) return OkStatus();
    Json names = Json::array();
    for (const uint32_t code : series.codes) {
      names.push_back(code < strings_.size() ? Json(strings_[code]) : Json(code));
    }
    Print({{"type", "series"},
           {"table", series.table.value()},
           {"symbol", names[0]},
           {"values", names},
           {"floor", TimeJson(series.floor)},
           {"chunks", series.chunks.size()},
           {"sealed_rows", sealed},
           {"tail_rows", tail},
           {"overlay_rows", overlay}});
    return OkStatus();
  }

  void PrintSummary(const Status& status) {
    Json out = {{"type", "snapshot"}, {"path", path_}};
    out.update(summary_);
    out["strings"] = strings_.size();
    out["series"] = series_;
    out["chunks"] = chunks_;
    out["rows"] = rows_;
    out["producers"] = producers_;
    out["unpersisted_batches"] = batches_;
    out["error"] = status.ok() ? Json(nullptr) : Json(std::string(Message(status)));
    if (options_.json) return Print(out);
    fmt::print(
        "snapshot {}: shard {}, epoch {}, cut LSN {}, persisted LSN {}, taken {}\n", path_,
        out.value("shard", 0), out.value("epoch", 0), out.value("cut_lsn", uint64_t{0}),
        out.value("persisted_lsn", uint64_t{0}),
        out.contains("taken") && out["taken"].is_string() ? out["taken"].get<std::string>() : "?");
    fmt::print("  {} series, {} sealed chunks, {} rows, {} producers, {} unpersisted batches\n",
               series_, chunks_, rows_, producers_, batches_);
    for (const Json& file : summary_["files"]) {
      fmt::print("  {}: {} of {} bytes in use, {} chunks\n", file["name"].get<std::string>(),
                 file["live_bytes"].get<uint64_t>(), file["bytes"].get<uint64_t>(),
                 file["live_chunks"].get<uint64_t>());
    }
    if (status.ok()) fmt::print("{}\n", "whole");
  }

  const SnapshotOptions& options_;
  const std::string path_;
  Json summary_ = {{"tables", Json::array()}, {"files", Json::array()}};
  std::vector<std::string> strings_;
  uint64_t series_ = 0;
  uint64_t chunks_ = 0;
  uint64_t rows_ = 0;
  uint64_t producers_ = 0;
  uint64_t batches_ = 0;
};

Status InspectChunkFile(const SnapshotOptions& options, const std::string& path) {
  uint64_t chunks = 0;
  uint64_t rows = 0;
  const auto visit = [&](uint64_t offset, uint64_t bytes, const hot::BlockSummary& block) {
    ++chunks;
    rows += block.rows;
    if (options.details) {
      Print({{"type", "chunk"},
             {"offset", offset},
             {"bytes", bytes},
             {"id", block.id},
             {"rows", block.rows},
             {"columns", block.columns},
             {"first_ts", TimeJson(block.first)},
             {"last_ts", TimeJson(block.last)},
             {"min_lsn", block.min_lsn.value()},
             {"max_lsn", block.max_lsn.value()}});
    }
    return OkStatus();
  };
  auto reader =
      hot::ChunkFileReader::Open(&env::PosixFileSystem(), path, std::nullopt, options.keys);
  const Status status = reader.ok() ? (*reader)->Visit(visit) : reader.status();
  const uint64_t bytes = reader.ok() ? (*reader)->bytes() : 0;
  if (options.json) {
    Print({{"type", "chunk_file"},
           {"path", path},
           {"bytes", bytes},
           {"key", reader.ok() ? (*reader)->key().value() : 0},
           {"chunks", chunks},
           {"rows", rows},
           {"error", status.ok() ? Json(nullptr) : Json(std::string(Message(status)))}});
  } else {
    fmt::print("chunk file {}: {} bytes, {} chunks, {} rows{}\n", path, bytes, chunks, rows,
               status.ok() ? ", whole" : "");
  }
  return status;
}

Status ForEach(const std::vector<std::string>& paths,
               const std::function<Status(const std::string&)>& inspect) {
  Status first_error;
  for (const std::string& path : paths) {
    const Status status = inspect(path);
    if (first_error.ok()) first_error = status;
  }
  return first_error;
}

}  // namespace

Status InspectSnapshots(const SnapshotOptions& options) {
  PX_ASSIGN_OR_RETURN(const auto paths, FindFiles(options.directory, IsSnapshot, "snapshots"));
  return ForEach(paths,
                 [&](const std::string& path) { return SnapshotPrinter(options, path).Run(); });
}

Status InspectChunks(const SnapshotOptions& options) {
  PX_ASSIGN_OR_RETURN(const auto paths, FindFiles(options.directory, IsChunkFile, "chunk files"));
  return ForEach(paths, [&](const std::string& path) { return InspectChunkFile(options, path); });
}

}  // namespace proxist::pxinspect
