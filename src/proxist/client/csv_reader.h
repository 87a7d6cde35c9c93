// Records of a CSV stream (RFC 4180), one at a time, in bounded memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "proxist/base/status.h"

namespace proxist::client {

/// Fills `out` with the next bytes; returns how many, 0 only at the end.
using ByteSource = std::function<StatusOr<size_t>(std::span<char> out)>;

struct CsvOptions {
  char delimiter = ',';
  std::optional<char> quote = '"';            // nothing: quotes are ordinary characters
  size_t max_record_bytes = size_t{1} << 20;  // a longer record is an error
};

struct CsvField {
  std::string_view text;  // without quotes, doubled quotes made single
  bool quoted = false;
};

/// One record. The texts are valid until the next call of the reader.
struct CsvRecord {
  uint64_t line = 0;  // where it starts, from 1
  std::vector<CsvField> fields;
};

/// A record ends with LF, CRLF or the end of the stream; quoted fields may hold delimiters, line
/// ends and doubled quotes. Lines without a single character are skipped (and counted). A UTF-8
/// byte order mark at the start is skipped. Any other byte, NUL too, is content. One thread.
class CsvReader {
 public:
  CsvReader(ByteSource source, const CsvOptions& options);

  /// The next record, or false at the end. INVALID_ARGUMENT ("line N, column M: reason") for a
  /// quote inside an unquoted field, text after a closing quote, a quote never closed, and a record
  /// beyond the bound; the source's own errors as they are. After an error nothing more is read.
  StatusOr<bool> Next(CsvRecord* record);
  /// Skips `count` lines, whatever they hold. Before the first Next.
  Status SkipLines(uint64_t count);

 private:
  enum class Scan { kRecord, kNeedMore, kFault };
  // Byte ranges of a field while its record is being scanned: the buffer may still move.
  struct Extent {
    size_t begin, end;
    bool quoted, doubled;  // doubled: holds doubled quotes
  };

  Status Fill();
  Status SkipByteOrderMark();
  Scan ScanRecord();
  Scan ScanField(size_t* at, bool* record_ended);
  Scan ScanQuoted(size_t* at, bool* record_ended);
  Scan Fault(std::string_view reason);
  void Deliver(CsvRecord* record);
  [[nodiscard]] Status TooLong() const;

  ByteSource source_;
  CsvOptions options_;
  std::array<bool, 256> special_{};  // bytes that end the run of an unquoted field
  std::vector<char> buffer_;
  size_t begin_ = 0;  // of what is not yet delivered
  size_t end_ = 0;    // of what the source has given
  bool source_ended_ = false;
  bool started_ = false;
  uint64_t line_ = 1;  // of the byte at begin_
  std::vector<Extent> extents_;
  size_t scanned_to_ = 0;  // after a complete scan: the first byte behind the record
  uint64_t lines_in_record_ = 0;
  Status fault_;
};

}  // namespace proxist::client
