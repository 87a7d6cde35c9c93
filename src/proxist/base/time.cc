// Calendar arithmetic on timestamps, and formatting. Reading text is in parse_time.cc.
#include "proxist/base/time.h"

#include <array>
#include <chrono>

namespace proxist {
namespace {

constexpr int64_t kDayNs = Duration::Days(1).ns();

struct Unit {
  int64_t ns;
  std::string_view name;
};
constexpr std::array<Unit, 7> kUnits{{{Duration::Days(1).ns(), "d"},
                                      {Duration::Hours(1).ns(), "h"},
                                      {Duration::Seconds(60).ns(), "m"},
                                      {Duration::Seconds(1).ns(), "s"},
                                      {Duration::Millis(1).ns(), "ms"},
                                      {Duration::Micros(1).ns(), "us"},
                                      {1, "ns"}}};

}  // namespace

Day DayOf(Timestamp ts) {
  int64_t days = ts.ns() / kDayNs;
  if (ts.ns() % kDayNs < 0) --days;
  return Day(static_cast<int32_t>(days));
}

Timestamp StartOf(Day day) {
  int64_t ns = 0;
  if (__builtin_mul_overflow(int64_t{day.value()}, kDayNs, &ns)) {
    return day.value() < 0 ? Timestamp::Min() : Timestamp::Max();
  }
  return Timestamp(ns);
}

std::string FormatDay(Day day) {
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{day.value()}}};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

std::string FormatIso8601(Timestamp ts) {
  const Day day = DayOf(ts);
  // Of the first representable day only a part exists, so its start does not fit an int64.
  int64_t in_day = ts.ns() % kDayNs;
  if (in_day < 0) in_day += kDayNs;
  const int64_t seconds = in_day / 1'000'000'000;
  return fmt::format("{}T{:02}:{:02}:{:02}.{:09}Z", FormatDay(day), seconds / 3600,
                     seconds / 60 % 60, seconds % 60, in_day % 1'000'000'000);
}

std::string FormatDuration(Duration d) {
  if (d.ns() == 0) return "0s";
  std::string out;
  // The magnitude as unsigned, since -INT64_MIN does not fit.
  auto rest = static_cast<uint64_t>(d.ns());
  if (d.ns() < 0) {
    out = "-";
    rest = -rest;
  }
  for (const Unit& unit : kUnits) {
    const uint64_t count = rest / static_cast<uint64_t>(unit.ns);
    rest %= static_cast<uint64_t>(unit.ns);
    if (count > 0) out += fmt::format("{}{}", count, unit.name);
  }
  return out;
}

StatusOr<Duration> ParseDuration(std::string_view text) {
  const auto bad = [text](std::string_view why) {
    return InvalidArgument(
        "duration '{}': {}; expected numbers with units ns, us, ms, s, m, h or d, as in '1h30m'",
        text, why);
  };
  if (text.empty()) return bad("it is empty");
  int64_t total = 0;
  size_t at = 0;
  while (at < text.size()) {
    int64_t count = 0;
    const size_t digits = at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      if (__builtin_mul_overflow(count, int64_t{10}, &count) ||
          __builtin_add_overflow(count, int64_t{text[at] - '0'}, &count)) {
        return bad("it does not fit 64 bits of nanoseconds");
      }
    }
    if (at == digits) return bad("a number is missing");
    const size_t name = at;
    while (at < text.size() && text[at] >= 'a' && text[at] <= 'z') ++at;
    const Unit* found = nullptr;
    for (const Unit& unit : kUnits) {
      if (unit.name == text.substr(name, at - name)) found = &unit;
    }
    if (found == nullptr) return bad("a unit is missing or unknown");
    int64_t ns = 0;
    if (__builtin_mul_overflow(count, found->ns, &ns) ||
        __builtin_add_overflow(total, ns, &total)) {
      return bad("it does not fit 64 bits of nanoseconds");
    }
  }
  return Duration(total);
}

}  // namespace proxist
