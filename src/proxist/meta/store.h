// The metadata store: small keys and values with revisions. SQLite on one node; etcd fits the same
// contract.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"

namespace proxist::meta {

inline constexpr size_t kMaxKeyBytes = 512;
inline constexpr size_t kMaxValueBytes = 64u << 20;

struct Entry {
  std::string key;
  std::string value;
  Revision created;   // the store's revision when the key was (last) created
  Revision modified;  // and when its value last changed
};

/// One write of a transaction, with what it expects.
struct Mutation {
  std::string key;
  std::optional<std::string> value;  // nothing: delete
  /// Compare: the key's `modified` must equal this; Revision(0) means "must not exist"; nothing:
  /// don't care.
  std::optional<Revision> expected;
};

struct Event {
  std::string key;
  std::optional<std::string> value;  // nothing: deleted
  Revision revision;
};

/// Stops its watch when destroyed; no callback runs afterwards.
class Watch {
 public:
  virtual ~Watch() = default;
};

/// Thread-safe. Every committed Apply is durable when it returns and has one revision, one above
/// the last.
class MetadataStore {
 public:
  virtual ~MetadataStore() = default;
  /// NOT_FOUND names the key.
  virtual StatusOr<Entry> Get(std::string_view key) = 0;
  /// All entries whose key starts with `prefix`, ordered by key, at one revision.
  virtual StatusOr<std::vector<Entry>> List(std::string_view prefix) = 0;
  /// All or nothing. ABORTED when an expectation fails (names the key and both revisions). `author`
  /// and `reason` stand in the audit log.
  virtual StatusOr<Revision> Apply(std::span<const Mutation> mutations, std::string_view author,
                                   std::string_view reason) = 0;
  /// Calls back, on a thread of the store, for each later change under `prefix`, in order of
  /// revision.
  virtual StatusOr<std::unique_ptr<Watch>> Subscribe(
      std::string_view prefix, std::function<void(const Event&)> callback) = 0;
};

/// Opens or creates the database file. FAILED_PRECONDITION for a newer layout; DATA_LOSS for a
/// damaged file.
StatusOr<std::unique_ptr<MetadataStore>> OpenSqliteStore(const std::string& path);

}  // namespace proxist::meta
