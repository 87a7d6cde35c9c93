// Values as text: in CSV, in JSON, on a terminal.
#include "proxist/column/cell_text.h"

#include <cmath>
#include <iterator>

#include "proxist/base/time.h"

namespace proxist::column {
namespace {

// How many bytes of well-formed UTF-8 stand at the start of `text`: 0 when its first character is
// not well formed. Source: table 3-7 of the Unicode standard.
size_t Utf8Bytes(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](size_t i, unsigned char least, unsigned char most) {
    return i < text.size() && byte(i) >= least && byte(i) <= most;
  };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  if (first < 0xe0) return continues(1, 0x80, 0xbf) ? 2 : 0;
  if (first < 0xf0) {
    const unsigned char least = first == 0xe0 ? 0xa0 : 0x80;
    const unsigned char most = first == 0xed ? 0x9f : 0xbf;
    return continues(1, least, most) && continues(2, 0x80, 0xbf) ? 3 : 0;
  }
  const unsigned char least = first == 0xf0 ? 0x90 : 0x80;
  const unsigned char most = first == 0xf4 ? 0x8f : 0xbf;
  const bool whole =
      continues(1, least, most) && continues(2, 0x80, 0xbf) && continues(3, 0x80, 0xbf);
  return whole ? 4 : 0;
}

template <typename T>
void AppendInteger(T value, std::string* out) {
  fmt::format_to(std::back_inserter(*out), "{}", value);
}

// ISO times, and floats that JSON has no number for.
bool IsQuoted(const ColumnView& view, size_t row, TimeFormat time) {
  switch (view.type.kind) {
    case TypeKind::kTimestamp:
      return time == TimeFormat::kIso;
    case TypeKind::kFloat32:
      return !std::isfinite(view.At<float>(row));
    case TypeKind::kFloat64:
      return !std::isfinite(view.At<double>(row));
    default:
      return false;
  }
}

}  // namespace

void AppendCell(const ColumnView& view, size_t row, TimeFormat time, std::string* out) {
  switch (view.type.kind) {
    case TypeKind::kBool:
      *out += view.At<uint8_t>(row) != 0 ? "true" : "false";
      return;
    case TypeKind::kInt8:
      return AppendInteger(int{view.At<int8_t>(row)}, out);
    case TypeKind::kInt16:
      return AppendInteger(view.At<int16_t>(row), out);
    case TypeKind::kInt32:
      return AppendInteger(view.At<int32_t>(row), out);
    case TypeKind::kInt64:
      return AppendInteger(view.At<int64_t>(row), out);
    case TypeKind::kUint8:
      return AppendInteger(unsigned{view.At<uint8_t>(row)}, out);
    case TypeKind::kUint16:
      return AppendInteger(view.At<uint16_t>(row), out);
    case TypeKind::kUint32:
      return AppendInteger(view.At<uint32_t>(row), out);
    case TypeKind::kUint64:
      return AppendInteger(view.At<uint64_t>(row), out);
    case TypeKind::kFloat32:
      *out += FormatFloat32(view.At<float>(row));
      return;
    case TypeKind::kFloat64:
      *out += FormatFloat64(view.At<double>(row));
      return;
    case TypeKind::kDecimal:
      *out += FormatDecimal(view.At<int64_t>(row), view.type.scale);
      return;
    case TypeKind::kTimestamp:
      if (time == TimeFormat::kNanoseconds) return AppendInteger(view.At<int64_t>(row), out);
      *out += FormatIso8601(Timestamp(view.At<int64_t>(row)));
      return;
    case TypeKind::kString:
    case TypeKind::kSymbol:
      *out += view.TextAt(row);
      return;
  }
}

void AppendCsvCell(const ColumnView& view, size_t row, TimeFormat time, std::string* out) {
  if (!view.IsValid(row)) return;
  if (IsText(view.type.kind)) return AppendCsvText(view.TextAt(row), out);
  AppendCell(view, row, time, out);
}

void AppendJsonCell(const ColumnView& view, size_t row, TimeFormat time, std::string* out) {
  if (!view.IsValid(row)) {
    *out += "null";
    return;
  }
  if (IsText(view.type.kind)) return AppendJsonText(view.TextAt(row), out);
  const bool quoted = IsQuoted(view, row, time);
  if (quoted) *out += '"';
  AppendCell(view, row, time, out);
  if (quoted) *out += '"';
}

void AppendCsvText(std::string_view text, std::string* out) {
  if (!text.empty() && text.find_first_of(",\"\r\n") == std::string_view::npos) {
    *out += text;
    return;
  }
  *out += '"';
  for (const char c : text) {
    if (c == '"') *out += '"';
    *out += c;
  }
  *out += '"';
}

void AppendJsonText(std::string_view text, std::string* out) {
  *out += '"';
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text.front());
    const size_t bytes = Utf8Bytes(text);
    if (bytes == 0) {
      *out += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      *out += '\\';
      *out += text.front();
    } else if (c < 0x20) {
      fmt::format_to(std::back_inserter(*out), "\\u{:04x}", c);
    } else {
      *out += text.substr(0, bytes);
    }
    text.remove_prefix(bytes == 0 ? 1 : bytes);
  }
  *out += '"';
}

size_t AppendPrintable(std::string_view text, std::string* out) {
  size_t width = 0;
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text.front());
    const size_t bytes = Utf8Bytes(text);
    if (bytes == 0 || c < 0x20 || c == 0x7f) {
      fmt::format_to(std::back_inserter(*out), "\\x{:02x}", c);
      width += 4;
    } else {
      *out += text.substr(0, bytes);
      ++width;
    }
    text.remove_prefix(bytes == 0 ? 1 : bytes);
  }
  return width;
}

}  // namespace proxist::column
