#include "bench/report.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace proxist::bench {
namespace {

std::string FormatFigure(double value) {
  if (std::abs(value) >= 1000) return fmt::format("{:.0f}", value);
  return fmt::format("{:.2f}", value);
}

}  // namespace

double Micros(Duration time) { return static_cast<double>(time.ns()) / 1000.0; }

Result& Result::WithLatency(std::string_view what, const Latencies& latencies) {
  With(fmt::format("{} p50 us", what), Micros(latencies.Percentile(50)));
  return With(fmt::format("{} p99 us", what), Micros(latencies.Percentile(99)));
}

std::string FormatTable(std::string_view heading, const std::vector<Result>& results) {
  std::string out = fmt::format("{}\n", heading);
  if (results.empty()) return out;
  size_t name_width = 4;
  for (const Result& result : results) name_width = std::max(name_width, result.name.size());
  out += fmt::format("  {:<{}}", "", name_width);
  for (const auto& [figure, value] : results[0].figures) out += fmt::format("  {:>12}", figure);
  out += "\n";
  for (const Result& result : results) {
    out += fmt::format("  {:<{}}", result.name, name_width);
    for (size_t i = 0; i < result.figures.size(); ++i) {
      const size_t width = std::max<size_t>(12, results[0].figures[i].first.size());
      out += fmt::format("  {:>{}}", FormatFigure(result.figures[i].second), width);
    }
    out += "\n";
  }
  return out;
}

std::string FormatJson(std::string_view heading, const std::vector<Result>& results) {
  nlohmann::ordered_json out;
  out["benchmark"] = std::string(heading);
  out["results"] = nlohmann::ordered_json::array();
  for (const Result& result : results) {
    nlohmann::ordered_json entry;
    entry["name"] = result.name;
    for (const auto& [figure, value] : result.figures) entry[figure] = value;
    out["results"].push_back(std::move(entry));
  }
  return out.dump() + "\n";
}

}  // namespace proxist::bench
