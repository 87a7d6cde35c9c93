// Reads timestamps from text, with an offset or in a named time zone.
#include <algorithm>
#include <charconv>
#include <chrono>

#include "proxist/base/time.h"
#include "proxist/base/time_zone.h"

namespace proxist {
namespace {

// Wide enough for every year that four digits can name.
__extension__ using Int128 = __int128;

/// A wall-clock time as it is written; `offset_seconds` counts only when `has_offset`.
struct WrittenTime {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  int64_t hour = 0;
  int64_t minute = 0;
  int64_t second = 0;
  int64_t fraction_ns = 0;
  bool has_offset = false;
  int64_t offset_seconds = 0;
};

/// Takes pieces off the front of a text; every taker returns false and stops at a mismatch.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}
  [[nodiscard]] bool done() const { return rest_.empty(); }
  [[nodiscard]] bool NextIs(char c) const { return !rest_.empty() && rest_.front() == c; }
  bool Skip(char c) {
    if (!NextIs(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  template <typename T>
  bool Digits(size_t count, T* out) {
    if (rest_.size() < count) return false;
    T value = 0;
    for (size_t i = 0; i < count; ++i) {
      if (rest_[i] < '0' || rest_[i] > '9') return false;
      value = static_cast<T>(value * 10 + static_cast<T>(rest_[i] - '0'));
    }
    rest_.remove_prefix(count);
    *out = value;
    return true;
  }
  /// 1 to 9 digits after the point, as nanoseconds.
  bool Fraction(int64_t* ns) {
    size_t count = 0;
    while (count < rest_.size() && rest_[count] >= '0' && rest_[count] <= '9') ++count;
    if (count == 0 || count > 9) return false;
    if (!Digits(count, ns)) return false;
    for (; count < 9; ++count) *ns *= 10;
    return true;
  }

 private:
  std::string_view rest_;
};

bool ScanOffset(Scanner* in, WrittenTime* out) {
  if (in->done()) return true;
  out->has_offset = true;
  if (in->Skip('Z')) return in->done();
  const bool negative = in->NextIs('-');
  if (!in->Skip('-') && !in->Skip('+')) return false;
  int64_t hours = 0;
  int64_t minutes = 0;
  if (!in->Digits(2, &hours)) return false;
  in->Skip(':');
  if (!in->Digits(2, &minutes) || hours > 23 || minutes > 59) return false;
  out->offset_seconds = (hours * 3600 + minutes * 60) * (negative ? -1 : 1);
  return in->done();
}

bool ScanIso8601(std::string_view text, WrittenTime* out) {
  Scanner in(text);
  if (!in.Digits(4, &out->year) || !in.Skip('-') || !in.Digits(2, &out->month) || !in.Skip('-') ||
      !in.Digits(2, &out->day)) {
    return false;
  }
  if (!std::chrono::year_month_day{std::chrono::year{out->year}, std::chrono::month{out->month},
                                   std::chrono::day{out->day}}
           .ok()) {
    return false;
  }
  if (in.done()) return true;
  if (!in.Skip('T') && !in.Skip(' ')) return false;
  if (!in.Digits(2, &out->hour) || !in.Skip(':') || !in.Digits(2, &out->minute)) return false;
  if (in.Skip(':')) {
    if (!in.Digits(2, &out->second)) return false;
    if (in.Skip('.') && !in.Fraction(&out->fraction_ns)) return false;
  }
  if (out->hour > 23 || out->minute > 59 || out->second > 59) return false;
  return ScanOffset(&in, out);
}

Status DoesNotFit(std::string_view text) {
  return InvalidArgument(
      "time '{}' does not fit 64 bits of nanoseconds since 1970: years 1678 "
      "to 2261 do",
      text);
}

StatusOr<Timestamp> FromSeconds(int64_t seconds, int64_t fraction_ns, std::string_view text) {
  const Int128 ns = static_cast<Int128>(seconds) * 1'000'000'000 + fraction_ns;
  if (ns < std::numeric_limits<int64_t>::min() || ns > std::numeric_limits<int64_t>::max()) {
    return DoesNotFit(text);
  }
  return Timestamp(static_cast<int64_t>(ns));
}

/// Days since 1970-01-01, and seconds since midnight.
int64_t WrittenDay(const WrittenTime& written) {
  const std::chrono::sys_days date{std::chrono::year_month_day{std::chrono::year{written.year},
                                                               std::chrono::month{written.month},
                                                               std::chrono::day{written.day}}};
  return date.time_since_epoch().count();
}
int64_t SecondOf(const WrittenTime& written) {
  return written.hour * 3600 + written.minute * 60 + written.second;
}

bool IsInteger(std::string_view text) {
  if (!text.empty() && text.front() == '-') text.remove_prefix(1);
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

StatusOr<Timestamp> ParseTimestamp(std::string_view text) {
  if (text == "now") return Timestamp::Max();
  if (IsInteger(text)) {
    int64_t ns = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), ns);
    if (result.ec != std::errc()) {
      return InvalidArgument("time '{}' does not fit 64 bits of nanoseconds since 1970", text);
    }
    return Timestamp(ns);
  }
  WrittenTime written;
  if (!ScanIso8601(text, &written)) {
    return InvalidArgument(
        "time '{}' is none of: ISO-8601 as 2013-10-09T14:00:00.123456789Z with an offset or UTC, "
        "a date, integer nanoseconds since 1970, 'now'",
        text);
  }
  const int64_t seconds = WrittenDay(written) * 86400 + SecondOf(written) - written.offset_seconds;
  return FromSeconds(seconds, written.fraction_ns, text);
}

StatusOr<Timestamp> LocalToUtc(std::string_view local_iso8601, std::string_view zone) {
  WrittenTime written;
  if (!ScanIso8601(local_iso8601, &written) || written.has_offset) {
    return InvalidArgument(
        "local time '{}' is not ISO-8601 without an offset, as 2013-10-09T10:00:00", local_iso8601);
  }
  PX_ASSIGN_OR_RETURN(const TimeZone loaded, TimeZone::Load(zone));
  const Timestamp second = loaded.At(WrittenDay(written), Duration::Seconds(SecondOf(written)));
  if (second == Timestamp::Min() || second == Timestamp::Max()) return DoesNotFit(local_iso8601);
  return second.Plus(Duration(written.fraction_ns));
}

}  // namespace proxist
