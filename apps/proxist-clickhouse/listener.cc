// Runs the engine on a pseudo-terminal and tells it to stop.
#include "listener.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace proxist::launcher {
namespace {

using Clock = std::chrono::steady_clock;

struct Descriptors {
  int signals;  // signalfd
  int parent;   // the former fd 0
  int prompt;   // the pty's master
};

/// True when there was something to read. At the end of the file or on an error `entry` is
/// watched no longer.
bool Drain(pollfd* entry) {
  char scratch[4096];
  const ssize_t got = read(entry->fd, scratch, sizeof scratch);
  if (got > 0) return true;
  if (got == 0 || (errno != EINTR && errno != EAGAIN)) entry->fd = -1;
  return false;
}

void LeavePrompt(int prompt) {
  static constexpr char kExit[] = "exit\n";
  // Once only: more lines in the buffer are taken for one statement of several lines.
  if (write(prompt, kExit, sizeof kExit - 1) < 0) _exit(3);
}

void Watch(Descriptors from, int stop_bound_seconds) {
  pollfd entries[3] = {
      {from.signals, POLLIN, 0}, {from.parent, POLLIN, 0}, {from.prompt, POLLIN, 0}};
  bool leaving = false;
  Clock::time_point deadline;
  while (true) {
    if (poll(entries, 3, leaving ? 100 : -1) < 0 && errno != EINTR) _exit(3);
    bool asked = false;
    if (entries[0].revents != 0) asked = Drain(&entries[0]);
    if (entries[1].revents != 0) {
      Drain(&entries[1]);
      asked = asked || entries[1].fd < 0;
    }
    // What the prompt prints is read so that the engine never blocks on a full terminal.
    if (entries[2].revents != 0) Drain(&entries[2]);
    if (asked && !leaving) {
      leaving = true;
      deadline = Clock::now() + std::chrono::seconds(stop_bound_seconds);
      LeavePrompt(from.prompt);
    }
    if (leaving && Clock::now() > deadline) _exit(3);
  }
}

}  // namespace

bool TakeOverStdin(int stop_bound_seconds) {
  // Above the numbers that the engine's code may assume to be the standard streams.
  const int parent = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
  if (parent < 0) return false;
  int master = -1;
  int terminal = -1;
  if (openpty(&master, &terminal, nullptr, nullptr, nullptr) != 0) return false;
  if (fcntl(master, F_SETFD, FD_CLOEXEC) != 0 || dup2(terminal, STDIN_FILENO) < 0) return false;
  if (terminal != STDIN_FILENO) close(terminal);
  setenv("TERM", "dumb", 1);

  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGTERM);
  sigaddset(&stops, SIGINT);
  sigaddset(&stops, SIGHUP);
  if (pthread_sigmask(SIG_BLOCK, &stops, nullptr) != 0) return false;
  const int signals = signalfd(-1, &stops, SFD_CLOEXEC);
  if (signals < 0) return false;
  std::thread(Watch, Descriptors{signals, parent, master}, stop_bound_seconds).detach();
  return true;
}

}  // namespace proxist::launcher
