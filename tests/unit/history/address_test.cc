// ClickHouse addresses, quoting and error codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/history/clickhouse.h"
#include "proxist/history/internal/clickhouse_errors.h"
#include "proxist/history/internal/sql.h"

namespace proxist::history {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Address, PartsAndDefaults) {
  const ClickHouseAddress full = ParseAddress("http://me:p%40ss%3A@db.example:9000").value();
  EXPECT_EQ(full.url, "http://db.example:9000");
  EXPECT_EQ(full.user, "me");
  EXPECT_EQ(full.password, "p@ss:");
  const ClickHouseAddress least = ParseAddress("http://localhost").value();
  EXPECT_EQ(least.url, "http://localhost:8123");
  EXPECT_EQ(least.user, "default");
  EXPECT_EQ(least.password, "");
  EXPECT_EQ(ParseAddress("https://[::1]/").value().url, "https://[::1]:8443");
}

TEST(Address, RefusalsKeepThePasswordToThemselves) {
  for (const char* bad : {"", "localhost:8123", "ftp://me:secret@host", "http://", "http://h:99999",
                          "http://me:secret@host/path", "http://host?database=x", "http://h#x",
                          "http://me:sec%0d%0aret@host", "http://ho st"}) {
    const Status status = ParseAddress(bad).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_THAT(std::string(Message(status)), Not(HasSubstr("secret"))) << bad;
  }
}

TEST(Sql, QuotesEverything) {
  EXPECT_EQ(QuoteText("a'b\\c\n\xff"), "'a\\x27b\\x5cc\\x0a\\xff'");
  EXPECT_EQ(QuoteName("a`b\\"), "`a\\`b\\\\`");
  EXPECT_EQ(TypeName({column::TypeKind::kDecimal, 4}, true), "Nullable(Decimal(18, 4))");
  EXPECT_EQ(TypeName({column::TypeKind::kSymbol}, true), "LowCardinality(Nullable(String))");
}

TEST(ClickHouseErrors, CodesAndText) {
  EXPECT_EQ(ClickHouseError(252, "x").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ClickHouseError(516, "x").code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(ClickHouseError(60, "x").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ClickHouseError(47, "x").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ClickHouseError(999999, "x").code(), absl::StatusCode::kInternal);
  EXPECT_EQ(Message(ClickHouseError(60, "no\ntable \n")), "ClickHouse error 60: no table");
  EXPECT_LT(Message(ClickHouseError(60, std::string(10'000, 'x'))).size(), 1000u);
}

}  // namespace
}  // namespace proxist::history
