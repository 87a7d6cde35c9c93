// Days of a time zone, as its clocks show them.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "proxist/base/status.h"
#include "proxist/base/time.h"

namespace proxist {

/// An IANA time zone out of the system's zone files. Copies are cheap; any thread.
class TimeZone {
 public:
  /// INVALID_ARGUMENT for an unknown zone.
  static StatusOr<TimeZone> Load(std::string_view name);

  /// When clocks show `time_of_day` (0 to 24 h) on day `day` (of 1970-01-01: 0). A time that a
  /// clock change skips or repeats takes the offset before the change.
  [[nodiscard]] Timestamp At(int64_t day, Duration time_of_day) const;
  /// The greatest day with At(day, time_of_day) <= ts.
  [[nodiscard]] int64_t DayOf(Timestamp ts, Duration time_of_day) const;
  /// What clocks show at `ts`, as time since midnight.
  [[nodiscard]] Duration TimeOfDay(Timestamp ts) const;

 private:
  struct Zone;
  std::shared_ptr<const Zone> zone_;
};

}  // namespace proxist
