// Values as text: in CSV, in JSON, on a terminal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxist/column/batch.h"

namespace proxist::column {

enum class TimeFormat : uint8_t { kIso, kNanoseconds };

/// Appends the value at `row`, which is not null, without any quoting. Decimals have all their
/// digits, floats read back bit-identical, times are ISO-8601 with nine digits or integer
/// nanoseconds.
void AppendCell(const ColumnView& view, size_t row, TimeFormat time, std::string* out);

/// Appends the value at `row` as a field of RFC 4180, quoted where needed: a null is empty, an
/// empty text is "".
void AppendCsvCell(const ColumnView& view, size_t row, TimeFormat time, std::string* out);

/// Appends the value at `row` as JSON: null; integers and decimals as exact numbers; NaN and
/// infinities as the strings "nan", "inf", "-inf"; text as AppendJsonText.
void AppendJsonCell(const ColumnView& view, size_t row, TimeFormat time, std::string* out);

/// Appends `text`, in quotes when a CSV reader would otherwise read something else.
void AppendCsvText(std::string_view text, std::string* out);

/// Appends `text` as a JSON string; bytes that are no UTF-8 become U+FFFD.
void AppendJsonText(std::string_view text, std::string* out);

/// Appends `text` with control bytes as \xNN; returns how many columns of a terminal it takes,
/// counting a code point as one.
size_t AppendPrintable(std::string_view text, std::string* out);

}  // namespace proxist::column
