// Answers as text: CSV, JSON lines, or a table for eyes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "proxist/api/column_message.h"
#include "proxist/base/status.h"
#include "proxist/column/cell_text.h"

namespace proxist::client {

enum class OutputFormat : uint8_t { kTable, kCsv, kJson };
using column::TimeFormat;

/// Takes the next bytes of the output.
using TextSink = std::function<Status(std::string_view)>;

/// Turns the batches of one answer into text, as they come. Decimals have all their digits, floats
/// read back bit-identical, times are ISO-8601 with nine digits or integer nanoseconds.
///   CSV: a header, RFC 4180 quoting where needed; a null is empty, an empty string is "".
///   JSON lines: one object a row; null; integers and decimals as exact numbers; NaN and infinities
///     as the strings "nan", "inf", "-inf"; bytes that are no UTF-8 as U+FFFD.
///   Table: columns aligned on the first rows, numbers to the right; a null is empty; control
///     bytes escaped. Wider cells further down are written whole.
/// One thread.
class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;
  /// A batch; all have the columns of the first. An error is the sink's.
  virtual Status Write(std::span<const api::NamedView> columns, size_t rows) = 0;
  /// After the last batch; writes what is still held.
  virtual Status Finish() = 0;
};

std::unique_ptr<AnswerWriter> MakeAnswerWriter(OutputFormat format, TimeFormat time, TextSink sink);

}  // namespace proxist::client
