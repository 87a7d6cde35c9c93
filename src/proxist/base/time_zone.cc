// Civil time by Abseil's reading of the zone files.
#include "proxist/base/time_zone.h"

#include <algorithm>

#include <absl/time/civil_time.h>
#include <absl/time/time.h>

namespace proxist {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

/// The zone database is a tree of files: only plain names may reach it, never other paths.
bool IsZoneName(std::string_view zone) {
  if (zone.empty() || zone.size() > 64 || zone.front() == '/' || zone == "localtime") return false;
  return std::ranges::all_of(zone, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '+' || c == '-' || c == '/';
  });
}

absl::Time TimeOf(Timestamp ts) { return absl::FromUnixNanos(ts.ns()); }

Timestamp FromSeconds(int64_t seconds, int64_t ns) {
  int64_t out = 0;
  if (__builtin_mul_overflow(seconds, kSecond, &out) || __builtin_add_overflow(out, ns, &out)) {
    return seconds < 0 ? Timestamp::Min() : Timestamp::Max();
  }
  return Timestamp(out);
}

}  // namespace

struct TimeZone::Zone {
  absl::TimeZone zone;
};

StatusOr<TimeZone> TimeZone::Load(std::string_view name) {
  auto zone = std::make_shared<Zone>();
  if (!IsZoneName(name) ||
      !absl::LoadTimeZone(absl::string_view(name.data(), name.size()), &zone->zone)) {
    return InvalidArgument(
        "time zone '{}' is not in this machine's zone files; expected an IANA "
        "name as America/New_York",
        name);
  }
  TimeZone out;
  out.zone_ = std::move(zone);
  return out;
}

Timestamp TimeZone::At(int64_t day, Duration time_of_day) const {
  const absl::CivilSecond civil =
      absl::CivilSecond(absl::CivilDay(1970, 1, 1) + day) + time_of_day.ns() / kSecond;
  return FromSeconds(absl::ToUnixSeconds(zone_->zone.At(civil).pre), time_of_day.ns() % kSecond);
}

int64_t TimeZone::DayOf(Timestamp ts, Duration time_of_day) const {
  const absl::CivilSecond civil = zone_->zone.At(TimeOf(ts)).cs;
  int64_t day = absl::CivilDay(civil) - absl::CivilDay(1970, 1, 1);
  // Around a change of clocks the shown date may be a day off either way.
  while (At(day + 1, time_of_day) <= ts) ++day;
  while (At(day, time_of_day) > ts) --day;
  return day;
}

Duration TimeZone::TimeOfDay(Timestamp ts) const {
  const absl::TimeZone::CivilInfo info = zone_->zone.At(TimeOf(ts));
  return Duration((info.cs - absl::CivilSecond(absl::CivilDay(info.cs))) * kSecond +
                  absl::ToInt64Nanoseconds(info.subsecond));
}

}  // namespace proxist
