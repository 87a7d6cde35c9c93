// What proxistd can be told: one table of options for the command line, the configuration file and
// the reference page.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/observe/log.h"
#include "proxist/server/address.h"
#include "proxist/server/grpc_server.h"
#include "proxist/server/http_server.h"
#include "proxist/server/node.h"

namespace proxist::server {

struct DaemonOptions {
  NodeOptions node;
  GrpcServerOptions grpc;
  HttpServerOptions http;
  std::string public_http;  // under which ClickHouse reaches `http`; empty: found out
  SqlOptions sql;           // its bounds
  bool insecure = false;    // addresses other than loopback are allowed
  observe::LogLevel log_level = observe::LogLevel::kInfo;
};

/// What a command line asks for: to run with `options`, or to print `text` and exit.
struct CommandLine {
  std::optional<DaemonOptions> options;
  std::string text;  // for stdout when exit_code is 0, else for stderr; ends with a newline
  int exit_code = 0;
};
inline constexpr int kExitUsage = 2;

/// `arguments` without the program's name. Reads the file that --config names; the command line
/// wins over it.
CommandLine ParseCommandLine(const std::vector<std::string>& arguments);

/// docs/configuration.md: every option and every fixed bound.
std::string ConfigurationReference();

}  // namespace proxist::server
