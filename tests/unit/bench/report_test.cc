// Percentiles and the two forms of a report.
#include "bench/report.h"

#include <gtest/gtest.h>

namespace proxist::bench {
namespace {

TEST(LatenciesTest, PercentilesAreSamplesByNearestRank) {
  Latencies latencies;
  EXPECT_EQ(latencies.Percentile(50).ns(), 0);
  for (int i = 100; i >= 1; --i) latencies.Add(Duration(i));
  EXPECT_EQ(latencies.Percentile(0).ns(), 1);
  EXPECT_EQ(latencies.Percentile(50).ns(), 50);
  EXPECT_EQ(latencies.Percentile(99).ns(), 99);
  EXPECT_EQ(latencies.Percentile(99.5).ns(), 100);
  EXPECT_EQ(latencies.Percentile(100).ns(), 100);
  Latencies one;
  one.Add(Duration(7));
  EXPECT_EQ(one.Percentile(1).ns(), 7);
  EXPECT_EQ(one.Percentile(99).ns(), 7);
}

TEST(ReportTest, TableAndJsonHoldEveryFigure) {
  Latencies latencies;
  latencies.Add(Duration::Micros(12));
  Result result;
  result.name = "one row";
  result.With("bytes", 4096).WithLatency("ack", latencies);
  EXPECT_EQ(FormatTable("acks", {result}),
            "acks\n"
            "                  bytes    ack p50 us    ack p99 us\n"
            "  one row          4096         12.00         12.00\n");
  EXPECT_EQ(FormatJson("acks", {result}),
            "{\"benchmark\":\"acks\",\"results\":[{\"name\":\"one row\",\"bytes\":4096.0,"
            "\"ack p50 us\":12.0,\"ack p99 us\":12.0}]}\n");
}

}  // namespace
}  // namespace proxist::bench
