// The status pages over a made-up state.
#include "proxist/server/http_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "proxist/server/internal/status_report.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::server {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

NodeState MakeState() {
  NodeState state;
  state.incarnation = "abc";
  state.started_at = Timestamp(1'000'000'000);
  auto schema = std::make_shared<column::TableSchema>();
  schema->name = "quotes";
  schema->version = SchemaVersion(2);
  TableState table{
      schema, {.rows = 10, .bytes = 640, .spilled_bytes = 512, .series = 3, .overlay_rows = 1}, {}};
  table.stats.max_ts = Timestamp(5'000'000'000);
  table.persisted_through = Timestamp(4'500'000'000);
  table.history_floor = Timestamp(3'000'000'000);
  state.tables.push_back(table);
  auto empty = std::make_shared<column::TableSchema>();
  empty->name = "trades";
  state.tables.push_back({empty, {}, Timestamp::Min()});
  shard::ShardStats shard;
  shard.published = Lsn(9);
  shard.durable = Lsn(10);
  shard.persisted = Lsn(7);
  shard.backlog_rows = 2;
  shard.batches = 4;
  state.shards = {{ShardId(0), shard}, {ShardId(1), {}}};
  state.shards[1].second.poisoned = "disk \xff gone";
  state.history.kind = "url";
  state.history.flush.last_error = "refused";
  state.history.flush.last_error_at = Timestamp(2'000'000'000);
  state.history.flush.inserts = 6;
  state.history.flush_lag = Duration::Millis(1500);
  state.memory.limit_bytes = 2048;
  state.memory.used_bytes = 1024;
  state.memory.spilled_chunks = 5;
  state.memory.refused_writes = 3;
  state.memory.pressure.evicted_rows = 77;
  state.resident_bytes = 4096;
  state.partial_answers = 8;
  return state;
}

TEST(HttpRoutes, Status) {
  observe::Metrics metrics;
  const HttpHandler handler = MakeHttpHandler(MakeState, &metrics);
  const HttpReply reply = handler("/status");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.content_type, "application/json");
  const json status = json::parse(reply.body);
  EXPECT_EQ(status["started_at"], "1970-01-01T00:00:01.000000000Z");
  EXPECT_EQ(status["tables"][0]["name"], "quotes");
  EXPECT_EQ(status["tables"][0]["rows_hot"], 10);
  EXPECT_EQ(status["tables"][0]["persisted_through_ns"], 4'500'000'000);
  EXPECT_TRUE(status["tables"][1]["persisted_through"].is_null());
  EXPECT_EQ(status["shards"][0]["persisted_lsn"], 7);
  EXPECT_EQ(status["shards"][1]["poisoned"], "disk \xef\xbf\xbd gone");
  EXPECT_EQ(status["history"]["last_error"], "refused");
  EXPECT_EQ(status["history"]["flush_lag_ns"], 1'500'000'000);
  EXPECT_EQ(status["tables"][0]["spilled_bytes"], 512);
  EXPECT_EQ(status["memory"]["limit_bytes"], 2048);
  EXPECT_EQ(status["memory"]["evicted_rows"], 77);
  EXPECT_EQ(status["partial_answers"], 8);
  EXPECT_EQ(status["tables"][0]["history_floor"], "1970-01-01T00:00:03.000000000Z");
  EXPECT_EQ(status["tables"][0]["history_floor_ns"], 3'000'000'000);
  EXPECT_TRUE(status["tables"][1]["history_floor"].is_null());
  EXPECT_EQ(status["healthy"], true);
}

TEST(HttpRoutes, HealthFollowsTheProblems) {
  observe::Metrics metrics;
  NodeState state = MakeState();
  const HttpHandler handler = MakeHttpHandler([&] { return state; }, &metrics);
  EXPECT_EQ(handler("/health").status, 200);
  EXPECT_EQ(json::parse(handler("/health").body)["status"], "ok");
  state.problems = {"history is away", "shard 1 takes no writes"};
  const HttpReply reply = handler("/health");
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(json::parse(reply.body)["problems"],
            json({"history is away", "shard 1 takes no writes"}));
}

TEST(HttpRoutes, MetricsHoldTheState) {
  observe::Metrics metrics;
  const HttpHandler handler = MakeHttpHandler(MakeState, &metrics);
  const std::string text = handler("/metrics").body;
  EXPECT_THAT(text, HasSubstr("proxist_shard_published_lsn{shard=\"0\"} 9\n"
                              "proxist_shard_published_lsn{shard=\"1\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("proxist_shard_poisoned{shard=\"1\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("proxist_table_rows_hot{tenant=\"default\",table=\"quotes\"} 10\n"));
  EXPECT_THAT(text, HasSubstr("proxist_table_persisted_through_seconds{tenant=\"default\","
                              "table=\"quotes\"} 4.5\n"));
  EXPECT_THAT(text, Not(HasSubstr("proxist_table_persisted_through_seconds{tenant=\"default\","
                                  "table=\"trades\"}")));
  EXPECT_THAT(text, HasSubstr("proxist_table_history_floor_seconds{tenant=\"default\","
                              "table=\"quotes\"} 3\n"));
  EXPECT_THAT(text, Not(HasSubstr("proxist_table_history_floor_seconds{tenant=\"default\","
                                  "table=\"trades\"}")));
  EXPECT_THAT(text, HasSubstr("proxist_queries_partial_total 8\n"));
  EXPECT_THAT(text, HasSubstr("proxist_history_flush_lag_seconds 1.5\n"));
  EXPECT_THAT(text, HasSubstr("proxist_memory_used_bytes 1024\n"));
  EXPECT_THAT(text, HasSubstr("proxist_memory_refused_writes_total 3\n"));
  EXPECT_THAT(text, HasSubstr("proxist_healthy 1\n"));
}

TEST(HttpRoutes, OtherPathsAreNotFound) {
  observe::Metrics metrics;
  const HttpHandler handler = MakeHttpHandler(MakeState, &metrics);
  for (const char* path : {"/", "", "/status/", "/../status", "/favicon.ico"}) {
    EXPECT_EQ(handler(path).status, 404) << path;
  }
}

TEST(StatusMessage, HoldsTheState) {
  v1::StatusResponse message;
  EncodeStatus(MakeState(), &message);
  EXPECT_EQ(message.tables(0).persisted_through(), 4'500'000'000);
  EXPECT_EQ(message.tables(1).persisted_through(), Timestamp::Min().ns());
  EXPECT_EQ(message.shards(0).published_lsn(), 9u);
  EXPECT_EQ(message.shards(0).durable_lsn(), 10u);
  EXPECT_EQ(message.shards(0).backlog_rows(), 2u);
  EXPECT_EQ(message.history().last_error(), "refused");
  EXPECT_EQ(message.history().inserts(), 6u);
  EXPECT_EQ(message.memory_bytes(), 4096u);
  EXPECT_EQ(message.tables(0).spilled_bytes(), 512u);
  EXPECT_EQ(message.memory().used_bytes(), 1024u);
  EXPECT_EQ(message.memory().spilled_chunks(), 5u);
  EXPECT_EQ(message.tables(0).history_floor(), 3'000'000'000);
  EXPECT_EQ(message.tables(1).history_floor(), 0);
  EXPECT_EQ(message.partial_answers(), 8u);
  EXPECT_TRUE(message.healthy());
}

}  // namespace
}  // namespace proxist::server
