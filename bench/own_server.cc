#include "bench/own_server.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace proxist::bench {
namespace {

std::string ServerPath() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return (self.parent_path() / "proxistd").string();
}

// Replaces the forked child by the server; only async-signal-safe calls.
[[noreturn]] void BecomeServer(int out, const char* const* arguments) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  dup2(out, STDOUT_FILENO);
  execv(arguments[0], const_cast<char* const*>(arguments));
  _exit(127);
}

// The server's first line; empty when it ended without one.
std::string ReadLine(int in) {
  std::string line;
  char c = 0;
  while (true) {
    const ssize_t n = read(in, &c, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n != 1 || c == '\n') return line;
    line.push_back(c);
  }
}

void Stop(pid_t pid) {
  kill(pid, SIGTERM);
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

StatusOr<std::unique_ptr<OwnServer>> OwnServer::Start(const std::string& parent,
                                                      const std::string& history,
                                                      const std::vector<std::string>& options) {
  PX_ASSIGN_OR_RETURN(TemporaryDirectory directory, TemporaryDirectory::Make(parent));
  const std::string server = ServerPath();
  const std::string data = directory.path() + "/data";
  std::vector<const char*> arguments = {server.c_str(), "--data",      data.c_str(),
                                        "--grpc",       "127.0.0.1:0", "--http",
                                        "127.0.0.1:0",  "--history",   history.c_str()};
  for (const std::string& option : options) arguments.push_back(option.c_str());
  arguments.push_back(nullptr);
  int out[2];
  if (pipe2(out, O_CLOEXEC) != 0) return Unavailable("no pipe: {}", std::strerror(errno));
  const pid_t pid = fork();
  if (pid == 0) BecomeServer(out[1], arguments.data());
  close(out[1]);
  const std::string line = pid > 0 ? ReadLine(out[0]) : "";
  close(out[0]);
  auto running =
      std::unique_ptr<OwnServer>(new OwnServer(std::move(directory), pid, std::string()));
  const size_t at = line.find("grpc=");
  if (!line.starts_with("ready ") || at == std::string::npos) {
    return Unavailable("{} did not start; its first line was '{}'", server, line);
  }
  running->address_ = line.substr(at + 5, line.find(' ', at) - at - 5);
  return running;
}

OwnServer::~OwnServer() {
  if (pid_ > 0) Stop(pid_);
}

}  // namespace proxist::bench
