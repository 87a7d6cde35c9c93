// Timestamps: calendar arithmetic, text forms, time zones.
#include "proxist/base/time.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace proxist {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kDay = 86400 * kSecond;

int64_t Parsed(std::string_view text) {
  const StatusOr<Timestamp> ts = ParseTimestamp(text);
  EXPECT_TRUE(ts.ok()) << text << ": " << ts.status();
  return ts.ok() ? ts->ns() : -1;
}

TEST(TimestampTest, SaturatesAtBothEnds) {
  EXPECT_EQ(Timestamp::Max().Plus(Duration(1)), Timestamp::Max());
  EXPECT_EQ(Timestamp::Min().Minus(Duration(1)), Timestamp::Min());
  EXPECT_EQ(Timestamp(0).Minus(Duration(std::numeric_limits<int64_t>::min())), Timestamp::Max());
  EXPECT_EQ(Timestamp(5).Plus(Duration(-7)), Timestamp(-2));
}

TEST(DayTest, FloorsForNegativeTimes) {
  EXPECT_EQ(DayOf(Timestamp(0)), Day(0));
  EXPECT_EQ(DayOf(Timestamp(-1)), Day(-1));
  EXPECT_EQ(DayOf(Timestamp(kDay - 1)), Day(0));
  EXPECT_EQ(DayOf(Timestamp(kDay)), Day(1));
  EXPECT_EQ(DayOf(Timestamp(-kDay)), Day(-1));
  EXPECT_EQ(DayOf(Timestamp(-kDay - 1)), Day(-2));
  EXPECT_EQ(StartOf(Day(-1)), Timestamp(-kDay));
  EXPECT_EQ(StartOf(Day::Max()), Timestamp::Max());
  EXPECT_EQ(StartOf(Day(std::numeric_limits<int32_t>::min())), Timestamp::Min());
  EXPECT_EQ(StartOf(DayOf(Timestamp::Max())).ns(),
            std::numeric_limits<int64_t>::max() / kDay * kDay);
}

TEST(FormatTest, CoversTheWholeRange) {
  EXPECT_EQ(FormatIso8601(Timestamp(0)), "1970-01-01T00:00:00.000000000Z");
  EXPECT_EQ(FormatIso8601(Timestamp(-1)), "1969-12-31T23:59:59.999999999Z");
  EXPECT_EQ(FormatIso8601(Timestamp::Max()), "2262-04-11T23:47:16.854775807Z");
  EXPECT_EQ(FormatIso8601(Timestamp::Min()), "1677-09-21T00:12:43.145224192Z");
  EXPECT_EQ(FormatIso8601(kMaxRowTimestamp), "2148-12-31T23:59:59.999999999Z");
  EXPECT_EQ(FormatDay(Day(15987)), "2013-10-09");
  EXPECT_EQ(FormatDay(Day(11016)), "2000-02-29");
}

TEST(ParseTimestampTest, ReadsWhatItFormatsOverTheWholeRange) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const Timestamp ts(static_cast<int64_t>(random()));
    ASSERT_EQ(Parsed(FormatIso8601(ts)), ts.ns());
  }
  for (const Timestamp ts : {Timestamp::Min(), Timestamp::Max(), Timestamp(0), kMaxRowTimestamp}) {
    EXPECT_EQ(Parsed(FormatIso8601(ts)), ts.ns());
  }
}

TEST(ParseTimestampTest, ReadsOffsetsAndFractions) {
  const int64_t at = 1381327200 * kSecond;  // 2013-10-09T14:00:00Z
  EXPECT_EQ(Parsed("2013-10-09T14:00:00Z"), at);
  EXPECT_EQ(Parsed("2013-10-09T14:00:00"), at);
  EXPECT_EQ(Parsed("2013-10-09 14:00:00"), at);
  EXPECT_EQ(Parsed("2013-10-09T14:00"), at);
  EXPECT_EQ(Parsed("2013-10-09T10:00:00-04:00"), at);
  EXPECT_EQ(Parsed("2013-10-09T10:00:00-0400"), at);
  EXPECT_EQ(Parsed("2013-10-09T19:30:00+05:30"), at);
  EXPECT_EQ(Parsed("2013-10-10T03:00:00+13:00"), at);
  EXPECT_EQ(Parsed("2013-10-09"), at - 14 * 3600 * kSecond);
  EXPECT_EQ(Parsed("2013-10-09T14:00:00.5Z"), at + kSecond / 2);
  EXPECT_EQ(Parsed("2013-10-09T14:00:00.000000001"), at + 1);
  EXPECT_EQ(Parsed("2013-10-09T10:00:00.123456789-04:00"), at + 123456789);
  EXPECT_EQ(Parsed("1969-12-31T23:59:59.9Z"), -kSecond / 10);
}

TEST(ParseTimestampTest, KnowsLeapDays) {
  EXPECT_EQ(Parsed("2000-02-29"), 11016 * kDay);
  EXPECT_EQ(Parsed("2012-03-01") - Parsed("2012-02-28"), 2 * kDay);
  EXPECT_EQ(Parsed("2013-03-01") - Parsed("2013-02-28"), kDay);
  for (const char* text : {"2013-02-29", "1900-02-29", "2100-02-29", "2013-04-31"}) {
    EXPECT_EQ(ParseTimestamp(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(ParseTimestampTest, ReadsIntegersAndNow) {
  EXPECT_EQ(Parsed("0"), 0);
  EXPECT_EQ(Parsed("-1"), -1);
  EXPECT_EQ(Parsed("1381327200000000000"), 1381327200 * kSecond);
  EXPECT_EQ(Parsed("9223372036854775807"), Timestamp::Max().ns());
  EXPECT_EQ(Parsed("-9223372036854775808"), Timestamp::Min().ns());
  EXPECT_EQ(Parsed("now"), Timestamp::Max().ns());
}

TEST(ParseTimestampTest, RefusesJunkAndNamesIt) {
  for (const char* text : {"",
                           " ",
                           "-",
                           "+1",
                           "1.5",
                           "Now",
                           "2013-10",
                           "2013-1-9",
                           "2013-00-10",
                           "2013-13-10",
                           "2013-10-00",
                           "2013-10-32",
                           "2013-10-09T",
                           "2013-10-09T14",
                           "2013-10-09T24:00:00",
                           "2013-10-09T14:60:00",
                           "2013-10-09T14:00:60",
                           "2013-10-09T14:00:00.",
                           "2013-10-09T14:00:00.1234567890",
                           "2013-10-09T14:00:00ZZ",
                           "2013-10-09T14:00:00 Z",
                           "2013-10-09T14:00:00+4",
                           "2013-10-09T14:00:00+24:00",
                           "2013-10-09T14:00:00+04:60",
                           "2013-10-09Z",
                           " 2013-10-09",
                           "2013-10-09 ",
                           "2013-10-09T14:00:00z",
                           "9223372036854775808",
                           "-9223372036854775809",
                           "2263-01-01",
                           "1677-01-01",
                           "0000-01-01",
                           "9999-12-31T23:59:59Z",
                           "2262-04-11T23:47:16.854775808Z"}) {
    const StatusOr<Timestamp> ts = ParseTimestamp(text);
    ASSERT_EQ(ts.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(Message(ts.status())), HasSubstr(fmt::format("'{}'", text)));
  }
}

TEST(DurationTest, ParsesSumsOfUnits) {
  const auto ns = [](std::string_view text) { return ParseDuration(text).value().ns(); };
  EXPECT_EQ(ns("250ns"), 250);
  EXPECT_EQ(ns("10us"), 10'000);
  EXPECT_EQ(ns("5ms"), 5'000'000);
  EXPECT_EQ(ns("3s"), 3 * kSecond);
  EXPECT_EQ(ns("1m"), 60 * kSecond);
  EXPECT_EQ(ns("2h"), 7200 * kSecond);
  EXPECT_EQ(ns("1d"), kDay);
  EXPECT_EQ(ns("1h30m"), 5400 * kSecond);
  EXPECT_EQ(ns("0s"), 0);
  EXPECT_EQ(ns("9223372036854775807ns"), std::numeric_limits<int64_t>::max());
}

TEST(DurationTest, RefusesJunk) {
  for (const char* text : {"", "5", "s", "-1s", "1.5s", "1 s", "1S", "1w", "1s2", "1min",
                           "9223372036854775808ns", "106752d", "106751d24h", "1h-1m"}) {
    const StatusOr<Duration> d = ParseDuration(text);
    ASSERT_EQ(d.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(Message(d.status())), HasSubstr(fmt::format("'{}'", text)));
  }
}

TEST(DurationTest, FormatsWhatItParses) {
  EXPECT_EQ(FormatDuration(Duration(0)), "0s");
  EXPECT_EQ(FormatDuration(Duration::Seconds(5400)), "1h30m");
  EXPECT_EQ(FormatDuration(Duration(1'500'000'001)), "1s500ms1ns");
  EXPECT_EQ(FormatDuration(Duration(-250)), "-250ns");
  EXPECT_EQ(FormatDuration(Duration(std::numeric_limits<int64_t>::min())),
            "-106751d23h47m16s854ms775us808ns");
  std::mt19937_64 random(11);
  for (int i = 0; i < 2'000; ++i) {
    const Duration d(static_cast<int64_t>(random() >> 1) >> (random() % 63));
    ASSERT_EQ(ParseDuration(FormatDuration(d)).value(), d);
  }
}

std::string Utc(std::string_view local, std::string_view zone) {
  const StatusOr<Timestamp> ts = LocalToUtc(local, zone);
  return ts.ok() ? FormatIso8601(*ts) : ts.status().ToString();
}

TEST(LocalToUtcTest, FollowsDaylightSaving) {
  EXPECT_EQ(Utc("2013-10-09T00:00:00", "America/New_York"), "2013-10-09T04:00:00.000000000Z");
  EXPECT_EQ(Utc("2013-12-09", "America/New_York"), "2013-12-09T05:00:00.000000000Z");
  EXPECT_EQ(Utc("2013-10-09T10:00:00.25", "UTC"), "2013-10-09T10:00:00.250000000Z");
  EXPECT_EQ(Utc("2013-10-09T10:00:00", "Asia/Kolkata"), "2013-10-09T04:30:00.000000000Z");
}

TEST(LocalToUtcTest, SkippedAndRepeatedTimesTakeTheOffsetBefore) {
  // 2013-03-10: 02:00 EST becomes 03:00 EDT. 02:30 at -05:00 is 07:30 UTC.
  EXPECT_EQ(Utc("2013-03-10T01:59:59.999999999", "America/New_York"),
            "2013-03-10T06:59:59.999999999Z");
  EXPECT_EQ(Utc("2013-03-10T02:30:00", "America/New_York"), "2013-03-10T07:30:00.000000000Z");
  EXPECT_EQ(Utc("2013-03-10T03:00:00", "America/New_York"), "2013-03-10T07:00:00.000000000Z");
  // 2013-11-03: 02:00 EDT becomes 01:00 EST. 01:30 at -04:00 is 05:30 UTC.
  EXPECT_EQ(Utc("2013-11-03T01:30:00", "America/New_York"), "2013-11-03T05:30:00.000000000Z");
  EXPECT_EQ(Utc("2013-11-03T02:00:00", "America/New_York"), "2013-11-03T07:00:00.000000000Z");
}

TEST(LocalToUtcTest, RefusesOffsetsUnknownZonesAndPaths) {
  EXPECT_THAT(Utc("2013-10-09T10:00:00Z", "UTC"), HasSubstr("without an offset"));
  EXPECT_THAT(Utc("2013-10-09T10:00:00-04:00", "UTC"), HasSubstr("without an offset"));
  for (const char* zone : {"", "Mars/Olympus", "/etc/localtime", "../zoneinfo/UTC", "localtime",
                           "file:UTC", "America", "New York"}) {
    EXPECT_EQ(LocalToUtc("2013-10-09", zone).status().code(), absl::StatusCode::kInvalidArgument)
        << zone;
  }
}

}  // namespace
}  // namespace proxist
