#include "apps/proxist-bench/history/server.h"

#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>
#include <utility>

#include <unistd.h>

#include "proxist/v1/proxist.pb.h"

namespace proxist::bench {
namespace {

constexpr Duration kAskTimeout = Duration::Seconds(60);

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

StatusOr<std::string> Password(const std::string& data) {
  std::error_code error;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(data + "/clickhouse", error)) {
    if (entry.path().filename() != "password") continue;
    std::string text = ReadAll(entry.path());
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }
  return NotFound("{}: the embedded ClickHouse has no password file", data);
}

}  // namespace

StatusOr<std::unique_ptr<ServerWithHistory>> ServerWithHistory::Start(
    const std::string& directory, const std::vector<std::string>& options) {
  std::vector<std::string> all = {"--shards", "1", "--log-level", "error"};
  all.insert(all.end(), options.begin(), options.end());
  PX_ASSIGN_OR_RETURN(auto own, OwnServer::Start(directory, "embedded", all));
  v1::StatusResponse status;
  PX_RETURN_IF_ERROR(client::Client(own->address()).GetStatus(&status));
  history::ClickHouseAddress clickhouse;
  clickhouse.url = status.history().url();
  clickhouse.user = "proxist";
  PX_ASSIGN_OR_RETURN(clickhouse.password, Password(own->data_directory()));
  return std::unique_ptr<ServerWithHistory>(
      new ServerWithHistory(std::move(own), std::move(clickhouse)));
}

pid_t ServerWithHistory::ClickHousePid() const {
  std::error_code error;
  for (const auto& task :
       std::filesystem::directory_iterator(fmt::format("/proc/{}/task", own_->pid()), error)) {
    std::istringstream children(ReadAll(task.path() / "children"));
    pid_t pid = 0;
    while (children >> pid) {
      const std::string command = ReadAll(fmt::format("/proc/{}/cmdline", pid));
      if (command.find("proxist-clickhouse") != std::string::npos) return pid;
    }
  }
  return 0;
}

double ServerWithHistory::ClickHouseSeconds() const {
  const std::string stat = ReadAll(fmt::format("/proc/{}/stat", ClickHousePid()));
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(stat.substr(name_end + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;  // state to cmajflt
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

StatusOr<uint64_t> ServerWithHistory::Persisted() {
  v1::StatusResponse status;
  PX_RETURN_IF_ERROR(client_.GetStatus(&status));
  return status.shards(0).persisted_lsn();
}

StatusOr<uint64_t> ServerWithHistory::Inserts() {
  v1::StatusResponse status;
  PX_RETURN_IF_ERROR(client_.GetStatus(&status));
  return status.history().inserts();
}

Status ServerWithHistory::FlushAll(Duration timeout) {
  v1::FlushResponse answer;
  return client_.Flush(true, timeout, &answer);
}

Status ServerWithHistory::AwaitRest() {
  constexpr std::chrono::milliseconds kLook(250);
  constexpr int kLooks = 480;
  constexpr int kSteady = 4;  // looks in a row
  uint64_t ready = 0;
  int steady = 0;
  for (int look = 0; look < kLooks && steady < kSteady; ++look) {
    std::this_thread::sleep_for(kLook);
    v1::StatusResponse status;
    PX_RETURN_IF_ERROR(client_.GetStatus(&status));
    PX_ASSIGN_OR_RETURN(const uint64_t merges, Ask("SELECT count() FROM system.merges"));
    const uint64_t before = std::exchange(ready, status.memory().ready_bytes());
    steady = ready == before && merges == 0 ? steady + 1 : 0;
  }
  if (steady < kSteady)
    return DeadlineExceeded("memory is made ready, or ClickHouse merges, without an end");
  return OkStatus();
}

StatusOr<uint64_t> ServerWithHistory::Ask(const std::string& sql) {
  PX_ASSIGN_OR_RETURN(const std::string text, connection_.Query(sql, {}, kAskTimeout));
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return Internal("'{}' gives '{}', which is no number", sql, text);
  return value;
}

StatusOr<uint64_t> ServerWithHistory::ActiveParts() {
  return Ask("SELECT count() FROM system.parts WHERE active AND table = 'quotes_history'");
}

StatusOr<Checksum> ServerWithHistory::Held() {
  Checksum held;
  PX_ASSIGN_OR_RETURN(held.rows, Ask("SELECT count() FROM default.quotes_history"));
  PX_ASSIGN_OR_RETURN(held.sum,
                      Ask(fmt::format("SELECT sum(bitXor(bitXor(seq * toUInt64({}), "
                                      "reinterpretAsUInt64(toUnixTimestamp64Nano(ts))), "
                                      "reinterpretAsUInt64(bid_size))) FROM default.quotes_history",
                                      kMix)));
  return held;
}

}  // namespace proxist::bench
