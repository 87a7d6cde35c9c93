// A thin, Status-returning layer over SQLite's C interface.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <sqlite3.h>

#include "proxist/base/status.h"

namespace proxist::meta {

/// A failed SQLite call as a Status: RESOURCE_EXHAUSTED (disk full), DATA_LOSS (damaged, or no
/// database), FAILED_PRECONDITION (held by another process), PERMISSION_DENIED, NOT_FOUND (no such
/// directory), else UNAVAILABLE. The message names `path`.
Status SqliteError(sqlite3* db, int code, const std::string& path);

/// A connection. One thread at a time.
class Database {
 public:
  /// Creates the file when it is missing.
  static StatusOr<Database> Open(const std::string& path);

  /// Runs statements without parameters or results.
  Status Run(const char* sql);
  /// The single integer that `sql` gives.
  StatusOr<int64_t> Integer(const char* sql);
  /// The single text that `sql` gives.
  StatusOr<std::string> Text(const char* sql);

  [[nodiscard]] sqlite3* handle() const { return db_.get(); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  struct Close {
    void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
  };
  Database(sqlite3* db, std::string path) : db_(db), path_(std::move(path)) {}
  std::unique_ptr<sqlite3, Close> db_;
  std::string path_;
};

/// A prepared statement, used many times: Bind..., Step until false, Reset. One thread at a time;
/// the database outlives it.
class Statement {
 public:
  static StatusOr<Statement> Prepare(const Database& db, std::string_view sql);

  /// Parameters count from 1. Texts are bound as blobs and must outlive the steps.
  void Bind(int parameter, int64_t value);
  void Bind(int parameter, std::string_view bytes);
  void BindNull(int parameter);
  /// True: a row is there. False: done.
  StatusOr<bool> Step();
  /// Steps to the end, then resets.
  Status Finish();
  /// Makes the statement ready for the next use; gives up what it reads.
  void Reset();

  /// Columns count from 0.
  [[nodiscard]] int64_t Integer(int column) const;
  /// Valid until the next Step or Reset.
  [[nodiscard]] std::string_view Bytes(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  Statement(sqlite3_stmt* statement, std::string path)
      : statement_(statement), path_(std::move(path)) {}
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  std::string path_;
};

/// Resets a statement at the end of a scope.
class ResetAtExit {
 public:
  explicit ResetAtExit(Statement* statement) : statement_(statement) {}
  ~ResetAtExit() { statement_->Reset(); }
  ResetAtExit(const ResetAtExit&) = delete;
  ResetAtExit& operator=(const ResetAtExit&) = delete;

 private:
  Statement* statement_;
};

}  // namespace proxist::meta
