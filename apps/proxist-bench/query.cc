// query: last-by and as-of on hot rows, in process and over gRPC, beside echoes of the same bytes.
#include <future>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "apps/proxist-bench/commands.h"
#include "bench/connection.h"
#include "bench/own_server.h"
#include "bench/temporary_directory.h"
#include "bench/write_pipe.h"
#include "proxist/api/write_request.h"
#include "proxist/client/client.h"
#include "proxist/env/clock.h"
#include "proxist/server/node.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::bench {
namespace {

constexpr size_t kBatchRows = 5000;
constexpr Duration kMarketSpan = Duration::Seconds(600);
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
  const Duration span(kMarketSpan.ns() / static_cast<int64_t>(batches));
  for (size_t i = 0; i < batches; ++i) {
    PX_RETURN_IF_ERROR(
        WriteBoth(nodes, pipe.get(), nodes->quotes, market.NextQuotes(span, kBatchRows)));
    PX_RETURN_IF_ERROR(
        WriteBoth(nodes, pipe.get(), nodes->trades, market.NextTrades(span, kBatchRows / 4)));
    market.Advance(span);
  }
  return pipe->Finish();
}

/// One kind of query, with a random symbol and time each time.
class Asked {
 public:
  virtual ~Asked() = default;
  virtual query::Plan Next() = 0;
};

class RandomMoment {
 public:
  explicit RandomMoment(uint32_t symbols) : symbols_(symbols) {}
  std::vector<std::string> Symbol() { return {fmt::format("S{:03}", random_() % symbols_)}; }
  Timestamp Time() {
    const auto offset = static_cast<int64_t>(random_() % static_cast<uint64_t>(kMarketSpan.ns()));
    return MarketOptions().start.Plus(Duration(offset));
  }

 private:
  uint32_t symbols_;
  std::mt19937_64 random_{7};
};

class LastByAsked final : public Asked {
 public:
  explicit LastByAsked(uint32_t symbols) : moment_(symbols) {}
  query::Plan Next() override {
    query::LastBy op;
    op.from.table = "quotes";
    op.from.symbols = moment_.Symbol();
    op.at = moment_.Time();
    op.columns = {"venue", "bid", "ask"};
    return {.op = std::move(op), .limit = {}};
  }

 private:
  RandomMoment moment_;
};

class AsofAsked final : public Asked {
 public:
  explicit AsofAsked(uint32_t symbols) : moment_(symbols) {}
  query::Plan Next() override {
    query::Asof op;
    op.left.table = "trades";
    op.left.symbols = moment_.Symbol();
    op.begin = moment_.Time();
    op.end = op.begin.Plus(Duration::Seconds(60));
    op.columns = {"price", "size"};
    query::AsofRight& right = op.rights.emplace_back();
    right.from.table = "quotes";
    right.columns = {"bid", "ask"};
    return {.op = std::move(op), .limit = {}};
  }

 private:
  RandomMoment moment_;
};

template <typename Call>
StatusOr<Duration> Time(const Call& call) {
  const Duration began = env::SystemClock().Monotonic();
  PX_RETURN_IF_ERROR(call());
  return Duration(env::SystemClock().Monotonic().ns() - began.ns());
}

StatusOr<Result> Measure(TwoNodes* nodes, const std::string& name, uint32_t rounds, Asked* asked) {
  Latencies in_process;
  Latencies remote;
  Latencies echoed;
  uint64_t rows = 0;
  for (uint32_t round = 0; round < rounds + kWarmRounds; ++round) {
    const query::Plan plan = asked->Next();
    Exchange exchange;
    PX_ASSIGN_OR_RETURN(const Duration local, Time([&] {
                          return nodes->node->engine().Run(
                              plan, {}, [](const query::ResultBatch&) { return OkStatus(); },
                              nullptr);
                        }));
    PX_ASSIGN_OR_RETURN(const Duration grpc, Time([&]() -> Status {
                          PX_ASSIGN_OR_RETURN(exchange, nodes->connection->Run(plan));
                          return OkStatus();
                        }));
    PX_ASSIGN_OR_RETURN(const Duration echo, Time([&] {
                          return nodes->connection->EchoStream(exchange.request_bytes,
                                                               exchange.response_bytes);
                        }));
    if (round < kWarmRounds) continue;
    in_process.Add(local);
    remote.Add(grpc);
    echoed.Add(echo);
    rows += exchange.rows;
  }
  Result result;
  result.name = name;
  result.With("rows", static_cast<double>(rows) / rounds).WithLatency("in process", in_process);
  result.WithLatency("gRPC", remote).WithLatency("echo", echoed);
  result.With("ratio p50", static_cast<double>(remote.Percentile(50).ns()) /
                               static_cast<double>(echoed.Percentile(50).ns()));
  return result;
}

}  // namespace

StatusOr<std::vector<Result>> MeasureQuery(const QueryOptions& options) {
  PX_ASSIGN_OR_RETURN(const std::unique_ptr<TwoNodes> nodes, Open(options.directory));
  PX_RETURN_IF_ERROR(Load(nodes.get(), options));
  LastByAsked last_by(options.symbols);
  AsofAsked asof(options.symbols);
  PX_ASSIGN_OR_RETURN(Result first, Measure(nodes.get(), "last-by", options.rounds, &last_by));
  PX_ASSIGN_OR_RETURN(Result second,
                      Measure(nodes.get(), "as-of, 60 s of trades", options.rounds, &asof));
  return std::vector<Result>{std::move(first), std::move(second)};
}

}  // namespace proxist::bench
