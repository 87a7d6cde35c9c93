// Results as a table for people or JSON for programs.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/latencies.h"
#include "proxist/base/time.h"

namespace proxist::bench {

double Micros(Duration time);

/// One measurement: a name and its figures in the order in which they are shown.
struct Result {
  std::string name;
  std::vector<std::pair<std::string, double>> figures;

  Result& With(std::string figure, double value) {
    figures.emplace_back(std::move(figure), value);
    return *this;
  }
  /// Adds "<what> p50 us" and "<what> p99 us".
  Result& WithLatency(std::string_view what, const Latencies& latencies);
};

/// Results under a heading, a column for each figure.
std::string FormatTable(std::string_view heading, const std::vector<Result>& results);
/// {"benchmark": heading, "results": [{"name": ..., figure: value...}]}, one line.
std::string FormatJson(std::string_view heading, const std::vector<Result>& results);

}  // namespace proxist::bench
