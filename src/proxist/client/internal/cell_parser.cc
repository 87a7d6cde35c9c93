// The text of a cell as a value of its column, exactly.
#include "proxist/client/internal/cell_parser.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "proxist/client/internal/fixed_point.h"

namespace proxist::client {
namespace {

using column::TypeKind;

constexpr unsigned kNanosecondDigits = 9;
// "2013-10-09T10:00:00"
constexpr size_t kIsoSecondBytes = 19;

// from_chars reads no plus sign; CSV files have them.
std::string_view WithoutPlus(std::string_view text) {
  return text.size() > 1 && text[0] == '+' && text[1] != '-' ? text.substr(1) : text;
}

template <typename T>
bool PutNumber(std::string_view text, ChunkColumn* out) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return false;
  out->Put(value);
  return true;
}

bool PutNumber(TypeKind kind, std::string_view text, ChunkColumn* out) {
  switch (kind) {
    case TypeKind::kInt8:
      return PutNumber<int8_t>(text, out);
    case TypeKind::kInt16:
      return PutNumber<int16_t>(text, out);
    case TypeKind::kInt32:
      return PutNumber<int32_t>(text, out);
    case TypeKind::kInt64:
      return PutNumber<int64_t>(text, out);
    case TypeKind::kUint8:
      return PutNumber<uint8_t>(text, out);
    case TypeKind::kUint16:
      return PutNumber<uint16_t>(text, out);
    case TypeKind::kUint32:
      return PutNumber<uint32_t>(text, out);
    case TypeKind::kUint64:
      return PutNumber<uint64_t>(text, out);
    case TypeKind::kFloat32:
      return PutNumber<float>(text, out);
    case TypeKind::kFloat64:
      return PutNumber<double>(text, out);
    default:
      return false;
  }
}

bool HasIsoShape(std::string_view text) {
  return text.size() >= kIsoSecondBytes && text[4] == '-' && text[7] == '-' &&
         (text[10] == 'T' || text[10] == ' ') && text[13] == ':' && text[16] == ':';
}

Status CheckRule(const CellRule& rule, const CellTarget& target) {
  const bool time = target.type.kind == TypeKind::kTimestamp;
  const std::string type = column::FormatType(target.type);
  if (time && rule.source != CellRule::Source::kLine && !rule.unit_digits && !rule.iso) {
    return InvalidArgument("a timestamp needs unit (ns, us, ms or s) or format: iso");
  }
  if (!time && (rule.unit_digits || rule.iso)) {
    return InvalidArgument("unit and format are for timestamps, this column is {}", type);
  }
  if (rule.scaled && target.type.kind != TypeKind::kDecimal) {
    return InvalidArgument("scaled is for decimals, this column is {}", type);
  }
  if (!rule.null_tokens.empty() && !target.nullable) {
    return InvalidArgument("null is for nullable columns, this column is not");
  }
  if (rule.source == CellRule::Source::kLine && target.type.kind != TypeKind::kUint64 &&
      target.type.kind != TypeKind::kInt64) {
    return InvalidArgument("line is for seq and for 64-bit integers, this column is {}", type);
  }
  return OkStatus();
}

}  // namespace

StatusOr<CellParser> CellParser::Create(const CellRule& rule, const CellTarget& target) {
  PX_RETURN_IF_ERROR(CheckRule(rule, target));
  return CellParser(rule, target);
}

bool CellParser::IsNullToken(const CsvField& field) const {
  if (field.text.empty() && !field.quoted) return true;
  return std::find(rule_.null_tokens.begin(), rule_.null_tokens.end(), field.text) !=
         rule_.null_tokens.end();
}

Status CellParser::Parse(const CsvField& field, ChunkColumn* out) {
  if (field.text.empty() || !rule_.null_tokens.empty()) {
    if (target_.nullable && IsNullToken(field)) {
      out->PutNull();
      return OkStatus();
    }
    const bool text_allowed = target_.type.kind == TypeKind::kString ||
                              (field.quoted && target_.type.kind == TypeKind::kSymbol);
    if (field.text.empty() && !text_allowed) {
      return InvalidArgument("it is empty, expected {}{}", column::FormatType(target_.type),
                             target_.nullable ? "" : " (the column is not nullable)");
    }
  }
  return ParseValue(field.text, out);
}

Status CellParser::Expected(std::string_view text, std::string_view what) const {
  return InvalidArgument("{} is not {}", Quoted(text), what);
}

Status CellParser::ParseValue(std::string_view text, ChunkColumn* out) {
  if (target_.row_op) return ParseOp(text, out);
  switch (target_.type.kind) {
    case TypeKind::kBool:
      return ParseBool(text, out);
    case TypeKind::kString:
    case TypeKind::kSymbol:
      return ParseText(text, out);
    case TypeKind::kDecimal:
      return ParseDecimalCell(text, out);
    case TypeKind::kTimestamp:
      return ParseTime(text, out);
    default:
      if (PutNumber(target_.type.kind, WithoutPlus(text), out)) return OkStatus();
      return Expected(
          text, column::IsFloat(target_.type.kind)
                    ? fmt::format("a number that fits {}", column::FormatType(target_.type))
                    : fmt::format("an integer that fits {}", column::FormatType(target_.type)));
  }
}

Status CellParser::ParseBool(std::string_view text, ChunkColumn* out) const {
  const bool yes = text == "1" || text == "true" || text == "True" || text == "TRUE";
  const bool no = text == "0" || text == "false" || text == "False" || text == "FALSE";
  if (!yes && !no) return Expected(text, "a bool (true, false, 1 or 0)");
  out->Put(static_cast<uint8_t>(yes ? 1 : 0));
  return OkStatus();
}

Status CellParser::ParseText(std::string_view text, ChunkColumn* out) const {
  if (target_.row_symbol && text.empty()) return InvalidArgument("it is empty, expected a symbol");
  out->PutText(text);
  return OkStatus();
}

Status CellParser::ParseOp(std::string_view text, ChunkColumn* out) const {
  const bool put = text == "put" || text == "0";
  if (!put && text != "cancel" && text != "1") return Expected(text, "put, cancel, 0 or 1");
  out->Put(static_cast<uint8_t>(put ? 0 : 1));
  return OkStatus();
}

Status CellParser::ParseDecimalCell(std::string_view text, ChunkColumn* out) const {
  const unsigned scale = target_.type.scale;
  int64_t value = 0;
  NumberFault fault = ParseFixedPoint(text, rule_.scaled ? 0 : scale, &value);
  if (rule_.scaled) {
    if (fault == NumberFault::kNotANumber || fault == NumberFault::kTooFine) {
      return Expected(text, fmt::format("an integer (scaled: {})", *rule_.scaled));
    }
    if (fault == NumberFault::kNone) fault = Rescale(value, *rule_.scaled, scale, &value);
  }
  if (fault == NumberFault::kNone &&
      (value >= column::kDecimalLimit || value <= -column::kDecimalLimit)) {
    fault = NumberFault::kTooLarge;
  }
  switch (fault) {
    case NumberFault::kNone:
      out->Put(value);
      return OkStatus();
    case NumberFault::kNotANumber:
      return Expected(text, "a decimal number");
    case NumberFault::kTooFine:
      return InvalidArgument("{} has more digits after the point than {} holds", Quoted(text),
                             column::FormatType(target_.type));
    case NumberFault::kTooLarge:
      return InvalidArgument("{} is too large for {}", Quoted(text),
                             column::FormatType(target_.type));
  }
  return OkStatus();
}

Status CellParser::ParseTime(std::string_view text, ChunkColumn* out) {
  Timestamp ts;
  if (rule_.iso) {
    PX_ASSIGN_OR_RETURN(ts, ParseIso(text));
  } else {
    int64_t since_base = 0;
    int64_t ns = 0;
    const unsigned scale = kNanosecondDigits - *rule_.unit_digits;
    const NumberFault fault = ParseFixedPoint(text, scale, &since_base);
    if (fault == NumberFault::kNotANumber) return Expected(text, "a number of time units");
    if (fault == NumberFault::kTooFine) {
      return InvalidArgument("{} is finer than a nanosecond", Quoted(text));
    }
    if (fault == NumberFault::kTooLarge ||
        __builtin_add_overflow(rule_.base.ns(), since_base, &ns)) {
      return InvalidArgument("{} is beyond 64-bit nanoseconds", Quoted(text));
    }
    ts = Timestamp(ns);
  }
  if (target_.row_time && (ts < kMinRowTimestamp || ts > kMaxRowTimestamp)) {
    return InvalidArgument("{} is outside 1970-01-01..2148-12-31 UTC", Quoted(text));
  }
  out->Put(ts.ns());
  return OkStatus();
}

StatusOr<Timestamp> CellParser::ParseIso(std::string_view text) {
  if (text.size() < 10 || text[4] != '-') {
    return Expected(text, "an ISO-8601 time (2013-10-09T10:00:00.5)");
  }
  std::string whole(text);
  int64_t fraction_ns = 0;
  if (HasIsoShape(text) && text.size() > kIsoSecondBytes &&
      (text[kIsoSecondBytes] == '.' || text[kIsoSecondBytes] == ',')) {
    const size_t digits_end =
        std::min(text.find_first_not_of("0123456789", kIsoSecondBytes + 1), text.size());
    const std::string_view digits =
        text.substr(kIsoSecondBytes + 1, digits_end - kIsoSecondBytes - 1);
    const NumberFault fault =
        ParseFixedPoint("." + std::string(digits), kNanosecondDigits, &fraction_ns);
    if (fault == NumberFault::kTooFine) {
      return InvalidArgument("{} is finer than a nanosecond", Quoted(text));
    }
    if (fault != NumberFault::kNone) return Expected(text, "an ISO-8601 time");
    whole = std::string(text.substr(0, kIsoSecondBytes)) + std::string(text.substr(digits_end));
  }
  if (whole != iso_seen_ || iso_seen_.empty()) {
    StatusOr<Timestamp> second =
        LocalToUtc(whole, rule_.timezone.empty() ? std::string_view("UTC") : rule_.timezone);
    if (!second.ok()) second = ParseTimestamp(whole);
    if (!second.ok()) return Expected(text, "an ISO-8601 time (2013-10-09T10:00:00.5)");
    iso_second_ = *second;
    iso_seen_ = whole;
  }
  return iso_second_.Plus(Duration(fraction_ns));
}

}  // namespace proxist::client
