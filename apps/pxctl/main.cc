// pxctl: Proxist's command line client.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <system_error>

#include <unistd.h>

#include "command_line.h"
#include "commands.h"
#include "proxist/api/rpc_status.h"

namespace proxist::pxctl {
namespace {

constexpr std::string_view kReaderGone = "nobody reads the output";

}  // namespace

Status WriteOut(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EPIPE) {
      return Cancelled("{}", kReaderGone);
    } else if (errno != EINTR) {
      return Unavailable("cannot write to stdout: {}", std::generic_category().message(errno));
    }
  }
  return OkStatus();
}

int Main(int argc, char** argv) {
  // A reader that stops reading, as `head` does, ends the output and is no error.
  (void)std::signal(SIGPIPE, SIG_IGN);
  int exit_code = 0;
  const std::optional<Options> options = ParseCommandLine(argc, argv, &exit_code);
  if (!options) return exit_code;
  Status status;
  {
    client::Client client(options->server);
    status = std::visit([&](const auto& command) { return Run(client, *options, command); },
                        options->command);
  }
  if (status.code() == absl::StatusCode::kCancelled && Message(status) == kReaderGone) return 0;
  if (!status.ok()) {
    const std::string code = absl::StatusCodeToString(status.code());
    fmt::print(stderr, "pxctl: {}: {}\n", code, Message(status));
  }
  return api::ExitCode(status);
}

}  // namespace proxist::pxctl

int main(int argc, char** argv) { return proxist::pxctl::Main(argc, argv); }
