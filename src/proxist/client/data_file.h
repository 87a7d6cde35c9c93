// The content of a data file: plain, gzip or zip, told apart by what the file holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "proxist/base/status.h"

namespace proxist::client {

/// Reads a file's content from start to end. One thread.
class DataFile {
 public:
  virtual ~DataFile() = default;

  /// A gzip file (of any number of members) gives what it holds, a zip file its only entry, any
  /// other file itself. NOT_FOUND, PERMISSION_DENIED; INVALID_ARGUMENT for a directory and for a
  /// zip that holds no file or several (their names are in the message).
  static StatusOr<std::unique_ptr<DataFile>> Open(const std::string& path);

  /// Fills `out` from where the last call ended; returns the bytes, 0 only at the end. DATA_LOSS
  /// when the file is cut or damaged: lengths and checksums of gzip and zip are verified.
  virtual StatusOr<size_t> Read(std::span<char> out) = 0;
};

/// What a first pass over a file finds.
struct FileSummary {
  uint64_t stored_bytes = 0;   // of the file itself
  uint64_t content_bytes = 0;  // of what it holds
  std::string digest;          // XXH3-128 of the file itself, 32 hex digits
};

/// Hashes the file and, when it is compressed, reads it through, so that damage is found before
/// anything is sent. Errors as DataFile.
StatusOr<FileSummary> Summarize(const std::string& path);

}  // namespace proxist::client
