// Where things are in a data directory, and its metadata without touching it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/meta/catalog.h"
#include "proxist/meta/store.h"
#include "proxist/security/data_keys.h"

namespace proxist::pxinspect {

/// `directory` itself when it holds segments, else the shards' logs below its wal/. NOT_FOUND:
/// there is none.
StatusOr<std::vector<std::string>> FindLogs(const std::string& directory);

/// The metadata of a data directory whose server does not run, read from a copy in a temporary
/// directory, since opening the store may write.
class MetadataCopy {
 public:
  /// Errors as meta::OpenSqliteStore and Catalog::Open.
  static StatusOr<std::unique_ptr<MetadataCopy>> Open(const std::string& directory);
  ~MetadataCopy();
  MetadataCopy(const MetadataCopy&) = delete;
  MetadataCopy& operator=(const MetadataCopy&) = delete;

  [[nodiscard]] const meta::Catalog& catalog() const { return *catalog_; }
  [[nodiscard]] meta::MetadataStore* store() const { return store_.get(); }
  [[nodiscard]] uint64_t incarnation() const { return incarnation_; }
  [[nodiscard]] uint64_t shards() const { return shards_; }

 private:
  MetadataCopy() = default;
  Status Copy(const std::string& directory);
  StatusOr<uint64_t> Number(const std::string& key, int base) const;

  std::string copy_;  // the temporary directory
  std::unique_ptr<meta::MetadataStore> store_;
  std::unique_ptr<meta::Catalog> catalog_;
  uint64_t incarnation_ = 0;
  uint64_t shards_ = 0;
};

/// The keys of the data directory that files belong to.
class FileKeys {
 public:
  /// `place`: the data directory, or a file or directory in it. `master_key`: a source as
  /// security::LoadMasterKey takes it; empty: there are no keys.
  static StatusOr<FileKeys> Open(const std::string& place, const std::string& master_key);
  [[nodiscard]] env::Keyring* keyring() const { return keys_.get(); }

 private:
  std::unique_ptr<MetadataCopy> metadata_;
  std::unique_ptr<security::DataKeys> keys_;
};

}  // namespace proxist::pxinspect
