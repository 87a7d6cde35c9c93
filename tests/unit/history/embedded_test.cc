// The embedded server's life: restarts, ends, refusals.
#include "proxist/history/embedded.h"

#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxist/history/history.h"
#include "tests/unit/history/shared_server.h"

namespace proxist::history {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

EmbeddedOptions OptionsIn(const std::string& directory) {
  EmbeddedOptions options;
  options.launcher = LauncherPath();
  options.directory = directory;
  return options;
}

/// Polls until `done` or half a minute is over.
template <typename Done>
bool Eventually(Done done) {
  for (int i = 0; i < 1500; ++i) {
    if (done()) return true;
    std::this_thread::sleep_for(20ms);
  }
  return false;
}

bool IsRunning(int pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(stat, line)) return false;
  const size_t paren = line.rfind(')');
  return paren != std::string::npos && line.size() > paren + 2 && line[paren + 2] != 'Z';
}

TEST(Embedded, IsRestartedWithItsDataUnderTheSameAddress) {
  const ScratchDirectory scratch;
  auto server = EmbeddedServer::Start(OptionsIn(scratch.path())).value();
  const ClickHouseAddress address = server->address();
  const int pid = server->pid();
  ASSERT_GT(pid, 0);
  auto history = MakeClickHouseHistory(address);
  const auto schema =
      MakeSchema("kept", {{ColumnId(), "price", {column::TypeKind::kInt64}, false}});
  ASSERT_EQ(history->EnsureTable(*schema), OkStatus());
  column::BatchBuilder builder(schema);
  builder.AddRow("A", kDayStart, 1);
  builder.SetInt(0, 42);
  const std::vector<SourceBatch> sources = {{ShardId(0), builder.Build(), Lsn(1)}};
  const InsertIntent intent = IntentFor("kept", schema, sources);
  ASSERT_EQ(history->Insert(intent, sources), OkStatus());

  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  ASSERT_TRUE(Eventually([&] { return server->pid() != 0 && server->pid() != pid; }));
  EXPECT_EQ(server->restarts(), 1u);
  EXPECT_EQ(server->address().url, address.url);
  EXPECT_EQ(server->address().password, address.password);
  // The connection that was open when the server died is no obstacle, nor is the token forgotten.
  ASSERT_EQ(history->Insert(intent, sources), OkStatus());
  EXPECT_EQ(history->CountVersions(intent).value(), 1u);
  const ReadResult read = history->Read(RequestFor(schema, {"A"})).value();
  ASSERT_EQ(read.batch.rows, 1u);
  EXPECT_EQ(read.batch.columns[0].At<int64_t>(0), 42);

  const int second = server->pid();
  history.reset();
  server.reset();
  EXPECT_FALSE(IsRunning(second));
  // A second life finds password and rows.
  server = EmbeddedServer::Start(OptionsIn(scratch.path())).value();
  EXPECT_EQ(server->address().password, address.password);
  history = MakeClickHouseHistory(server->address());
  EXPECT_EQ(history->CountVersions(intent).value(), 1u);
  history.reset();
}

TEST(Embedded, EndsWithAKilledParent) {
  const ScratchDirectory scratch;
  int report[2];
  ASSERT_EQ(::pipe(report), 0);
  const pid_t parent = ::fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {
    // Inherited on purpose: the server must not keep it open.
    auto server = EmbeddedServer::Start(OptionsIn(scratch.path()));
    int pid = server.ok() ? (*server)->pid() : -1;
    if (::write(report[1], &pid, sizeof pid) != sizeof pid) ::_exit(1);
    if (pid > 0) ::pause();
    ::_exit(0);
  }
  ::close(report[1]);
  int child = -1;
  ASSERT_EQ(::read(report[0], &child, sizeof child), static_cast<ssize_t>(sizeof child));
  ASSERT_GT(child, 0);
  EXPECT_TRUE(IsRunning(child));
  ASSERT_EQ(::kill(parent, SIGKILL), 0);
  ASSERT_EQ(::waitpid(parent, nullptr, 0), parent);
  // The end of the pipe: the server holds no descriptor of its parent.
  char byte = 0;
  EXPECT_EQ(::read(report[0], &byte, 1), 0);
  ::close(report[0]);
  EXPECT_TRUE(Eventually([&] { return !IsRunning(child); }));
  // The next one starts over whatever the killed pair left behind.
  EXPECT_TRUE(EmbeddedServer::Start(OptionsIn(scratch.path())).ok());
}

TEST(Embedded, SecretsArePrivate) {
  const ScratchDirectory scratch;
  const auto server = EmbeddedServer::Start(OptionsIn(scratch.path() + "/sub")).value();
  for (const char* name : {"password", "users.xml", "config.xml"}) {
    struct stat found {};
    ASSERT_EQ(::stat((scratch.path() + "/sub/" + name).c_str(), &found), 0) << name;
    EXPECT_EQ(found.st_mode & 0777, 0600u) << name;
  }
  EXPECT_GE(server->address().password.size(), 32u);
  const Status twice = EmbeddedServer::Start(OptionsIn(scratch.path() + "/sub")).status();
  EXPECT_EQ(twice.code(), absl::StatusCode::kFailedPrecondition) << twice.ToString();
}

TEST(Embedded, RefusalsSayWhy) {
  const ScratchDirectory scratch;
  EmbeddedOptions options = OptionsIn(scratch.path());
  options.launcher = scratch.path() + "/no-such-launcher";
  Status status = EmbeddedServer::Start(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(Message(status)), HasSubstr("no-such-launcher"));

  options = OptionsIn("/proc/no-such-directory");
  EXPECT_FALSE(EmbeddedServer::Start(options).ok());

  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(fd, 1), 0);
  ASSERT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length), 0);
  options = OptionsIn(scratch.path());
  options.http_port = ntohs(address.sin_port);
  status = EmbeddedServer::Start(options).status();
  ::close(fd);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(Message(status)), HasSubstr(std::to_string(options.http_port)));

  // A launcher that ends at once, as it does without its library.
  options = OptionsIn(scratch.path());
  options.launcher = "/bin/false";
  status = EmbeddedServer::Start(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(Message(status)), HasSubstr("exit code 1"));
  // One that never answers.
  options.launcher = scratch.path() + "/sleeper";
  std::ofstream(options.launcher) << "#!/bin/sh\nexec sleep 1000\n";
  std::filesystem::permissions(options.launcher, std::filesystem::perms::owner_all);
  options.start_timeout = Duration::Millis(200);
  EXPECT_EQ(EmbeddedServer::Start(options).status().code(), absl::StatusCode::kDeadlineExceeded);

  std::ofstream(scratch.path() + "/password") << "short";
  EXPECT_EQ(EmbeddedServer::Start(OptionsIn(scratch.path())).status().code(),
            absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace proxist::history
