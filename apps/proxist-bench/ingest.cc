// ingest: prepared batches through one gRPC stream, beside echoes of as many bytes.
#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "apps/proxist-bench/commands.h"
#include "bench/connection.h"
#include "bench/own_server.h"
#include "bench/write_pipe.h"
#include "proxist/api/write_request.h"
#include "proxist/client/client.h"
#include "proxist/env/clock.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::bench {
namespace {

using Requests = std::vector<v1::WriteRequest>;

double SecondsSince(Duration began) {
  return static_cast<double>(env::SystemClock().Monotonic().ns() - began.ns()) / 1e9;
}

Requests Prepare(const IngestOptions& options, Market* market, uint64_t first_number,
                 size_t batches) {
  Requests requests(batches);
  for (size_t i = 0; i < batches; ++i) {
    const Duration span = Duration::Micros(options.batch_rows);
    api::EncodeWriteRequest(market->NextQuotes(span, options.batch_rows), &requests[i]);
    market->Advance(span);
    requests[i].set_producer("proxist-bench");
    requests[i].set_batch_number(first_number + i);
  }
  return requests;
}

/// Seconds until all requests are acked; adds their latencies.
StatusOr<double> Ingest(Connection* connection, const IngestOptions& options,
                        const Requests& requests, Latencies* latencies) {
  const std::unique_ptr<WritePipe> pipe = connection->OpenPipe(options.window);
  const Duration began = env::SystemClock().Monotonic();
  for (const v1::WriteRequest& request : requests) PX_RETURN_IF_ERROR(pipe->Send(request));
  PX_RETURN_IF_ERROR(pipe->Finish());
  const double seconds = SecondsSince(began);
  latencies->AddAll(pipe->Take().latencies);
  return seconds;
}

/// Seconds for as many echoes of the same size, `window` at a time.
StatusOr<double> EchoAll(Connection* connection, const IngestOptions& options,
                         const Requests& requests) {
  constexpr size_t kAckBytes = 32;
  std::atomic<size_t> next = 0;
  std::vector<Status> ended(options.window);
  std::vector<std::thread> threads;
  const Duration began = env::SystemClock().Monotonic();
  for (uint32_t t = 0; t < options.window; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = next++; i < requests.size() && ended[t].ok(); i = next++) {
        ended[t] = connection->Echo(requests[i].ByteSizeLong(), kAckBytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = SecondsSince(began);
  for (const Status& status : ended) PX_RETURN_IF_ERROR(status);
  return seconds;
}

}  // namespace

StatusOr<std::vector<Result>> MeasureIngest(const IngestOptions& options) {
  std::unique_ptr<OwnServer> own;
  if (options.server.empty()) {
    PX_ASSIGN_OR_RETURN(own, OwnServer::Start(options.directory, "none"));
  }
  const std::string address = own != nullptr ? own->address() : options.server;
  client::Client client(address);
  PX_RETURN_IF_ERROR(client.Apply(QuotesTable(), "proxist-bench").status());
  PX_ASSIGN_OR_RETURN(const std::unique_ptr<Connection> connection, Connection::Open(address));

  Market market({.symbols = 1000});
  const size_t batches =
      std::max<size_t>(1, options.rows / options.batch_rows / std::max(1u, options.rounds));
  double ingest_seconds = 0;
  double echo_seconds = 0;
  Latencies latencies;
  for (uint32_t round = 0; round < options.rounds; ++round) {
    const Requests requests = Prepare(options, &market, 1 + round * batches, batches);
    PX_ASSIGN_OR_RETURN(const double ingest,
                        Ingest(connection.get(), options, requests, &latencies));
    PX_ASSIGN_OR_RETURN(const double echo, EchoAll(connection.get(), options, requests));
    ingest_seconds += ingest;
    echo_seconds += echo;
  }
  const double rows = static_cast<double>(options.rounds * batches * options.batch_rows);
  Result result;
  result.name = fmt::format("batches of {} rows, {} in flight", options.batch_rows, options.window);
  result.With("rows/s", rows / ingest_seconds).WithLatency("ack", latencies);
  result.With("echo rows/s", rows / echo_seconds).With("ratio", ingest_seconds / echo_seconds);
  return std::vector<Result>{std::move(result)};
}

}  // namespace proxist::bench
