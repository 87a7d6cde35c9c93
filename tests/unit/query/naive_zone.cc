// Looks for the second in which a local day begins.
#include "tests/unit/query/naive_zone.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>

namespace proxist::query {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kDay = 86'400;

int64_t Floor(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

/// Days from 1970-01-01 to the local date at `second`.
int64_t LocalDay(int64_t second) {
  const time_t time = second;
  tm local{};
  localtime_r(&time, &local);
  return Floor(timegm(&local), kDay);
}

/// The first second of a local day.
int64_t FirstSecondOf(int64_t day) {
  int64_t low = day * kDay - kDay;  // of an earlier day
  int64_t high = day * kDay + kDay;
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (LocalDay(middle) >= day ? high : low) = middle;
  }
  return high;
}

}  // namespace

NaiveZone::NaiveZone(const std::string& name) {
  const char* now = std::getenv("TZ");
  if (now != nullptr && name == now) return;
  setenv("TZ", name.c_str(), 1);
  tzset();
}

int64_t NaiveZone::StartOf(int64_t ts, int64_t interval) const {
  const int64_t day = LocalDay(Floor(ts, kSecond));
  if (interval % (kDay * kSecond) == 0) {
    const int64_t days = interval / (kDay * kSecond);
    return FirstSecondOf(Floor(day, days) * days) * kSecond;
  }
  const int64_t begin = FirstSecondOf(day) * kSecond;
  return begin + (ts - begin) / interval * interval;
}

int64_t NaiveZone::NextAfter(int64_t start, int64_t interval) {
  const int64_t day = LocalDay(Floor(start, kSecond));
  if (interval % (kDay * kSecond) == 0) {
    return FirstSecondOf(day + interval / (kDay * kSecond)) * kSecond;
  }
  return std::min(start + interval, FirstSecondOf(day + 1) * kSecond);
}

}  // namespace proxist::query
