// Counters and latencies of one node, in Prometheus' text form.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/base/time.h"

namespace proxist::observe {

/// One value read when metrics are asked for. Names follow Prometheus' rules
/// ([a-z_][a-z0-9_]*, base units, _total for counters).
struct Sample {
  enum class Kind { kGauge, kCounter };
  std::string name;
  std::string help;
  Kind kind = Kind::kGauge;
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;
};

/// Thread-safe.
class Metrics {
 public:
  Metrics();
  ~Metrics();

  /// A batch that was answered: durable and published when `status` is OK. `ack`: from the
  /// message's arrival to its answer.
  void RecordWrite(const Status& status, uint64_t rows, bool duplicate, Duration ack);
  /// A query that ended. `operation`: "last-by", "asof"...
  void RecordQuery(std::string_view operation, const Status& status, uint64_t rows_hot,
                   uint64_t rows_cold, Duration elapsed);

  /// What Exposition adds to the recorded values. Samples of one name stand together.
  void SetSamples(std::function<std::vector<Sample>()> read);

  /// Prometheus text format 0.0.4.
  [[nodiscard]] std::string Exposition() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A status code's name as labels use it: "OK", "INVALID_ARGUMENT", ...
std::string CodeName(const Status& status);

}  // namespace proxist::observe
