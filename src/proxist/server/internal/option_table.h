// The rows of the option table.
#pragma once

#include <span>
#include <string_view>

#include "proxist/server/daemon_options.h"

namespace proxist::server {

struct OptionRow {
  std::string_view name;      // "flush-max-rows", without dashes
  std::string_view argument;  // "N", "DIR"...; empty: a flag
  std::string_view standard;  // the default, as text that `set` reads; empty: none
  std::string_view help;
  /// INVALID_ARGUMENT says what is wrong with `text`, without the option's name.
  Status (*set)(std::string_view text, DaemonOptions* options);
};

/// Every option but --config, --help and --version, in the order of the reference.
std::span<const OptionRow> OptionTable();

/// The standard values.
DaemonOptions StandardOptions();

}  // namespace proxist::server
