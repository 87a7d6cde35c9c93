// query: a window and a bar over every row of one series, beside a plain loop over its columns.
#include <algorithm>
#include <future>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include <fmt/format.h>

#include "apps/proxist-bench/commands.h"
#include "bench/temporary_directory.h"
#include "proxist/env/clock.h"
#include "proxist/exec/int128.h"
#include "proxist/server/node.h"

namespace proxist::bench {
namespace {

constexpr size_t kBatchRows = 10'000;
constexpr Duration kBetweenRows = Duration::Millis(1);
constexpr uint32_t kMostRounds = 300;

/// The rows' columns as a loop would want them.
struct Columns {
  std::vector<int64_t> price;
  std::vector<int64_t> size;
};

Status Write(server::Node* node, const column::Batch& batch) {
  std::promise<Status> written;
  node->Write({.producer = {}, .number = {}, .batch = batch},
              [&](const server::WriteResult& result) { written.set_value(result.status); });
  return written.get_future().get();
}

StatusOr<Columns> Load(server::Node* node, const column::SchemaPtr& schema, size_t rows) {
  Columns columns;
  std::mt19937_64 random(1);
  const Timestamp start = MarketOptions().start;
  for (size_t row = 0; row < rows;) {
    column::BatchBuilder builder(schema);
    for (const size_t end = std::min(rows, row + kBatchRows); row < end; ++row) {
      columns.price.push_back(1'000'000 + static_cast<int64_t>(random() % 10'000));
      columns.size.push_back(1 + static_cast<int64_t>(random() % 1'000));
      builder.AddRow("S", start.Plus(Duration(kBetweenRows.ns() * static_cast<int64_t>(row))), row);
      builder.SetText(*schema->Find("venue"), "N");
      builder.SetInt(*schema->Find("price"), columns.price.back());
      builder.SetInt(*schema->Find("size"), columns.size.back());
    }
    PX_RETURN_IF_ERROR(Write(node, builder.Build()));
  }
  return columns;
}

/// What the queries ask for, by one pass over the columns.
double Loop(const Columns& columns) {
  exec::Int128 products = 0;
  int64_t sizes = 0;
  int64_t high = std::numeric_limits<int64_t>::min();
  for (size_t row = 0; row < columns.price.size(); ++row) {
    products += static_cast<exec::Int128>(columns.price[row]) * columns.size[row];
    sizes += columns.size[row];
    high = std::max(high, columns.price[row]);
  }
  return static_cast<double>(products) / static_cast<double>(sizes) + static_cast<double>(high);
}

StatusOr<Result> Measure(server::Node* node, const Columns& columns, const std::string& name,
                         uint32_t rounds, const query::Plan& plan) {
  const env::Clock& clock = env::SystemClock();
  Latencies asked;
  Latencies looped;
  query::Explain explain;
  double kept = 0;
  for (uint32_t round = 0; round < rounds; ++round) {
    const Duration began = clock.Monotonic();
    PX_RETURN_IF_ERROR(node->engine().Run(
        plan, {}, [](const query::ResultBatch&) { return OkStatus(); }, &explain));
    const Duration answered = clock.Monotonic();
    kept += Loop(columns);
    const Duration ended = clock.Monotonic();
    asked.Add(Duration(answered.ns() - began.ns()));
    looped.Add(Duration(ended.ns() - answered.ns()));
  }
  if (kept == 0) return Internal("the loop found nothing");
  Result result;
  result.name = name;
  result.With("rows read", static_cast<double>(explain.rows_hot));
  result.With("in totals", static_cast<double>(explain.rows_in_totals));
  result.WithLatency("in process", asked).WithLatency("loop", looped);
  return result.With("ratio p50", static_cast<double>(asked.Percentile(50).ns()) /
                                      static_cast<double>(looped.Percentile(50).ns()));
}

}  // namespace

StatusOr<std::vector<Result>> MeasureLongWindows(const QueryOptions& options) {
  PX_ASSIGN_OR_RETURN(const TemporaryDirectory directory,
                      TemporaryDirectory::Make(options.directory));
  server::NodeOptions node_options;
  node_options.data_directory = directory.path() + "/data";
  node_options.history = "none";
  PX_ASSIGN_OR_RETURN(const std::unique_ptr<server::Node> node, server::Node::Open(node_options));
  PX_ASSIGN_OR_RETURN(const column::SchemaPtr trades,
                      node->ApplyTable(TradesTable(), "proxist-bench"));
  PX_ASSIGN_OR_RETURN(const Columns columns, Load(node.get(), trades, options.rows));
  const Duration all(kBetweenRows.ns() * int64_t{options.rows});
  const uint32_t rounds = std::min(options.rounds, kMostRounds);

  query::Rolling rolling;
  rolling.from.table = "trades";
  rolling.begin = MarketOptions().start.Plus(all).Minus(kBetweenRows);
  rolling.window = all;
  rolling.aggregates = {"vwap", "sum(size)", "max"};
  PX_ASSIGN_OR_RETURN(Result window,
                      Measure(node.get(), columns, fmt::format("window of {} rows", options.rows),
                              rounds, {.op = std::move(rolling), .limit = {}}));
  query::Bars bars;
  bars.from.table = "trades";
  bars.interval = Duration::Seconds(100'000);
  bars.aggregates = {"vwap", "volume", "high"};
  PX_ASSIGN_OR_RETURN(
      Result bar, Measure(node.get(), columns, fmt::format("bars of {} rows", options.rows), rounds,
                          {.op = std::move(bars), .limit = {}}));
  return std::vector<Result>{std::move(window), std::move(bar)};
}

}  // namespace proxist::bench
