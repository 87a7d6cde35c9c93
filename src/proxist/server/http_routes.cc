// What the HTTP port answers: /status, /health, /metrics.
#include "proxist/server/http_routes.h"

#include <utility>

#include "proxist/server/internal/status_report.h"

namespace proxist::server {

HttpHandler MakeHttpHandler(std::function<NodeState()> state, observe::Metrics* metrics) {
  metrics->SetSamples([state] { return StatusSamples(state()); });
  return [state = std::move(state), metrics](std::string_view path) -> HttpReply {
    constexpr const char* kJson = "application/json";
    if (path == "/status") return {200, kJson, StatusJson(state())};
    if (path == "/health") {
      const NodeState now = state();
      return {now.problems.empty() ? 200 : 503, kJson, HealthJson(now)};
    }
    if (path == "/metrics") {
      return {200, "text/plain; version=0.0.4; charset=utf-8", metrics->Exposition()};
    }
    return {.status = 404, .body = "not here; try /status, /health, /metrics, or / for SQL\n"};
  };
}

}  // namespace proxist::server
