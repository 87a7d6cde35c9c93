// Reads the command line of pxctl.
#pragma once

#include <optional>
#include <string>

#include "options.h"
#include "proxist/base/status.h"

namespace CLI {
class App;
}

namespace proxist::pxctl {

/// What the command line asks for; or nothing and in `exit_code` what to exit with, when help was
/// asked for (0) or the usage is wrong (2). Help goes to stdout, errors to stderr.
std::optional<Options> ParseCommandLine(int argc, char** argv, int* exit_code);

/// Adds `query` and its operators to `app`; when one is given, it is `options->command`.
void AddQueryCommands(CLI::App* app, Options* options);

/// What `pxctl query` would read of "bars trades --interval 1m ...". INVALID_ARGUMENT.
StatusOr<client::QueryFlags> ParseQuery(const std::string& text);

}  // namespace proxist::pxctl
