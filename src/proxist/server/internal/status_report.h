// A node's state as a message, as JSON and as metric samples.
#pragma once

#include <string>
#include <vector>

#include "proxist/observe/metrics.h"
#include "proxist/server/node.h"

namespace proxist::v1 {
class StatusResponse;
}

namespace proxist::server {

/// The program's version, as `major.minor.patch`.
std::string Version();

void EncodeStatus(const NodeState& state, v1::StatusResponse* message);
/// Times are ISO-8601 strings and nanoseconds; a time before the first row is null.
std::string StatusJson(const NodeState& state);
/// {"status": "ok" | "degraded", "problems": [...]}.
std::string HealthJson(const NodeState& state);
std::vector<observe::Sample> StatusSamples(const NodeState& state);

}  // namespace proxist::server
