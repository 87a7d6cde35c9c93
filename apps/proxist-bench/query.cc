// query: last rows, a symbol's row at a moment (a point as-of) and as-of joins on hot rows, in
// process and over gRPC, beside echoes of the same bytes.
#include <chrono>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "apps/proxist-bench/asked.h"
#include "apps/proxist-bench/commands.h"
#include "bench/connection.h"
#include "bench/own_server.h"
#include "bench/temporary_directory.h"
#include "bench/write_pipe.h"
#include "proxist/api/write_request.h"
#include "proxist/client/client.h"
#include "proxist/client/query_stream.h"
#include "proxist/env/clock.h"
#include "proxist/server/node.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::bench {
namespace {

constexpr size_t kBatchRows = 5000;
constexpr uint32_t kWarmRounds = 50;

/// The same rows in a server of its own and in this process.
struct TwoNodes {
  TemporaryDirectory directory;
  std::unique_ptr<OwnServer> server;
  std::unique_ptr<Connection> connection;
  std::unique_ptr<server::Node> node;
  column::SchemaPtr quotes;
  column::SchemaPtr trades;
};

StatusOr<std::unique_ptr<TwoNodes>> Open(const std::string& parent) {
  auto nodes = std::make_unique<TwoNodes>();
  PX_ASSIGN_OR_RETURN(nodes->server, OwnServer::Start(parent, "none"));
  PX_ASSIGN_OR_RETURN(nodes->connection, Connection::Open(nodes->server->address()));
  client::Client client(nodes->server->address());
  PX_RETURN_IF_ERROR(client.Apply(QuotesTable(), "proxist-bench").status());
  PX_RETURN_IF_ERROR(client.Apply(TradesTable(), "proxist-bench").status());
  PX_ASSIGN_OR_RETURN(nodes->directory, TemporaryDirectory::Make(parent));
  server::NodeOptions options;
  options.data_directory = nodes->directory.path() + "/data";
  options.history = "none";
  PX_ASSIGN_OR_RETURN(nodes->node, server::Node::Open(options));
  PX_ASSIGN_OR_RETURN(nodes->quotes, nodes->node->ApplyTable(QuotesTable(), "proxist-bench"));
  PX_ASSIGN_OR_RETURN(nodes->trades, nodes->node->ApplyTable(TradesTable(), "proxist-bench"));
  return nodes;
}

Status WriteBoth(TwoNodes* nodes, WritePipe* pipe, const column::SchemaPtr& schema,
                 column::Batch batch) {
  v1::WriteRequest request;
  api::EncodeWriteRequest(batch, &request);
  PX_RETURN_IF_ERROR(pipe->Send(request));
  batch.schema = schema;
  std::promise<Status> written;
  nodes->node->Write({.producer = {}, .number = {}, .batch = std::move(batch)},
                     [&](const server::WriteResult& result) { written.set_value(result.status); });
  return written.get_future().get();
}

Status Load(TwoNodes* nodes, const QueryOptions& options) {
  Market market({.symbols = options.symbols});
  const std::unique_ptr<WritePipe> pipe = nodes->connection->OpenPipe(16);
  const size_t batches = std::max<size_t>(1, options.rows / kBatchRows);
  const Duration span(kAskedSpan.ns() / static_cast<int64_t>(batches));
  for (size_t i = 0; i < batches; ++i) {
    PX_RETURN_IF_ERROR(
        WriteBoth(nodes, pipe.get(), nodes->quotes, market.NextQuotes(span, kBatchRows)));
    PX_RETURN_IF_ERROR(
        WriteBoth(nodes, pipe.get(), nodes->trades, market.NextTrades(span, kBatchRows / 4)));
    market.Advance(span);
  }
  return pipe->Finish();
}

template <typename Call>
StatusOr<Duration> Time(const Call& call) {
  const Duration began = env::SystemClock().Monotonic();
  PX_RETURN_IF_ERROR(call());
  return Duration(env::SystemClock().Monotonic().ns() - began.ns());
}

/// Queries and echoes of the bytes of the query before, in turns, so that neither finds caches that
/// the other one warmed.
StatusOr<Result> Measure(TwoNodes* nodes, const std::string& name, uint32_t rounds, Asked* asked) {
  Latencies in_process;
  Latencies remote;
  Latencies echoed;
  uint64_t rows = 0;
  Exchange exchange;
  for (uint32_t round = 0; round < rounds + kWarmRounds; ++round) {
    const query::Plan plan = asked->Next();
    PX_ASSIGN_OR_RETURN(const Duration grpc, Time([&]() -> Status {
                          PX_ASSIGN_OR_RETURN(exchange, nodes->connection->Run(plan));
                          return OkStatus();
                        }));
    PX_ASSIGN_OR_RETURN(const Duration echo, Time([&] {
                          return nodes->connection->EchoStream(exchange.request_bytes,
                                                               exchange.response_bytes);
                        }));
    if (round < kWarmRounds) continue;
    remote.Add(grpc);
    echoed.Add(echo);
    rows += exchange.rows;
  }
  for (uint32_t round = 0; round < rounds; ++round) {
    const query::Plan plan = asked->Next();
    PX_ASSIGN_OR_RETURN(const Duration local, Time([&] {
                          return nodes->node->engine().Run(
                              plan, {}, [](const query::ResultBatch&) { return OkStatus(); },
                              nullptr);
                        }));
    in_process.Add(local);
  }
  Result result;
  result.name = name;
  result.With("rows", static_cast<double>(rows) / rounds).WithLatency("in process", in_process);
  result.WithLatency("gRPC", remote).WithLatency("echo", echoed);
  result.With("ratio p50", static_cast<double>(remote.Percentile(50).ns()) /
                               static_cast<double>(echoed.Percentile(50).ns()));
  return result;
}

constexpr size_t kStreamedAtOnce = 64;

/// The same on one stream: the time of each query alone, and a share of many in one message.
StatusOr<Result> MeasureStream(TwoNodes* nodes, const std::string& name, uint32_t rounds,
                               Asked* asked) {
  client::Client client(nodes->server->address());
  const std::unique_ptr<client::QueryStream> stream = client.OpenQueryStream();
  uint64_t rows = 0;
  const auto ask = [&](std::span<const client::StreamedQuery> queries) -> Status {
    PX_RETURN_IF_ERROR(stream->Send(queries));
    for (size_t i = 0; i < queries.size(); ++i) {
      PX_ASSIGN_OR_RETURN(const auto ended, stream->Next([&](const auto&, size_t found) {
        rows += found;
        return OkStatus();
      }));
      if (!ended.has_value()) return Unavailable("the stream of queries ended early");
      PX_RETURN_IF_ERROR(ended->status);
    }
    return OkStatus();
  };
  Result result;
  result.name = name;
  for (const size_t at_once : {size_t{1}, kStreamedAtOnce}) {
    Latencies each;
    std::vector<client::StreamedQuery> queries(at_once);
    for (uint32_t round = 0; round < rounds / at_once + kWarmRounds; ++round) {
      for (client::StreamedQuery& query : queries) query.plan = asked->Next();
      PX_ASSIGN_OR_RETURN(const Duration took, Time([&] { return ask(queries); }));
      if (round >= kWarmRounds) each.Add(Duration(took.ns() / static_cast<int64_t>(at_once)));
    }
    result.WithLatency(at_once == 1 ? "alone" : "each of 64", each);
  }
  PX_RETURN_IF_ERROR(stream->Close());
  return result;
}

/// What a query takes when nobody has called for a moment: threads that wait sleep deeper.
StatusOr<Result> MeasureAfterPauses(TwoNodes* nodes, uint32_t pauses, Asked* asked) {
  constexpr std::chrono::milliseconds kPause(1050);
  Latencies first;
  Latencies second;
  for (uint32_t i = 0; i < pauses; ++i) {
    std::this_thread::sleep_for(kPause);
    for (Latencies* times : {&first, &second}) {
      const query::Plan plan = asked->Next();
      PX_ASSIGN_OR_RETURN(const Duration took,
                          Time([&] { return nodes->connection->Run(plan).status(); }));
      times->Add(took);
    }
  }
  Result result;
  result.name = "last-by, now, after 1.05 s without a call";
  result.With("first p50 us", Micros(first.Percentile(50)));
  result.With("first worst us", Micros(first.Percentile(100)));
  return result.With("second p50 us", Micros(second.Percentile(50)));
}

/// Of one trade on average.
constexpr Duration kShortSpan = Duration::Millis(2400);
constexpr Duration kLongSpan = Duration::Seconds(60);

}  // namespace

StatusOr<QueryResults> MeasureQuery(const QueryOptions& options) {
  PX_ASSIGN_OR_RETURN(const std::unique_ptr<TwoNodes> nodes, Open(options.directory));
  PX_RETURN_IF_ERROR(Load(nodes.get(), options));
  LastByAsked last_by(options.symbols, 7, /*now=*/true);
  LastByAsked point(options.symbols, 7);
  AsofAsked trade(options.symbols, 7, kShortSpan);
  AsofAsked minute(options.symbols, 7, kLongSpan);
  QueryResults results;
  for (const auto& [name, asked] : {std::pair<const char*, Asked*>{"last-by, now", &last_by},
                                    {"point as-of", &point},
                                    {"as-of join, about one trade", &trade},
                                    {"as-of join, 60 s of trades", &minute}}) {
    PX_ASSIGN_OR_RETURN(Result call, Measure(nodes.get(), name, options.rounds, asked));
    results.calls.push_back(std::move(call));
    PX_ASSIGN_OR_RETURN(Result streamed, MeasureStream(nodes.get(), name, options.rounds, asked));
    results.stream.push_back(std::move(streamed));
  }
  if (options.pauses > 0) {
    PX_ASSIGN_OR_RETURN(Result paused, MeasureAfterPauses(nodes.get(), options.pauses, &last_by));
    results.pauses.push_back(std::move(paused));
  }
  return results;
}

}  // namespace proxist::bench
