// Log lines, metrics' text form, the slow-query line.
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/observe/log.h"
#include "proxist/observe/metrics.h"
#include "proxist/observe/slow_query.h"

namespace proxist::observe {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

std::string Logged(const std::function<void()>& write) {
  testing::internal::CaptureStderr();
  write();
  return testing::internal::GetCapturedStderr();
}

TEST(Log, OneLineAnEventWithTimeAndLevel) {
  EXPECT_THAT(Logged([] { LogInfo("two\nlines\tand \x01{}", 7); }),
              MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{6}Z info "
                           "two\\\\nlines\\\\tand \\\\x017\n"));
  EXPECT_THAT(Logged([] { LogWarning("{}", "{not a format}"); }),
              testing::EndsWith(" warning {not a format}\n"));
}

TEST(Log, LevelsBelowTheChosenOneAreDropped) {
  EXPECT_EQ(Logged([] { LogDebug("quiet"); }), "");
  SetLogLevel(LogLevel::kError);
  EXPECT_EQ(Logged([] { LogWarning("quiet"); }), "");
  EXPECT_THAT(Logged([] { LogError("loud"); }), HasSubstr("error loud"));
  SetLogLevel(LogLevel::kDebug);
  EXPECT_THAT(Logged([] { LogDebug("told"); }), HasSubstr("debug told"));
  SetLogLevel(LogLevel::kInfo);
}

TEST(Log, LevelNames) {
  EXPECT_EQ(*ParseLogLevel("warning"), LogLevel::kWarning);
  EXPECT_EQ(ParseLogLevel("loud").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Metrics, CountsWrites) {
  Metrics metrics;
  metrics.RecordWrite(OkStatus(), 100, false, Duration::Micros(60));
  metrics.RecordWrite(OkStatus(), 100, true, Duration::Micros(60));
  metrics.RecordWrite(InvalidArgument("bad"), 7, false, Duration::Micros(60));
  const std::string text = metrics.Exposition();
  EXPECT_THAT(text, HasSubstr("proxist_ingest_batches_total{code=\"OK\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("proxist_ingest_batches_total{code=\"INVALID_ARGUMENT\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("proxist_ingest_rows_total 100\n"));
  EXPECT_THAT(text, HasSubstr("proxist_ingest_duplicate_batches_total 1\n"));
  EXPECT_THAT(text, HasSubstr("proxist_ingest_ack_seconds_count 2\n"));
  EXPECT_THAT(text, HasSubstr("proxist_ingest_ack_seconds_bucket{le=\"5e-05\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("proxist_ingest_ack_seconds_bucket{le=\"0.0001\"} 2\n"));
}

TEST(Metrics, CountsQueries) {
  Metrics metrics;
  metrics.RecordQuery("asof", OkStatus(), 10, 3, Duration::Millis(1));
  metrics.RecordQuery("asof", Cancelled("gone"), 1, 0, Duration::Millis(1));
  const std::string text = metrics.Exposition();
  EXPECT_THAT(text, HasSubstr("proxist_queries_total{code=\"CANCELLED\",operator=\"asof\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("proxist_query_rows_read_total{side=\"hot\"} 11\n"));
  EXPECT_THAT(text, HasSubstr("proxist_query_rows_read_total{side=\"cold\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("proxist_query_seconds_count{operator=\"asof\"} 2\n"));
}

TEST(Metrics, SamplesOfOneNameShareOneHead) {
  Metrics metrics;
  metrics.SetSamples([] {
    return std::vector<Sample>{
        {"proxist_x", "Help.", Sample::Kind::kGauge, {{"shard", "0"}}, 1.5},
        {"proxist_x", "Help.", Sample::Kind::kGauge, {{"shard", "a\"b\\c\nd"}}, 2},
        {"proxist_y_total", "Other.", Sample::Kind::kCounter, {}, 3}};
  });
  const std::string text = metrics.Exposition();
  EXPECT_THAT(text, HasSubstr("# HELP proxist_x Help.\n# TYPE proxist_x gauge\n"
                              "proxist_x{shard=\"0\"} 1.5\n"
                              "proxist_x{shard=\"a\\\"b\\\\c\\nd\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE proxist_y_total counter\nproxist_y_total 3\n"));
}

TEST(SlowQuery, IsLoggedFromTheThresholdOn) {
  query::Explain explain;
  explain.rows_hot = 5;
  explain.rows_cold = 6;
  FinishedQuery query{.operation = "asof", .tables = "trades,quotes", .rows_out = 4};
  query.elapsed = Duration::Millis(12);
  EXPECT_EQ(Logged([&] { LogIfSlow(query, explain, Duration()); }), "");
  EXPECT_EQ(Logged([&] { LogIfSlow(query, explain, Duration::Millis(13)); }), "");
  const std::string line = Logged([&] { LogIfSlow(query, explain, Duration::Millis(12)); });
  EXPECT_THAT(line, HasSubstr("warning slow query operator=asof tables=trades,quotes status=OK "
                              "elapsed_ms=12.000 rows_out=4 rows_hot=5 rows_cold=6 "));
}

}  // namespace
}  // namespace proxist::observe
