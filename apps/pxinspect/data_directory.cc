// Where things are in a data directory, and its metadata without touching it.
#include "data_directory.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>

#include "proxist/env/file_system.h"

namespace proxist::pxinspect {
namespace {

bool HoldsSegments(const std::string& directory) {
  const auto names = env::PosixFileSystem().List(directory);
  return names.ok() && std::ranges::any_of(
                           *names, [](const std::string& name) { return name.ends_with(".wal"); });
}

}  // namespace

StatusOr<std::vector<std::string>> FindLogs(const std::string& directory) {
  PX_RETURN_IF_ERROR(env::PosixFileSystem().List(directory).status());
  if (HoldsSegments(directory)) return std::vector{directory};
  std::vector<std::string> logs;
  const std::string parent = directory + "/wal";
  const auto names = env::PosixFileSystem().List(parent);
  if (names.ok()) {
    for (const std::string& name : *names) {
      if (HoldsSegments(parent + "/" + name)) logs.push_back(parent + "/" + name);
    }
  }
  if (logs.empty()) {
    return NotFound(
        "{}: holds no log: expected segment files (*.wal), or a data directory with wal/<shard>/",
        directory);
  }
  return logs;
}

StatusOr<std::unique_ptr<MetadataCopy>> MetadataCopy::Open(const std::string& directory) {
  std::unique_ptr<MetadataCopy> copy(new MetadataCopy());
  PX_RETURN_IF_ERROR(copy->Copy(directory));
  PX_ASSIGN_OR_RETURN(copy->store_, meta::OpenSqliteStore(copy->copy_ + "/meta.db"));
  PX_ASSIGN_OR_RETURN(const uint64_t layout, copy->Number("node/layout", 10));
  if (layout != 1) {
    return FailedPrecondition("{}/meta.db: data directory layout {}, this program reads layout 1",
                              directory, layout);
  }
  PX_ASSIGN_OR_RETURN(copy->incarnation_, copy->Number("node/incarnation", 16));
  PX_ASSIGN_OR_RETURN(copy->shards_, copy->Number("node/shards", 10));
  PX_ASSIGN_OR_RETURN(copy->catalog_, meta::Catalog::Open(copy->store_.get()));
  return copy;
}

MetadataCopy::~MetadataCopy() {
  catalog_.reset();
  store_.reset();
  std::error_code ignored;
  if (!copy_.empty()) std::filesystem::remove_all(copy_, ignored);
}

Status MetadataCopy::Copy(const std::string& directory) {
  std::error_code error;
  std::string pattern = std::filesystem::temp_directory_path(error) / "pxinspect-XXXXXX";
  if (error || ::mkdtemp(pattern.data()) == nullptr) {
    return Unavailable("no temporary directory {}", pattern);
  }
  copy_ = pattern;
  for (const std::string name : {"meta.db", "meta.db-wal"}) {
    const std::string from = directory + "/" + name;
    if (name != "meta.db" && !std::filesystem::exists(from, error)) continue;
    std::filesystem::copy_file(from, copy_ + "/" + name, error);
    if (error) return NotFound("{}: {}", from, error.message());
  }
  return OkStatus();
}

StatusOr<FileKeys> FileKeys::Open(const std::string& place, const std::string& master_key) {
  FileKeys keys;
  if (master_key.empty()) return keys;
  PX_ASSIGN_OR_RETURN(const security::MasterKey master, security::LoadMasterKey(master_key));
  std::error_code error;
  for (auto at = std::filesystem::absolute(place, error);; at = at.parent_path()) {
    if (std::filesystem::exists(at / "meta.db", error)) {
      PX_ASSIGN_OR_RETURN(keys.metadata_, MetadataCopy::Open(at.string()));
      PX_ASSIGN_OR_RETURN(keys.keys_,
                          security::DataKeys::Open(keys.metadata_->store(), master, {}));
      return keys;
    }
    if (at == at.parent_path()) break;
  }
  return NotFound(
      "{}: neither it nor a directory above it has the meta.db that holds the data keys", place);
}

StatusOr<uint64_t> MetadataCopy::Number(const std::string& key, int base) const {
  PX_ASSIGN_OR_RETURN(const meta::Entry entry, store_->Get(key));
  uint64_t number = 0;
  const char* end = entry.value.data() + entry.value.size();
  const auto [rest, error] = std::from_chars(entry.value.data(), end, number, base);
  if (error == std::errc() && rest == end && !entry.value.empty()) return number;
  return DataLoss("metadata key '{}': a number expected, got '{}'", key, entry.value);
}

}  // namespace proxist::pxinspect
