// The metadata store of one node: one SQLite file, one connection, every commit synced.
#include <limits>
#include <unordered_set>

#include "proxist/base/bytes.h"
#include "proxist/base/mutex.h"
#include "proxist/env/clock.h"
#include "proxist/env/file_system.h"
#include "proxist/meta/internal/layout.h"
#include "proxist/meta/internal/sqlite.h"
#include "proxist/meta/internal/watch_queue.h"
#include "proxist/meta/store.h"

namespace proxist::meta {
namespace {

int64_t EntryChecksum(std::string_view key, std::string_view value, Revision modified) {
  const uint64_t seed = Checksum(AsBytes(key)) ^ static_cast<uint64_t>(modified.value());
  return static_cast<int64_t>(Checksum(AsBytes(value), seed));
}

struct Statements {
  Statement get;
  Statement list;
  Statement list_all;
  Statement put;
  Statement erase;
  Statement set_revision;
  Statement count_unaudited;
  Statement audit_revision;
  Statement audit_change;

  static StatusOr<Statements> Prepare(const Database& db);
};

StatusOr<Statements> Statements::Prepare(const Database& db) {
  const auto prepare = [&db](std::string_view sql) { return Statement::Prepare(db, sql); };
  PX_ASSIGN_OR_RETURN(Statement get, prepare("SELECT key, value, created, modified, checksum "
                                             "FROM entries WHERE key = ?1"));
  PX_ASSIGN_OR_RETURN(Statement list,
                      prepare("SELECT key, value, created, modified, checksum FROM entries "
                              "WHERE key >= ?1 AND key < ?2 ORDER BY key"));
  PX_ASSIGN_OR_RETURN(Statement list_all,
                      prepare("SELECT key, value, created, modified, checksum FROM entries "
                              "WHERE key >= ?1 ORDER BY key"));
  PX_ASSIGN_OR_RETURN(Statement put,
                      prepare("INSERT INTO entries(key, value, created, modified, checksum) "
                              "VALUES(?1, ?2, ?3, ?3, ?4) ON CONFLICT(key) DO UPDATE "
                              "SET value = excluded.value, modified = excluded.modified, "
                              "checksum = excluded.checksum"));
  PX_ASSIGN_OR_RETURN(Statement erase, prepare("DELETE FROM entries WHERE key = ?1"));
  PX_ASSIGN_OR_RETURN(Statement set_revision,
                      prepare("UPDATE meta SET value = ?1 WHERE name = 'revision'"));
  PX_ASSIGN_OR_RETURN(Statement count_unaudited,
                      prepare("UPDATE meta SET value = value + 1 WHERE name = 'unaudited'"));
  PX_ASSIGN_OR_RETURN(Statement audit_revision,
                      prepare("INSERT INTO revisions(revision, at_ns, author, reason) "
                              "VALUES(?1, ?2, CAST(?3 AS TEXT), CAST(?4 AS TEXT))"));
  PX_ASSIGN_OR_RETURN(Statement audit_change,
                      prepare("INSERT INTO history(revision, key, old, new) "
                              "VALUES(?1, ?2, ?3, ?4)"));
  return Statements{std::move(get),
                    std::move(list),
                    std::move(list_all),
                    std::move(put),
                    std::move(erase),
                    std::move(set_revision),
                    std::move(count_unaudited),
                    std::move(audit_revision),
                    std::move(audit_change)};
}

// The least key above every key that starts with `prefix`; nothing when there is none.
std::optional<std::string> AfterPrefix(std::string_view prefix) {
  std::string after(prefix);
  while (!after.empty() && static_cast<uint8_t>(after.back()) == 0xff) after.pop_back();
  if (after.empty()) return std::nullopt;
  after.back() = static_cast<char>(static_cast<uint8_t>(after.back()) + 1);
  return after;
}

Status CheckMutations(std::span<const Mutation> mutations, std::string_view author,
                      std::string_view reason) {
  if (mutations.empty()) return InvalidArgument("a metadata change without mutations");
  if (author.size() > kMaxAuditTextBytes || reason.size() > kMaxAuditTextBytes) {
    return InvalidArgument("author or reason of a metadata change has more than {} bytes",
                           kMaxAuditTextBytes);
  }
  std::unordered_set<std::string_view> keys;
  for (const Mutation& mutation : mutations) {
    if (mutation.key.empty() || mutation.key.size() > kMaxKeyBytes) {
      return InvalidArgument("metadata key '{}...' has {} bytes, 1 to {} are allowed",
                             std::string_view(mutation.key).substr(0, 64), mutation.key.size(),
                             kMaxKeyBytes);
    }
    if (mutation.value && mutation.value->size() > kMaxValueBytes) {
      return InvalidArgument("metadata key '{}': the value has {} bytes, at most {} are allowed",
                             mutation.key, mutation.value->size(), kMaxValueBytes);
    }
    if (!keys.insert(mutation.key).second) {
      return InvalidArgument("metadata key '{}' stands twice in one change", mutation.key);
    }
  }
  return OkStatus();
}

bool IsAudited(std::string_view key) { return key.starts_with(kAuditedPrefix); }

class QueuedWatch final : public Watch {
 public:
  QueuedWatch(std::shared_ptr<WatchQueue> queue, uint64_t watch)
      : queue_(std::move(queue)), watch_(watch) {}
  ~QueuedWatch() override { queue_->Remove(watch_); }

 private:
  std::shared_ptr<WatchQueue> queue_;
  uint64_t watch_;
};

class SqliteStore final : public MetadataStore {
 public:
  SqliteStore(Database db, Statements statements, Revision revision)
      : db_(std::move(db)), statements_(std::move(statements)), revision_(revision) {}
  ~SqliteStore() override { watches_->Stop(); }

  StatusOr<Entry> Get(std::string_view key) override;
  StatusOr<std::vector<Entry>> List(std::string_view prefix) override;
  StatusOr<Revision> Apply(std::span<const Mutation> mutations, std::string_view author,
                           std::string_view reason) override;
  StatusOr<std::unique_ptr<Watch>> Subscribe(std::string_view prefix,
                                             std::function<void(const Event&)> callback) override;

 private:
  StatusOr<Entry> ReadEntry(const Statement& row) PX_REQUIRES(mutex_);
  StatusOr<std::optional<Entry>> Find(std::string_view key) PX_REQUIRES(mutex_);
  Status Write(const Mutation& mutation, Revision revision, std::vector<Event>* events)
      PX_REQUIRES(mutex_);
  Status Audit(Revision revision, std::string_view author, std::string_view reason)
      PX_REQUIRES(mutex_);
  Status WriteAll(std::span<const Mutation> mutations, Revision revision, std::string_view author,
                  std::string_view reason, std::vector<Event>* events) PX_REQUIRES(mutex_);
  Status Commit() PX_REQUIRES(mutex_);

  Mutex mutex_;
  Database db_ PX_GUARDED_BY(mutex_);
  Statements statements_ PX_GUARDED_BY(mutex_);
  Revision revision_ PX_GUARDED_BY(mutex_);
  // The first failed commit: what is on disk is unknown from there on, so nothing more is written.
  Status failed_ PX_GUARDED_BY(mutex_);
  std::shared_ptr<WatchQueue> watches_ = std::make_shared<WatchQueue>();
};

StatusOr<Entry> SqliteStore::ReadEntry(const Statement& row) {
  Entry entry{std::string(row.Bytes(0)), std::string(row.Bytes(1)), Revision(row.Integer(2)),
              Revision(row.Integer(3))};
  if (row.Integer(4) != EntryChecksum(entry.key, entry.value, entry.modified)) {
    return DataLoss("metadata {} is damaged: the checksum of key '{}' does not match", db_.path(),
                    entry.key);
  }
  return entry;
}

StatusOr<std::optional<Entry>> SqliteStore::Find(std::string_view key) {
  const ResetAtExit reset(&statements_.get);
  statements_.get.Bind(1, key);
  PX_ASSIGN_OR_RETURN(const bool row, statements_.get.Step());
  if (!row) return std::optional<Entry>();
  PX_ASSIGN_OR_RETURN(Entry entry, ReadEntry(statements_.get));
  return std::optional<Entry>(std::move(entry));
}

StatusOr<Entry> SqliteStore::Get(std::string_view key) {
  MutexLock lock(&mutex_);
  PX_ASSIGN_OR_RETURN(std::optional<Entry> entry, Find(key));
  if (!entry) return NotFound("metadata key '{}' does not exist", key);
  return *std::move(entry);
}

StatusOr<std::vector<Entry>> SqliteStore::List(std::string_view prefix) {
  MutexLock lock(&mutex_);
  const std::optional<std::string> after = AfterPrefix(prefix);
  Statement* rows = after ? &statements_.list : &statements_.list_all;
  const ResetAtExit reset(rows);
  rows->Bind(1, prefix);
  if (after) rows->Bind(2, *after);
  std::vector<Entry> entries;
  for (;;) {
    PX_ASSIGN_OR_RETURN(const bool row, rows->Step());
    if (!row) return entries;
    PX_ASSIGN_OR_RETURN(Entry entry, ReadEntry(*rows));
    entries.push_back(std::move(entry));
  }
}

Status SqliteStore::Write(const Mutation& mutation, Revision revision, std::vector<Event>* events) {
  PX_ASSIGN_OR_RETURN(const std::optional<Entry> old, Find(mutation.key));
  const Revision found = old ? old->modified : Revision(0);
  if (mutation.expected && *mutation.expected != found) {
    return Aborted("metadata key '{}' is at revision {}, expected {}", mutation.key, found.value(),
                   mutation.expected->value());
  }
  if (!mutation.value && !old) return OkStatus();
  if (mutation.value) {
    statements_.put.Bind(1, mutation.key);
    statements_.put.Bind(2, *mutation.value);
    statements_.put.Bind(3, revision.value());
    statements_.put.Bind(4, EntryChecksum(mutation.key, *mutation.value, revision));
    PX_RETURN_IF_ERROR(statements_.put.Finish());
  } else {
    statements_.erase.Bind(1, mutation.key);
    PX_RETURN_IF_ERROR(statements_.erase.Finish());
  }
  if (IsAudited(mutation.key)) {
    Statement& change = statements_.audit_change;
    change.Bind(1, revision.value());
    change.Bind(2, mutation.key);
    if (old) change.Bind(3, old->value);
    if (mutation.value) change.Bind(4, *mutation.value);
    PX_RETURN_IF_ERROR(change.Finish());
  }
  events->push_back({mutation.key, mutation.value, revision});
  return OkStatus();
}

Status SqliteStore::Audit(Revision revision, std::string_view author, std::string_view reason) {
  statements_.audit_revision.Bind(1, revision.value());
  statements_.audit_revision.Bind(2, env::SystemClock().Now().ns());
  statements_.audit_revision.Bind(3, author);
  statements_.audit_revision.Bind(4, reason);
  return statements_.audit_revision.Finish();
}

Status SqliteStore::WriteAll(std::span<const Mutation> mutations, Revision revision,
                             std::string_view author, std::string_view reason,
                             std::vector<Event>* events) {
  PX_RETURN_IF_ERROR(db_.Run("BEGIN IMMEDIATE"));
  bool audited = false;
  for (const Mutation& mutation : mutations) {
    audited |= IsAudited(mutation.key);
    PX_RETURN_IF_ERROR(Write(mutation, revision, events));
  }
  PX_RETURN_IF_ERROR(audited ? Audit(revision, author, reason)
                             : statements_.count_unaudited.Finish());
  statements_.set_revision.Bind(1, revision.value());
  return statements_.set_revision.Finish();
}

Status SqliteStore::Commit() {
  const Status committed = db_.Run("COMMIT");
  if (!committed.ok() && committed.code() != absl::StatusCode::kResourceExhausted) {
    failed_ = Annotate(committed, "metadata takes no more writes after a failed commit");
  }
  return committed;
}

StatusOr<Revision> SqliteStore::Apply(std::span<const Mutation> mutations, std::string_view author,
                                      std::string_view reason) {
  PX_RETURN_IF_ERROR(CheckMutations(mutations, author, reason));
  MutexLock lock(&mutex_);
  PX_RETURN_IF_ERROR(failed_);
  if (watches_->queued() >= kMaxQueuedEvents) {
    return ResourceExhausted("metadata: watchers are {} changes behind", kMaxQueuedEvents);
  }
  const Revision revision = revision_.Next();
  std::vector<Event> events;
  Status status = WriteAll(mutations, revision, author, reason, &events);
  if (status.ok()) status = Commit();
  if (!status.ok()) {
    // SQLite has rolled back by itself after some errors; then there is nothing left to do.
    if (sqlite3_get_autocommit(db_.handle()) == 0) PX_RETURN_IF_ERROR(db_.Run("ROLLBACK"));
    return status;
  }
  revision_ = revision;
  watches_->Publish(events);
  return revision;
}

StatusOr<std::unique_ptr<Watch>> SqliteStore::Subscribe(
    std::string_view prefix, std::function<void(const Event&)> callback) {
  MutexLock lock(&mutex_);
  return std::make_unique<QueuedWatch>(watches_, watches_->Add(prefix, std::move(callback)));
}

}  // namespace

StatusOr<std::unique_ptr<MetadataStore>> OpenSqliteStore(const std::string& path) {
  PX_ASSIGN_OR_RETURN(Database db, Database::Open(path));
  PX_RETURN_IF_ERROR(OpenLayout(&db));
  PX_ASSIGN_OR_RETURN(const int64_t revision,
                      db.Integer("SELECT value FROM meta WHERE name = 'revision'"));
  PX_ASSIGN_OR_RETURN(Statements statements, Statements::Prepare(db));
  return std::make_unique<SqliteStore>(std::move(db), std::move(statements), Revision(revision));
}

}  // namespace proxist::meta
