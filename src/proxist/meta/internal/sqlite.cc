// SQLite calls and the Status each failure becomes.
#include "proxist/meta/internal/sqlite.h"

#include <cerrno>
#include <cstring>

#include "proxist/base/check.h"

namespace proxist::meta {
namespace {

Status CantOpen(sqlite3* db, const std::string& path) {
  const int error = db == nullptr ? 0 : sqlite3_system_errno(db);
  const char* reason = error == 0 ? "unable to open it" : std::strerror(error);
  if (error == EACCES || error == EPERM || error == EROFS) {
    return PermissionDenied("metadata {}: {}", path, reason);
  }
  if (error == ENOENT || error == ENOTDIR) return NotFound("metadata {}: {}", path, reason);
  return Unavailable("metadata {}: {}", path, reason);
}

}  // namespace

Status SqliteError(sqlite3* db, int code, const std::string& path) {
  const char* message = db == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db);
  switch (code & 0xff) {
    case SQLITE_CANTOPEN:
      return CantOpen(db, path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR:  // the statements are fixed, so a table or column is missing
      return DataLoss("metadata {} is damaged: {}", path, message);
    case SQLITE_FULL:
      return ResourceExhausted("metadata {}: {}", path, message);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return FailedPrecondition("metadata {} is in use by another process", path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return PermissionDenied("metadata {}: {}", path, message);
    default:
      return Unavailable("metadata {}: {} (SQLite code {})", path, message, code);
  }
}

StatusOr<Database> Database::Open(const std::string& path) {
  sqlite3* raw = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &raw,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database db(raw, path);
  if (code != SQLITE_OK) return SqliteError(raw, code, path);
  sqlite3_extended_result_codes(raw, 1);
  return db;
}

Status Database::Run(const char* sql) {
  const int code = sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? OkStatus() : SqliteError(db_.get(), code, path_);
}

StatusOr<int64_t> Database::Integer(const char* sql) {
  PX_ASSIGN_OR_RETURN(Statement statement, Statement::Prepare(*this, sql));
  PX_ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return DataLoss("metadata {} is damaged: no result of {}", path_, sql);
  return statement.Integer(0);
}

StatusOr<std::string> Database::Text(const char* sql) {
  PX_ASSIGN_OR_RETURN(Statement statement, Statement::Prepare(*this, sql));
  PX_ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return DataLoss("metadata {} is damaged: no result of {}", path_, sql);
  return std::string(statement.Bytes(0));
}

StatusOr<Statement> Statement::Prepare(const Database& db, std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(db.handle(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (code != SQLITE_OK) return SqliteError(db.handle(), code, db.path());
  return Statement(raw, db.path());
}

void Statement::Bind(int parameter, int64_t value) {
  PX_CHECK(sqlite3_bind_int64(statement_.get(), parameter, value) == SQLITE_OK);
}

void Statement::Bind(int parameter, std::string_view bytes) {
  // A null pointer would bind NULL instead of an empty blob.
  const char* data = bytes.empty() ? "" : bytes.data();
  PX_CHECK(sqlite3_bind_blob64(statement_.get(), parameter, data, bytes.size(), SQLITE_STATIC) ==
           SQLITE_OK);
}

void Statement::BindNull(int parameter) {
  PX_CHECK(sqlite3_bind_null(statement_.get(), parameter) == SQLITE_OK);
}

StatusOr<bool> Statement::Step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return SqliteError(sqlite3_db_handle(statement_.get()), code, path_);
}

Status Statement::Finish() {
  const ResetAtExit reset(this);
  for (;;) {
    PX_ASSIGN_OR_RETURN(const bool row, Step());
    if (!row) return OkStatus();
  }
}

void Statement::Reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

int64_t Statement::Integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string_view Statement::Bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return {static_cast<const char*>(data), static_cast<size_t>(size)};
}

}  // namespace proxist::meta
