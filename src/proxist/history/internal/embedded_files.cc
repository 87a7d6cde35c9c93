// What the embedded server is told: loopback only, a user with all rights and one who reads,
// bounded memory.
#include "proxist/history/internal/embedded_files.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

namespace proxist::history {
namespace {

constexpr size_t kPasswordBytes = 24;

Status FileError(std::string_view doing, const std::string& path) {
  const int error = errno;
  if (error == EACCES || error == EPERM) {
    return PermissionDenied("{} {}: {}", doing, path, std::strerror(error));
  }
  if (error == ENOSPC || error == EDQUOT) {
    return ResourceExhausted("{} {}: {}", doing, path, std::strerror(error));
  }
  return Unavailable("{} {}: {}", doing, path, std::strerror(error));
}

/// Replaces `path` by a file that its owner alone may read.
Status WritePrivate(const std::string& path, std::string_view text) {
  const std::string fresh = path + ".tmp";
  ::unlink(fresh.c_str());
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return FileError("create", fresh);
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t wrote = ::write(fd, text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) {
      Status failed = FileError("write", fresh);
      ::close(fd);
      return failed;
    }
    done += static_cast<size_t>(wrote);
  }
  const bool synced = ::fsync(fd) == 0;
  ::close(fd);
  if (!synced) return FileError("sync", fresh);
  if (::rename(fresh.c_str(), path.c_str()) != 0) return FileError("rename", fresh);
  return OkStatus();
}

/// `text` as the content of an XML element.
std::string Xml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

StatusOr<EmbeddedFiles> PrepareDirectory(const std::string& directory) {
  std::error_code error;
  const std::filesystem::path root = std::filesystem::absolute(directory, error);
  if (directory.empty() || error) return InvalidArgument("'{}' is no directory path", directory);
  std::filesystem::create_directories(root, error);
  if (error) {
    errno = error.value();
    return FileError("create directory", root.string());
  }
  if (::chmod(root.c_str(), 0700) != 0) return FileError("change the mode of", root.string());
  EmbeddedFiles files;
  files.directory = root.string();
  files.config = root / "config.xml";
  files.users = root / "users.xml";
  files.password = root / "password";
  files.sql_password = root / "sql-password";
  files.data = root / "data";
  files.log = root / "clickhouse.log";
  files.output = root / "launcher.log";
  return files;
}

StatusOr<std::string> LoadOrMakePassword(const std::string& path) {
  char text[2 * kPasswordBytes + 1] = {};
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    const ssize_t got = ::read(fd, text, sizeof text);
    ::close(fd);
    if (got < 0) return FileError("read", path);
    const std::string_view found(text, static_cast<size_t>(got));
    if (found.size() != 2 * kPasswordBytes ||
        found.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
      return DataLoss("{} is not the password that Proxist stored; remove it to get a new one",
                      path);
    }
    return std::string(found);
  }
  if (errno != ENOENT) return FileError("open", path);
  unsigned char random[kPasswordBytes];
  if (::getrandom(random, sizeof random, 0) != sizeof random) {
    return Unavailable("no random bytes: {}", std::strerror(errno));
  }
  std::string password;
  for (const unsigned char byte : random) password += fmt::format("{:02x}", byte);
  PX_RETURN_IF_ERROR(WritePrivate(path, password));
  return password;
}

Status WriteConfiguration(const EmbeddedFiles& files, uint16_t http_port,
                          const std::string& password, const std::string& sql_password,
                          uint64_t max_memory_bytes) {
  const std::string config = fmt::format(
      "<clickhouse>\n"
      "  <logger><level>warning</level><log>{log}</log><size>10M</size><count>2</count></logger>\n"
      "  <listen_host>127.0.0.1</listen_host>\n"
      "  <http_port>{port}</http_port>\n"
      "  <keep_alive_timeout>30</keep_alive_timeout>\n"
      "  <users_config>{users}</users_config>\n"
      "  <tmp_path>{data}/tmp/</tmp_path>\n"
      "  <timezone>UTC</timezone>\n"
      "  <max_server_memory_usage>{memory}</max_server_memory_usage>\n"
      "  <mark_cache_size>{mark_cache}</mark_cache_size>\n"
      "  <uncompressed_cache_size>0</uncompressed_cache_size>\n"
      "  <max_concurrent_queries>100</max_concurrent_queries>\n"
      "  <send_crash_reports><enabled>false</enabled></send_crash_reports>\n"
      "</clickhouse>\n",
      fmt::arg("log", Xml(files.log)), fmt::arg("port", http_port),
      fmt::arg("users", Xml(files.users)), fmt::arg("data", Xml(files.data)),
      fmt::arg("memory", max_memory_bytes), fmt::arg("mark_cache", max_memory_bytes / 16));
  // The engine's own session is `default` and needs an empty password, so that user may do nothing
  // but open the listener.
  const std::string users = fmt::format(
      "<clickhouse>\n"
      "  <profiles>\n"
      "    <default/>\n"
      "    <reader>\n"
      "      <readonly>2</readonly><max_memory_usage>{query_memory}</max_memory_usage>\n"
      "    </reader>\n"
      "  </profiles>\n"
      "  <quotas><default/></quotas>\n"
      "  <users>\n"
      "    <default>\n"
      "      <password></password><networks><ip>127.0.0.1</ip></networks>\n"
      "      <profile>default</profile><quota>default</quota>\n"
      "      <grants><query>GRANT SYSTEM LISTEN ON *.*</query></grants>\n"
      "    </default>\n"
      "    <{user}>\n"
      "      <password>{password}</password><networks><ip>127.0.0.1</ip></networks>\n"
      "      <profile>default</profile><quota>default</quota>\n"
      "    </{user}>\n"
      "    <{reader}>\n"
      "      <password>{sql_password}</password><networks><ip>127.0.0.1</ip></networks>\n"
      "      <profile>reader</profile><quota>default</quota>\n"
      "      <grants><query>GRANT SELECT, SHOW ON *.*</query></grants>\n"
      "    </{reader}>\n"
      "  </users>\n"
      "</clickhouse>\n",
      fmt::arg("user", kEmbeddedUser), fmt::arg("password", password),
      fmt::arg("reader", kEmbeddedReader), fmt::arg("sql_password", sql_password),
      fmt::arg("query_memory", max_memory_bytes / 2));
  PX_RETURN_IF_ERROR(WritePrivate(files.config, config));
  return WritePrivate(files.users, users);
}

}  // namespace proxist::history
