// What the HTTP port answers: /status, /health, /metrics.
#pragma once

#include <functional>

#include "proxist/observe/metrics.h"
#include "proxist/server/http_server.h"
#include "proxist/server/node.h"

namespace proxist::server {

/// /status: the state as JSON. /health: 200 while there is no problem, else 503, as JSON with the
/// problems. /metrics: Prometheus text, with the state's samples. Everything else: 404. `metrics`
/// outlives the handler; `state` is called for each request.
HttpHandler MakeHttpHandler(std::function<NodeState()> state, observe::Metrics* metrics);

}  // namespace proxist::server
