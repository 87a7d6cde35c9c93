// Creates and checks the tables of a metadata file.
#include "proxist/meta/internal/layout.h"

#include "proxist/env/file_system.h"

namespace proxist::meta {
namespace {

constexpr char kTables[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE entries(key BLOB PRIMARY KEY, value BLOB NOT NULL, created INTEGER NOT NULL,"
    "                     modified INTEGER NOT NULL, checksum INTEGER NOT NULL);"
    "CREATE TABLE revisions(revision INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL,"
    "                       author TEXT NOT NULL, reason TEXT NOT NULL);"
    "CREATE TABLE history(revision INTEGER NOT NULL, key BLOB NOT NULL, old BLOB, new BLOB,"
    "                     PRIMARY KEY(revision, key)) WITHOUT ROWID;"
    "INSERT INTO meta VALUES('revision', 0), ('unaudited', 0);";

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status Create(Database* db) {
  PX_RETURN_IF_ERROR(db->Run("BEGIN IMMEDIATE"));
  PX_RETURN_IF_ERROR(db->Run(kTables));
  PX_RETURN_IF_ERROR(db->Run(fmt::format("INSERT INTO meta VALUES('layout', {});"
                                         "PRAGMA application_id = {}; COMMIT",
                                         kLayout, kApplicationId)
                                 .c_str()));
  return env::PosixFileSystem().SyncDirectory(DirectoryOf(db->path()));
}

Status Check(Database* db) {
  PX_ASSIGN_OR_RETURN(const int64_t layout,
                      db->Integer("SELECT value FROM meta WHERE name = 'layout'"));
  if (layout != kLayout) {
    return FailedPrecondition("metadata {} has layout {}, this program knows layout {}", db->path(),
                              layout, kLayout);
  }
  PX_ASSIGN_OR_RETURN(const std::string verdict, db->Text("PRAGMA quick_check(1)"));
  if (verdict != "ok") return DataLoss("metadata {} is damaged: {}", db->path(), verdict);
  return OkStatus();
}

}  // namespace

Status OpenLayout(Database* db) {
  PX_RETURN_IF_ERROR(
      db->Run("PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL;"
              "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
              "PRAGMA journal_size_limit = 67108864"));
  PX_ASSIGN_OR_RETURN(const int64_t application, db->Integer("PRAGMA application_id"));
  PX_ASSIGN_OR_RETURN(const int64_t objects, db->Integer("SELECT count(*) FROM sqlite_master"));
  const bool is_empty = application == 0 && objects == 0;
  if (!is_empty && application != kApplicationId) {
    return FailedPrecondition("{} is a database, but no Proxist metadata", db->path());
  }
  PX_ASSIGN_OR_RETURN(const std::string journal, db->Text("PRAGMA journal_mode = WAL"));
  if (journal != "wal") {
    return FailedPrecondition("metadata {}: its file system allows no write-ahead journal",
                              db->path());
  }
  return is_empty ? Create(db) : Check(db);
}

}  // namespace proxist::meta
