// Values of answer columns as text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "proxist/client/answer_writer.h"
#include "proxist/column/batch.h"

namespace proxist::client {

/// Appends the value at `row`, which is not null, without any quoting.
void AppendCell(const column::ColumnView& view, size_t row, TimeFormat time, std::string* out);

/// Appends `text`, in quotes when a CSV reader would otherwise read something else.
void AppendCsvText(std::string_view text, std::string* out);

/// Appends `text` as a JSON string; bytes that are no UTF-8 become U+FFFD.
void AppendJsonText(std::string_view text, std::string* out);

/// Appends `text` with control bytes as \xNN; returns how many columns of a terminal it takes,
/// counting a code point as one.
size_t AppendPrintable(std::string_view text, std::string* out);

}  // namespace proxist::client
