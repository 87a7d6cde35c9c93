// A child process that holds nothing of its parent but the pipe on its stdin.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/base/time.h"

namespace proxist::history {

/// One running child, watched through a pidfd. One thread, which must outlive the child: the child
/// asks the kernel to be ended with the thread that started it.
class ChildProcess {
 public:
  /// Runs `argv` in `directory` with `environment` ("NAME=value"), stdout and stderr in the file
  /// `output`, in a session of its own so that a terminal's Ctrl-C does not reach it. Every other
  /// descriptor stays behind. UNAVAILABLE with the reason when it can't start.
  static StatusOr<std::unique_ptr<ChildProcess>> Spawn(const std::vector<std::string>& argv,
                                                       const std::vector<std::string>& environment,
                                                       const std::string& directory,
                                                       const std::string& output);
  /// Ends the child by SIGKILL when it still runs, and reaps it.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  [[nodiscard]] int pid() const { return pid_; }
  /// Readable (poll) when the child has ended.
  [[nodiscard]] int descriptor() const { return pidfd_; }
  /// Waits up to `bound` for the end; true when it has ended. Then `how()` says how.
  bool WaitFor(Duration bound);
  /// "exit code 2", "signal 9"; empty while it runs.
  [[nodiscard]] const std::string& how() const { return how_; }
  void Terminate();  // SIGTERM

 private:
  ChildProcess(int pid, int pidfd, int stdin_pipe)
      : pid_(pid), pidfd_(pidfd), stdin_pipe_(stdin_pipe) {}
  int pid_;
  int pidfd_;
  int stdin_pipe_;  // its closing, also by this process's death, tells the child to stop
  std::string how_;
};

}  // namespace proxist::history
