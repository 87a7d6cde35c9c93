// The server's executable: options, start, wait for a signal, stop. Exit codes: docs/errors.md.
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxist/api/rpc_status.h"
#include "proxist/base/heap.h"
#include "proxist/observe/log.h"
#include "proxist/server/daemon.h"
#include "proxist/server/daemon_options.h"

namespace {

using proxist::server::Daemon;
using proxist::server::DaemonOptions;

constexpr int kExitInternal = 1;

int stop_event = -1;                // set before the handler is installed
std::atomic<bool> stopping{false};  // lock-free, so the handler may use it

void OnStopSignal(int /*signal*/) {
  if (stopping.exchange(true)) _exit(kExitInternal);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(stop_event, &one, sizeof one);
}

/// SIGTERM and SIGINT raise the event; a second one ends the process at once.
bool HandleStopSignals() {
  stop_event = eventfd(0, EFD_CLOEXEC);
  struct sigaction action {};
  action.sa_handler = &OnStopSignal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  return stop_event >= 0 && sigaction(SIGTERM, &action, nullptr) == 0 &&
         sigaction(SIGINT, &action, nullptr) == 0 && std::signal(SIGPIPE, SIG_IGN) != SIG_ERR;
}

void AwaitStop() {
  uint64_t count = 0;
  while (read(stop_event, &count, sizeof count) < 0 && errno == EINTR) {
  }
}

int Serve(const DaemonOptions& options) {
  proxist::KeepFreedMemory();
  proxist::observe::SetLogLevel(options.log_level);
  auto daemon = Daemon::Start(options);
  if (!daemon.ok()) {
    std::fprintf(stderr, "proxistd: %s\n", std::string(proxist::Message(daemon.status())).c_str());
    return proxist::api::ExitCode(daemon.status());
  }
  if (!stopping) {
    std::printf("%s\n", (*daemon)->ReadyLine().c_str());
    std::fflush(stdout);
  }
  AwaitStop();
  proxist::observe::LogInfo("stopping");
  daemon->reset();
  proxist::observe::LogInfo("stopped");
  return 0;
}

/// A store of a day has hundreds of chunk files, and recovery reads them side by side.
void AllowOpenFiles() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int Main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto command = proxist::server::ParseCommandLine(arguments);
  if (!command.options) {
    std::FILE* out = command.exit_code == 0 ? stdout : stderr;
    if (std::fputs(command.text.c_str(), out) >= 0 && std::fflush(out) == 0) {
      return command.exit_code;
    }
    std::perror("proxistd: cannot write to stdout");
    return kExitInternal;
  }
  AllowOpenFiles();
  if (!HandleStopSignals()) {
    std::perror("proxistd: signal handlers");
    return kExitInternal;
  }
  return Serve(*command.options);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "proxistd: %s\n", error.what());
    return kExitInternal;
  }
}
