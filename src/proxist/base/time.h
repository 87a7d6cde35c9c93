// Points and spans of time in nanoseconds, and their text forms.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"

namespace proxist {

/// A span in nanoseconds.
class Duration {
 public:
  constexpr Duration() = default;
  constexpr explicit Duration(int64_t ns) : ns_(ns) {}
  [[nodiscard]] constexpr int64_t ns() const { return ns_; }
  constexpr auto operator<=>(const Duration&) const = default;
  static constexpr Duration Micros(int64_t n) { return Duration(n * 1000); }
  static constexpr Duration Millis(int64_t n) { return Duration(n * 1'000'000); }
  static constexpr Duration Seconds(int64_t n) { return Duration(n * 1'000'000'000); }
  static constexpr Duration Hours(int64_t n) { return Seconds(n * 3600); }
  static constexpr Duration Days(int64_t n) { return Seconds(n * 86400); }

 private:
  int64_t ns_ = 0;
};

/// Nanoseconds since the Unix epoch, UTC.
class Timestamp {
 public:
  constexpr Timestamp() = default;
  constexpr explicit Timestamp(int64_t ns) : ns_(ns) {}
  [[nodiscard]] constexpr int64_t ns() const { return ns_; }
  constexpr auto operator<=>(const Timestamp&) const = default;
  /// Before every row: also the "no floor" value.
  static constexpr Timestamp Min() { return Timestamp(std::numeric_limits<int64_t>::min()); }
  /// After every row: what `now` means in a query.
  static constexpr Timestamp Max() { return Timestamp(std::numeric_limits<int64_t>::max()); }
  /// Saturating arithmetic: query bounds may be extreme.
  [[nodiscard]] constexpr Timestamp Plus(Duration d) const {
    return Timestamp(Saturated(ns_, d.ns()));
  }
  [[nodiscard]] constexpr Timestamp Minus(Duration d) const {
    return d.ns() == std::numeric_limits<int64_t>::min() ? Max()
                                                         : Timestamp(Saturated(ns_, -d.ns()));
  }

 private:
  static constexpr int64_t Saturated(int64_t a, int64_t b) {
    int64_t sum = 0;
    if (__builtin_add_overflow(a, b, &sum)) {
      return b > 0 ? std::numeric_limits<int64_t>::max() : std::numeric_limits<int64_t>::min();
    }
    return sum;
  }
  int64_t ns_ = 0;
};

/// The least and greatest timestamp a row may have: 1970-01-01 to the end of 2148 (ClickHouse's
/// Date covers 1970..2149-06-06; rows stop at the last whole year).
inline constexpr Timestamp kMinRowTimestamp{0};
inline constexpr Timestamp kMaxRowTimestamp{5'648'745'600'000'000'000 - 1};

/// The UTC day that holds `ts`; floors, so it is right for negative times too.
Day DayOf(Timestamp ts);
/// The first nanosecond of `day`, or Timestamp::Min() or Max() when that does not fit.
Timestamp StartOf(Day day);

/// "2013-10-09T14:00:00.123456789Z", always nine digits and UTC.
std::string FormatIso8601(Timestamp ts);
/// "2013-10-09".
std::string FormatDay(Day day);

/// Reads ISO-8601 ("T" or a space before the hour; seconds may be missing) with 0 to 9 fraction
/// digits and an offset ("Z", "+hh:mm", "-hhmm"; a date alone is its midnight UTC; no offset means
/// UTC), an integer (ns since the epoch), or "now"
/// (Timestamp::Max()). INVALID_ARGUMENT names the text and what was expected.
StatusOr<Timestamp> ParseTimestamp(std::string_view text);

/// Reads "250ns", "10us", "5ms", "3s", "1m", "2h", "1d" and sums of them ("1h30m"); not negative.
StatusOr<Duration> ParseDuration(std::string_view text);
/// Largest units first, as ParseDuration reads it back ("1h30m", "0s"); negative ones get a "-".
std::string FormatDuration(Duration d);

/// A wall-clock time in `zone` (an IANA name, looked up in the system's zone files) as UTC. A time
/// that a clock change skips or repeats takes the offset before the change. INVALID_ARGUMENT for an
/// unknown zone.
StatusOr<Timestamp> LocalToUtc(std::string_view local_iso8601, std::string_view zone);

}  // namespace proxist
