// What is made of a SQL request before it is sent on.
#include "proxist/server/sql_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/server/url_query.h"

namespace proxist::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::StartsWith;

TEST(UrlQuery, DecodesAndEncodesAnyBytes) {
  EXPECT_THAT(ParseUrlQuery("/a?b=c&d&=e&f=%41+%2b%&g=%zz&&h=1=2"),
              ElementsAre(Pair("b", "c"), Pair("d", ""), Pair("", "e"), Pair("f", "A +%"),
                          Pair("g", "%zz"), Pair("h", "1=2")));
  EXPECT_TRUE(ParseUrlQuery("/a").empty());
  EXPECT_TRUE(ParseUrlQuery("/a?").empty());
  std::string bytes;
  for (int c = 0; c < 256; ++c) bytes += static_cast<char>(c);
  EXPECT_EQ(ParseUrlQuery("/?" + FormatUrlQuery({{bytes, bytes}, {"x", ""}})),
            (UrlQuery{{bytes, bytes}, {"x", ""}}));
  EXPECT_EQ(PathOf("/a/b?c/d"), "/a/b");
  EXPECT_EQ(ValueOf({{"a", "1"}, {"a", "2"}}, "a"), "1");
}

SqlTarget Rewrite(std::string_view target) {
  SqlOptions options;
  options.timeout = Duration::Seconds(30);
  return RewriteSqlTarget(target, options).value();
}

TEST(SqlTarget, KeepsWhatTheClientSaysAndInsistsOnTheRest) {
  const SqlTarget target = Rewrite(
      "/?query=SELECT%201&database=d&param_a=%0a&user=x&password=y&readonly=0&query_id=mine&"
      "cancel_http_readonly_queries_on_client_close=0");
  EXPECT_EQ(target.query_id, "mine");
  EXPECT_EQ(target.statement, "SELECT 1");
  EXPECT_THAT(ParseUrlQuery(target.target),
              ElementsAre(Pair("query", "SELECT 1"), Pair("database", "d"), Pair("param_a", "\n"),
                          Pair("query_id", "mine"), Pair("max_execution_time", "30"),
                          Pair("cancel_http_readonly_queries_on_client_close", "1"),
                          Pair("readonly", "2")));
  EXPECT_EQ(Rewrite("/ping?x=1").target, "/ping");
}

TEST(SqlTarget, BoundsTheTimeAndNamesEveryQuery) {
  const auto time = [](std::string_view asked) {
    return std::string(
        ValueOf(ParseUrlQuery(Rewrite(fmt::format("/?max_execution_time={}", asked)).target),
                "max_execution_time"));
  };
  EXPECT_EQ(time("5"), "5");
  EXPECT_EQ(time("0.5"), "0.5");
  for (const char* asked : {"31", "0", "-1", "nan", "inf", "x", "1e9"}) {
    EXPECT_EQ(time(asked), "30") << asked;
  }
  const std::string first = Rewrite("/").query_id;
  EXPECT_THAT(first, StartsWith("proxist-"));
  EXPECT_NE(Rewrite("/").query_id, first);
}

TEST(SqlTarget, RefusesSessions) {
  const auto refused = RewriteSqlTarget("/?session_id=a", {});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(Message(refused.status())), HasSubstr("session_id"));
}

TEST(SqlStatement, WritesAreToldWhereToGo) {
  for (const char* sql : {"INSERT INTO t VALUES (1)", "insert", " \n\t(;insert into t select 1",
                          "-- SELECT\nInsert into t", "/* a\n b */INSERT", "#! x\nINSERT INTO t"}) {
    EXPECT_THAT(std::string(Message(CheckReads(sql))), HasSubstr("pxctl import")) << sql;
  }
  for (const char* sql :
       {"CREATE TABLE t", "drop table t", "Alter table t", "TRUNCATE t", "RENAME TABLE a TO b",
        "GRANT ALL", "optimize table t", "DELETE FROM t"}) {
    EXPECT_THAT(std::string(Message(CheckReads(sql))), HasSubstr("pxctl apply")) << sql;
  }
  for (const char* sql :
       {"SELECT 1", "WITH insert AS (SELECT 1) SELECT 1", "show tables", "DESCRIBE t", "insertion",
        "EXPLAIN SELECT 1", "", "--", "/*", "-- INSERT", "'INSERT'", "\xff"}) {
    EXPECT_EQ(CheckReads(sql), OkStatus()) << sql;
  }
}

TEST(SqlError, IsInClickHousesForm) {
  const SqlError error = MakeSqlError(403, 164, "READONLY", "not here");
  EXPECT_EQ(error.body, "Code: 164. DB::Exception: not here. (READONLY)\n");
  EXPECT_TRUE(IsSqlPath("/"));
  EXPECT_TRUE(IsSqlPath("/?query=1"));
  EXPECT_TRUE(IsSqlPath("/ping"));
  EXPECT_FALSE(IsSqlPath("/status"));
  EXPECT_FALSE(IsSqlPath("/pingu"));
  EXPECT_FALSE(IsSqlPath(""));
  EXPECT_FALSE(IsPassedOn("AUTHORIZATION"));
  EXPECT_FALSE(IsPassedOn("X-ClickHouse-Key"));
  EXPECT_TRUE(IsPassedOn("X-ClickHouse-Format"));
  EXPECT_TRUE(IsPassedOn("Accept-Encoding"));
}

}  // namespace
}  // namespace proxist::server
