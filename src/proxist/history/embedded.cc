// Supervises the embedded ClickHouse: start, health, restart with backoff, clean end.
#include "proxist/history/embedded.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxist/base/check.h"
#include "proxist/base/mutex.h"
#include "proxist/env/clock.h"
#include "proxist/env/file_system.h"
#include "proxist/history/internal/child_process.h"
#include "proxist/history/internal/embedded_files.h"

namespace proxist::history {
namespace {

constexpr Duration kProbeInterval = Duration::Millis(20);
constexpr Duration kProbeTimeout = Duration::Seconds(2);
constexpr Duration kHealthInterval = Duration::Seconds(1);
constexpr Duration kHealthTimeout = Duration::Seconds(5);
constexpr Duration kFirstBackoff = Duration::Millis(100);
constexpr Duration kLastBackoff = Duration::Seconds(5);
/// A child that served this long before it died starts the backoff anew.
constexpr Duration kSteadyAfter = Duration::Seconds(30);
/// Above the launcher's own bound, after which it ends hard.
constexpr Duration kStopBound = Duration::Seconds(17);

/// Binds 127.0.0.1:`port` (0: any free one) and lets go again; the port.
StatusOr<uint16_t> TryPort(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Unavailable("socket: {}", std::strerror(errno));
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  const bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  const int error = errno;
  ::close(fd);
  if (!bound) {
    return Unavailable("ClickHouse's port 127.0.0.1:{} can't be used: {}", port,
                       std::strerror(error));
  }
  return ntohs(address.sin_port);
}

/// The last line that the launcher wrote to `path`.
std::string LastLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::string last;
  while (std::getline(file, line)) {
    if (!line.empty()) last = line.substr(0, 500);
  }
  return last;
}

std::vector<std::string> ChildEnvironment(const EmbeddedFiles& files) {
  std::vector<std::string> out = {"PATH=/usr/bin:/bin", "HOME=" + files.directory,
                                  "TMPDIR=" + files.directory, "LANG=C.UTF-8", "TZ=UTC"};
  if (const char* library = std::getenv("PROXIST_LIBCHDB"); library && *library != '\0') {
    std::error_code ignored;
    out.push_back("PROXIST_LIBCHDB=" + std::filesystem::absolute(library, ignored).string());
  }
  return out;
}

}  // namespace

struct EmbeddedServer::Impl {
  EmbeddedOptions options;
  EmbeddedFiles files;
  ClickHouseAddress address;
  ClickHouseAddress sql_address;
  uint16_t port = 0;
  std::string launcher;
  std::unique_ptr<env::FileLock> lock;
  int stop_event = -1;  // readable once the destructor runs

  mutable Mutex mutex;
  CondVar changed;
  std::optional<Status> first PX_GUARDED_BY(mutex);  // how the first start went
  int pid PX_GUARDED_BY(mutex) = 0;
  uint64_t restarts PX_GUARDED_BY(mutex) = 0;

  // The kernel ties the child's life to the thread that started it, so this one thread does.
  std::thread thread;

  ~Impl() {
    if (thread.joinable()) {
      const uint64_t one = 1;
      PX_CHECK(::write(stop_event, &one, sizeof one) == sizeof one);
      thread.join();
    }
    if (stop_event >= 0) ::close(stop_event);
  }

  /// Waits up to `bound` (negative: for ever) until the destructor runs or `child` ends. True when
  /// the destructor runs.
  [[nodiscard]] bool WaitForStop(Duration bound, const ChildProcess* child = nullptr) const {
    pollfd entries[2] = {{stop_event, POLLIN, 0},
                         {child == nullptr ? -1 : child->descriptor(), POLLIN, 0}};
    ::poll(entries, 2, bound.ns() < 0 ? -1 : static_cast<int>(bound.ns() / 1'000'000));
    return entries[0].revents != 0;
  }

  void SetPid(int value) {
    const MutexLock held(&mutex);
    pid = value;
  }

  void ReportFirst(const Status& status) {
    const MutexLock held(&mutex);
    if (!first) first = status;
    changed.notify_all();
  }

  /// One child, up to where it answers a query under Proxist's own user: another server on the same
  /// port would not know the password. CANCELLED when the destructor runs, FAILED_PRECONDITION when
  /// trying again is no use.
  Status StartChild(std::unique_ptr<ChildProcess>* child) {
    const Duration deadline(env::SystemClock().Monotonic().ns() + options.start_timeout.ns());
    PX_RETURN_IF_ERROR(TryPort(port).status());
    PX_ASSIGN_OR_RETURN(
        *child, ChildProcess::Spawn({launcher, "--config", files.config, "--path", files.data,
                                     "--parent", std::to_string(::getpid())},
                                    ChildEnvironment(files), files.directory, files.output));
    Connection connection(address);
    while (true) {
      if (WaitForStop(Duration())) return Cancelled("stopped while it started");
      if ((*child)->WaitFor(kProbeInterval)) {
        const std::string what = fmt::format("ClickHouse ended at its start with {}: {}",
                                             (*child)->how(), LastLine(files.output));
        // It gives 0 when another process still holds its data: that passes.
        return (*child)->how() == "exit code 0" ? Unavailable("{}", what)
                                                : FailedPrecondition("{}", what);
      }
      const Status probed = connection.Query("SELECT 1", {}, kProbeTimeout).status();
      if (probed.ok()) return OkStatus();
      if (env::SystemClock().Monotonic() > deadline) {
        return DeadlineExceeded("ClickHouse did not answer within {}: {}",
                                FormatDuration(options.start_timeout), Message(probed));
      }
    }
  }

  /// Returns when the destructor runs (true), or the child ended or hangs.
  bool WatchChild(ChildProcess* child) {
    Connection connection(address);
    Duration answered = env::SystemClock().Monotonic();
    while (true) {
      if (WaitForStop(kHealthInterval, child)) return true;
      if (child->WaitFor(Duration())) return false;
      const Duration timeout = std::min(kHealthTimeout, options.hang_timeout);
      const bool ok = connection.Query("SELECT 1", {}, timeout).ok();
      const Duration now = env::SystemClock().Monotonic();
      if (ok) answered = now;
      // Its destructor kills it.
      if (now.ns() - answered.ns() > options.hang_timeout.ns()) return false;
    }
  }

  void Run() {
    Duration backoff = kFirstBackoff;
    const Duration first_deadline(env::SystemClock().Monotonic().ns() + options.start_timeout.ns());
    bool served = false;
    while (true) {
      std::unique_ptr<ChildProcess> child;
      const Status status = StartChild(&child);
      const Duration started = env::SystemClock().Monotonic();
      if (status.ok()) {
        served = true;
        SetPid(child->pid());
        ReportFirst(status);
        const bool stopped = WatchChild(child.get());
        SetPid(0);
        if (stopped) {
          child->Terminate();
          child->WaitFor(kStopBound);
          return;
        }
        const MutexLock held(&mutex);
        ++restarts;
      } else if (!served && (absl::IsFailedPrecondition(status) || absl::IsCancelled(status) ||
                             started > first_deadline)) {
        ReportFirst(status);
        return;
      }
      child.reset();
      if (env::SystemClock().Monotonic().ns() - started.ns() > kSteadyAfter.ns()) {
        backoff = kFirstBackoff;
      }
      if (WaitForStop(backoff)) return;
      backoff = std::min(Duration(backoff.ns() * 2), kLastBackoff);
    }
  }
};

StatusOr<std::unique_ptr<EmbeddedServer>> EmbeddedServer::Start(const EmbeddedOptions& options) {
  std::error_code error;
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->launcher = std::filesystem::absolute(options.launcher, error).string();
  if (::access(impl->launcher.c_str(), X_OK) != 0) {
    return NotFound("ClickHouse's launcher {} can't be run: {}", impl->launcher,
                    std::strerror(errno));
  }
  PX_ASSIGN_OR_RETURN(impl->files, PrepareDirectory(options.directory));
  PX_ASSIGN_OR_RETURN(impl->lock,
                      env::PosixFileSystem().Lock(impl->files.directory + "/supervisor.lock"));
  PX_ASSIGN_OR_RETURN(const std::string password, LoadOrMakePassword(impl->files.password));
  PX_ASSIGN_OR_RETURN(impl->port, TryPort(options.http_port));
  impl->address = {fmt::format("http://127.0.0.1:{}", impl->port), kEmbeddedUser, password};
  PX_ASSIGN_OR_RETURN(const std::string sql_password, LoadOrMakePassword(impl->files.sql_password));
  impl->sql_address = {impl->address.url, kEmbeddedReader, sql_password};
  PX_RETURN_IF_ERROR(WriteConfiguration(impl->files, impl->port, password, sql_password,
                                        options.max_memory_bytes));
  impl->stop_event = ::eventfd(0, EFD_CLOEXEC);
  if (impl->stop_event < 0) return Unavailable("eventfd: {}", std::strerror(errno));

  impl->thread = std::thread([state = impl.get()] { state->Run(); });
  {
    MutexLock held(&impl->mutex);
    while (!impl->first) impl->changed.wait(held);
    if (!impl->first->ok()) {
      const Status failed = *impl->first;
      held.unlock();
      impl.reset();
      return Annotate(failed, "embedded ClickHouse in " + options.directory);
    }
  }
  return std::unique_ptr<EmbeddedServer>(new EmbeddedServer(std::move(impl)));
}

EmbeddedServer::EmbeddedServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EmbeddedServer::~EmbeddedServer() = default;

const ClickHouseAddress& EmbeddedServer::address() const { return impl_->address; }
const ClickHouseAddress& EmbeddedServer::sql_address() const { return impl_->sql_address; }

int EmbeddedServer::pid() const {
  const MutexLock held(&impl_->mutex);
  return impl_->pid;
}

uint64_t EmbeddedServer::restarts() const {
  const MutexLock held(&impl_->mutex);
  return impl_->restarts;
}

}  // namespace proxist::history
