// What pxctl does for each command.
#pragma once

#include <string_view>

#include "options.h"
#include "proxist/base/status.h"
#include "proxist/client/client.h"

namespace proxist::pxctl {

/// Each writes its answer to stdout and returns the error that ends the program, if any.
Status Run(client::Client& client, const Options& options, const ApplyCommand& command);
Status Run(client::Client& client, const Options& options, const TablesCommand& command);
Status Run(client::Client& client, const Options& options, const ImportCommand& command);
Status Run(client::Client& client, const Options& options, const QueryCommand& command);
Status Run(client::Client& client, const Options& options, const StatusCommand& command);
Status Run(client::Client& client, const Options& options, const FlushCommand& command);
Status Run(client::Client& client, const Options& options, const EvictCommand& command);
Status Run(client::Client& client, const Options& options, const ResendCommand& command);
Status Run(client::Client& client, const Options& options, const KeysCommand& command);
Status Run(client::Client& client, const Options& options, const VerifySeamCommand& command);

/// Writes all of `text` to stdout. CANCELLED when nobody reads it any more.
Status WriteOut(std::string_view text);

}  // namespace proxist::pxctl
