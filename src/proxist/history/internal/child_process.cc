// posix_spawn rather than fork: a daemon with gigabytes mapped must not copy its page tables.
#include "proxist/history/internal/child_process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxist/base/check.h"

namespace proxist::history {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> out;
  for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
  out.push_back(nullptr);
  return out;
}

/// posix_spawn's attributes and file actions, freed together.
struct SpawnPlan {
  SpawnPlan() {
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&actions);
  }
  ~SpawnPlan() {
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t actions;
};

}  // namespace

StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Spawn(
    const std::vector<std::string>& argv, const std::vector<std::string>& environment,
    const std::string& directory, const std::string& output) {
  PX_CHECK(!argv.empty());
  int pipe_ends[2];
  if (::pipe2(pipe_ends, O_CLOEXEC) != 0) return Unavailable("pipe: {}", std::strerror(errno));

  SpawnPlan plan;
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&plan.attributes, &none);
  posix_spawnattr_setsigdefault(&plan.attributes, &all);
  posix_spawnattr_setflags(&plan.attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  posix_spawn_file_actions_adddup2(&plan.actions, pipe_ends[0], STDIN_FILENO);
  posix_spawn_file_actions_addopen(&plan.actions, STDOUT_FILENO, output.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&plan.actions, STDOUT_FILENO, STDERR_FILENO);
  posix_spawn_file_actions_addchdir_np(&plan.actions, directory.c_str());
  posix_spawn_file_actions_addclosefrom_np(&plan.actions, STDERR_FILENO + 1);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, argv[0].c_str(), &plan.actions, &plan.attributes,
                                Pointers(argv).data(), Pointers(environment).data());
  ::close(pipe_ends[0]);
  if (error != 0) {
    ::close(pipe_ends[1]);
    return Unavailable("can't start {}: {}", argv[0], std::strerror(error));
  }
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  const int pidfd_error = errno;
  std::unique_ptr<ChildProcess> child(new ChildProcess(pid, pidfd, pipe_ends[1]));
  if (pidfd < 0) return Unavailable("pidfd_open: {}", std::strerror(pidfd_error));
  return child;
}

ChildProcess::~ChildProcess() {
  if (how_.empty()) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  if (pidfd_ >= 0) ::close(pidfd_);
  ::close(stdin_pipe_);
}

bool ChildProcess::WaitFor(Duration bound) {
  if (!how_.empty()) return true;
  pollfd entry{pidfd_, POLLIN, 0};
  ::poll(&entry, 1, static_cast<int>(std::min<int64_t>(bound.ns() / 1'000'000, 1 << 30)));
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return false;
  how_ = WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status))
                             : fmt::format("exit code {}", WEXITSTATUS(status));
  return true;
}

void ChildProcess::Terminate() {
  if (how_.empty()) ::kill(pid_, SIGTERM);
}

}  // namespace proxist::history
