// Runs seeds until told to stop; a failure prints one line that reproduces it.
#include <atomic>
#include <csignal>
#include <cstdint>
#include <functional>
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "proxist/base/planted.h"
#include "tests/sim/simulation.h"

namespace {

std::atomic<bool> stop = false;

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Simulates Proxist's core on a machine that fails, one seed a run");
  uint64_t seed = 1;
  uint64_t count = 0;
  bool keep_going = false;
  std::string planted;
  app.add_option("--seed", seed, "first seed");
  app.add_option("--count", count, "how many seeds; 0: until interrupted");
  app.add_flag("--keep-going", keep_going, "do not stop at a failure");
  bool trace = false;
  app.add_flag("--trace", trace, "say what happens");
  app.add_option("--plant", planted, "run with this planted bug");
  CLI11_PARSE(app, argc, argv);
  if (!planted.empty() && !proxist::PlantBug(planted)) {
    std::cerr << fmt::format("there is no planted bug '{}'\n", planted);
    return 2;
  }
  std::signal(SIGINT, [](int) { stop = true; });
  std::signal(SIGTERM, [](int) { stop = true; });
  proxist::sim::Counts counts;
  uint64_t runs = 0;
  uint64_t failures = 0;
  for (uint64_t at = seed; !stop && (count == 0 || runs < count); ++at, ++runs) {
    std::function<void(const std::string&)> say;
    if (trace) say = [](const std::string& line) { std::cerr << line << '\n'; };
    const proxist::sim::Outcome outcome = proxist::sim::Simulation(at, say).Run();
    counts.Add(outcome.counts);
    if (!outcome.violation.empty()) {
      ++failures;
      std::cout << fmt::format("seed {} fails: {}\nreproduce: proxist-sim --seed {} --count 1{}\n",
                               at, outcome.violation, at,
                               planted.empty() ? "" : " --plant " + planted)
                << std::flush;
      if (!keep_going) return 1;
    }
    if ((runs + 1) % 500 == 0) {
      std::cout << fmt::format("{} runs, {} failed\n", runs + 1, failures) << std::flush;
    }
  }
  std::cout << fmt::format("{} runs, {} failed\n{}\n", runs, failures, counts.Text());
  return failures == 0 ? 0 : 1;
}
