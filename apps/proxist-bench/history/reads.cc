// Queries over rows that ClickHouse alone has, beside the SELECT that a client of it would write;
// and live views beside the tables under them.
#include <functional>
#include <random>
#include <string>
#include <thread>

#include "apps/proxist-bench/history/parts.h"
#include "proxist/env/clock.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::bench {
namespace {

constexpr size_t kBatchRows = 10'000;
constexpr Duration kMarketSpan = Duration::Seconds(600);
constexpr Duration kMinute = Duration::Seconds(60);
constexpr Duration kTimeout = Duration::Seconds(60);
constexpr uint32_t kSymbols = 1000;
constexpr int kTurns = 40;

Duration Now() { return env::SystemClock().Monotonic(); }

/// About which symbol and moment a question is.
struct Subject {
  std::string symbol;
  Timestamp at;
};

struct Question {
  std::string name;
  std::function<query::Plan(const Subject&)> plan;
  std::function<std::string(const Subject&)> select;
};

std::string Sql(Timestamp at) {
  return fmt::format("fromUnixTimestamp64Nano(toInt64({}), 'UTC')", at.ns());
}

query::Selection Quotes(const std::string& symbol) {
  query::Selection selection;
  selection.table = "quotes";
  if (!symbol.empty()) selection.symbols = {symbol};
  return selection;
}

Question LastRow(bool all) {
  return {all ? "last row of all symbols at T" : "last row of a symbol at T",
          [all](const Subject& subject) {
            query::LastBy op;
            op.from = Quotes(all ? "" : subject.symbol);
            op.at = subject.at;
            op.columns = {"venue", "bid", "ask"};
            return query::Plan{.op = std::move(op), .limit = {}};
          },
          [all](const Subject& subject) {
            return fmt::format(
                "SELECT symbol, argMax((ts, seq, venue, bid, ask), (ts, seq, version)) FROM "
                "default.quotes_history WHERE {}ts <= {} AND ts > {} GROUP BY symbol FORMAT Native",
                all ? "" : fmt::format("symbol = '{}' AND ", subject.symbol), Sql(subject.at),
                Sql(subject.at.Minus(kMinute)));
          }};
}

Question RangeOf(Duration span, const std::string& name) {
  return {name,
          [span](const Subject& subject) {
            query::Range op;
            op.from = Quotes(subject.symbol);
            op.begin = subject.at;
            op.end = subject.at.Plus(span);
            return query::Plan{.op = std::move(op), .limit = {}};
          },
          [span](const Subject& subject) {
            return fmt::format(
                "SELECT symbol, ts, seq, venue, bid, bid_size, ask, ask_size FROM "
                "default.quotes_history WHERE symbol = '{}' AND ts >= {} AND ts < {} ORDER BY ts, "
                "seq FORMAT Native",
                subject.symbol, Sql(subject.at), Sql(subject.at.Plus(span)));
          }};
}

Question MinuteBars() {
  return {"minute bars of a symbol, 10 minutes",
          [](const Subject& subject) {
            query::Bars op;
            op.from = Quotes(subject.symbol);
            op.begin = MarketOptions().start;
            op.end = op.begin.Plus(kMarketSpan);
            op.interval = kMinute;
            op.price = "bid";
            op.size = "bid_size";
            return query::Plan{.op = std::move(op), .limit = {}};
          },
          [](const Subject& subject) {
            const Timestamp begin = MarketOptions().start;
            return fmt::format(
                "SELECT toStartOfInterval(ts, INTERVAL 1 MINUTE) AS t, argMin(bid, (ts, seq)), "
                "max(bid), min(bid), argMax(bid, (ts, seq)), sum(bid_size), count(), sum(bid * "
                "bid_size) / sum(bid_size) FROM default.quotes_history WHERE symbol = '{}' AND ts "
                ">= {} AND ts < {} GROUP BY t ORDER BY t FORMAT Native",
                subject.symbol, Sql(begin), Sql(begin.Plus(kMarketSpan)));
          }};
}

/// A server all of whose rows are in ClickHouse alone.
StatusOr<std::unique_ptr<ServerWithHistory>> ColdServer(const HistoryBenchOptions& options) {
  PX_ASSIGN_OR_RETURN(auto server,
                      ServerWithHistory::Start(options.directory, {"--cold-cache-mb", "0"}));
  QuoteFeed feed(server->address(), "reads", 32, WithLateRows());
  PX_RETURN_IF_ERROR(feed.Declare());
  const size_t batches = std::max<size_t>(1, options.read_rows / kBatchRows);
  const Duration span(kMarketSpan.ns() / static_cast<int64_t>(batches));
  for (size_t i = 0; i < batches; ++i) PX_RETURN_IF_ERROR(feed.Send(feed.Next(span, kBatchRows)));
  PX_RETURN_IF_ERROR(feed.Finish());
  PX_RETURN_IF_ERROR(server->FlushAll(Duration::Seconds(600)));
  v1::EvictResponse evicted;
  PX_RETURN_IF_ERROR(
      client::Client(server->address()).Evict("default", "quotes", kMaxRowTimestamp, &evicted));
  // As it is after a while, not amid the merges of the load.
  PX_RETURN_IF_ERROR(
      history::Connection(server->clickhouse())
          .Query("OPTIMIZE TABLE default.quotes_history FINAL", {}, Duration::Seconds(120))
          .status());
  return server;
}

StatusOr<Result> Measure(const Question& question, client::Client* client,
                         history::Connection* connection) {
  std::mt19937_64 random(5);
  Latencies own;
  Latencies floor;
  uint64_t rows = 0;
  for (int turn = 0; turn < kTurns; ++turn) {
    const auto offset = static_cast<int64_t>(
        kMinute.ns() + random() % static_cast<uint64_t>(kMarketSpan.ns() - 2 * kMinute.ns()));
    const Subject subject{fmt::format("S{:03}", random() % kSymbols),
                          MarketOptions().start.Plus(Duration(offset))};
    const query::Plan plan = question.plan(subject);
    Duration began = Now();
    PX_RETURN_IF_ERROR(client->Query(
        plan, {},
        [&](std::span<const api::NamedView>, size_t n) {
          rows += n;
          return OkStatus();
        },
        nullptr));
    own.Add(Duration(Now().ns() - began.ns()));
    const std::string select = question.select(subject);
    began = Now();
    PX_RETURN_IF_ERROR(connection->Query(select, {}, kTimeout).status());
    floor.Add(Duration(Now().ns() - began.ns()));
  }
  Result result;
  result.name = "cold: " + question.name;
  result.WithLatency("query", own).WithLatency("bare SELECT", floor);
  result.With("ratio", Ratio(own.Percentile(50), floor.Percentile(50)));
  result.With("rows an answer", static_cast<double>(rows) / kTurns);
  return result;
}

StatusOr<Result> MeasureView(const std::string& name, const std::string& select,
                             history::Connection* connection) {
  Latencies view;
  Latencies table;
  for (int turn = 0; turn < kTurns; ++turn) {
    for (const bool live : {true, false}) {
      const std::string sql =
          fmt::format(fmt::runtime(select), live ? "default.quotes" : "default.quotes_history");
      const Duration began = Now();
      PX_RETURN_IF_ERROR(connection->Query(sql, {}, kTimeout).status());
      (live ? view : table).Add(Duration(Now().ns() - began.ns()));
    }
  }
  Result result;
  result.name = "live view: " + name;
  result.WithLatency("query", view).WithLatency("bare SELECT", table);
  result.With("ratio", Ratio(view.Percentile(50), table.Percentile(50)));
  return result;
}

}  // namespace

StatusOr<std::vector<Result>> MeasureReads(const HistoryBenchOptions& options) {
  PX_ASSIGN_OR_RETURN(const auto server, ColdServer(options));
  client::Client client(server->address());
  history::Connection connection(server->clickhouse());
  std::vector<Result> results;
  for (const Question& question :
       {LastRow(false), LastRow(true), RangeOf(kMinute, "range of a symbol, 1 minute"),
        RangeOf(kMarketSpan, "range of a symbol, to the end"), MinuteBars()}) {
    PX_ASSIGN_OR_RETURN(Result result, Measure(question, &client, &connection));
    results.push_back(std::move(result));
  }
  for (int tries = 0; server->Ask("SELECT count() FROM default.quotes").status().ok() == false;
       ++tries) {
    if (tries == 100) return Unavailable("the live view of quotes was not made");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  for (const auto& [name, select] : std::vector<std::pair<std::string, std::string>>{
           {"count of all rows", "SELECT count() FROM {}"},
           {"a symbol's count and greatest bid",
            "SELECT count(), max(bid) FROM {} WHERE symbol = 'S007'"},
           {"by symbol", "SELECT symbol, count(), max(bid) FROM {} GROUP BY symbol"}}) {
    PX_ASSIGN_OR_RETURN(Result result, MeasureView(name, select, &connection));
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace proxist::bench
