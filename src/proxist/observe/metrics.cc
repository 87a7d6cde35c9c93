// Counters and latencies of one node, in Prometheus' text form.
#include "proxist/observe/metrics.h"

#include <map>

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "proxist/base/mutex.h"

namespace proxist::observe {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Histogram;

double Seconds(Duration d) { return static_cast<double>(d.ns()) * 1e-9; }

/// 25 us to 13 s, doubling.
Histogram::BucketBoundaries LatencyBuckets() {
  Histogram::BucketBoundaries bounds;
  for (double seconds = 25e-6; bounds.size() < 20; seconds *= 2) bounds.push_back(seconds);
  return bounds;
}

Family<Counter>& AddCounter(prometheus::Registry* registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(*registry);
}

std::vector<prometheus::MetricFamily> ToFamilies(const std::vector<Sample>& samples) {
  std::vector<prometheus::MetricFamily> families;
  for (const Sample& sample : samples) {
    const bool counter = sample.kind == Sample::Kind::kCounter;
    if (families.empty() || families.back().name != sample.name) {
      families.push_back({sample.name,
                          sample.help,
                          counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge,
                          {}});
    }
    prometheus::ClientMetric metric;
    for (const auto& [name, value] : sample.labels) metric.label.push_back({name, value});
    (counter ? metric.counter.value : metric.gauge.value) = sample.value;
    families.back().metric.push_back(std::move(metric));
  }
  return families;
}

}  // namespace

struct Metrics::Impl {
  prometheus::Registry registry;
  Family<Counter>& batches =
      AddCounter(&registry, "proxist_ingest_batches_total", "Batches answered, by status code.");
  Counter& rows = AddCounter(&registry, "proxist_ingest_rows_total",
                             "Rows made durable and published by batches that were not duplicates.")
                      .Add({});
  Counter& duplicates = AddCounter(&registry, "proxist_ingest_duplicate_batches_total",
                                   "Batches that had been applied before.")
                            .Add({});
  Histogram& ack = prometheus::BuildHistogram()
                       .Name("proxist_ingest_ack_seconds")
                       .Help("Time from a batch's arrival to its durable ack.")
                       .Register(registry)
                       .Add({}, LatencyBuckets());
  Family<Counter>& queries =
      AddCounter(&registry, "proxist_queries_total", "Queries ended, by operator and status code.");
  Family<Counter>& query_rows =
      AddCounter(&registry, "proxist_query_rows_read_total",
                 "Rows that queries read, by side of the seam (hot: memory, cold: history).");
  Counter& rows_hot = query_rows.Add({{"side", "hot"}});
  Counter& rows_cold = query_rows.Add({{"side", "cold"}});
  Family<Histogram>& query_time = prometheus::BuildHistogram()
                                      .Name("proxist_query_seconds")
                                      .Help("Time of a query from arrival to its last row.")
                                      .Register(registry);
  struct Operator {
    Histogram* time = nullptr;
    std::map<absl::StatusCode, Counter*> ended;
  };
  mutable Mutex mutex;
  std::map<std::string, Operator> operators PX_GUARDED_BY(mutex);
  std::function<std::vector<Sample>()> read_samples PX_GUARDED_BY(mutex);
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::RecordWrite(const Status& status, uint64_t rows, bool duplicate, Duration ack) {
  impl_->batches.Add({{"code", CodeName(status)}}).Increment();
  if (!status.ok()) return;
  impl_->ack.Observe(Seconds(ack));
  if (duplicate) {
    impl_->duplicates.Increment();
  } else {
    impl_->rows.Increment(static_cast<double>(rows));
  }
}

void Metrics::RecordQuery(std::string_view operation, const Status& status, uint64_t rows_hot,
                          uint64_t rows_cold, Duration elapsed) {
  {
    // Finding a metric by its labels takes longer than a short query.
    const MutexLock lock(&impl_->mutex);
    Impl::Operator& known = impl_->operators[std::string(operation)];
    if (known.time == nullptr) {
      known.time = &impl_->query_time.Add({{"operator", std::string(operation)}}, LatencyBuckets());
    }
    Counter*& ended = known.ended[status.code()];
    if (ended == nullptr) {
      ended = &impl_->queries.Add(
          {{"operator", std::string(operation)}, {"code", std::string(CodeName(status))}});
    }
    ended->Increment();
    known.time->Observe(Seconds(elapsed));
  }
  impl_->rows_hot.Increment(static_cast<double>(rows_hot));
  impl_->rows_cold.Increment(static_cast<double>(rows_cold));
}

void Metrics::SetSamples(std::function<std::vector<Sample>()> read) {
  const MutexLock lock(&impl_->mutex);
  impl_->read_samples = std::move(read);
}

std::string Metrics::Exposition() const {
  std::function<std::vector<Sample>()> read;
  {
    const MutexLock lock(&impl_->mutex);
    read = impl_->read_samples;
  }
  std::vector<prometheus::MetricFamily> families = impl_->registry.Collect();
  if (read) {
    for (prometheus::MetricFamily& family : ToFamilies(read())) {
      families.push_back(std::move(family));
    }
  }
  return prometheus::TextSerializer().Serialize(families);
}

std::string CodeName(const Status& status) { return absl::StatusCodeToString(status.code()); }

}  // namespace proxist::observe
