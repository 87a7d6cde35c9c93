// The command line, the configuration file, and the reference page that must match them.
#include "proxist/server/daemon_options.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "proxist/server/internal/option_table.h"

namespace proxist::server {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class ConfigFile {
 public:
  explicit ConfigFile(std::string_view text)
      : path_(std::filesystem::temp_directory_path() /
              ("proxist_config_" + std::to_string(getpid()) + ".yaml")) {
    std::ofstream(path_) << text;
  }
  ~ConfigFile() { std::filesystem::remove(path_); }
  ConfigFile(const ConfigFile&) = delete;
  ConfigFile& operator=(const ConfigFile&) = delete;
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

std::string UsageError(const std::vector<std::string>& arguments) {
  const CommandLine line = ParseCommandLine(arguments);
  EXPECT_FALSE(line.options.has_value());
  EXPECT_EQ(line.exit_code, kExitUsage);
  EXPECT_THAT(line.text, StartsWith("proxistd: "));
  EXPECT_THAT(line.text, testing::EndsWith("\n"));
  return line.text;
}

TEST(CommandLine, StandardsEqualTheStructs) {
  const CommandLine line = ParseCommandLine({"--data", "/tmp/x"});
  ASSERT_TRUE(line.options) << line.text;
  const NodeOptions node;
  EXPECT_EQ(line.options->node.data_directory, "/tmp/x");
  EXPECT_EQ(line.options->node.history, node.history);
  EXPECT_EQ(line.options->node.shards, node.shards);
  EXPECT_EQ(line.options->node.segment_bytes, node.segment_bytes);
  EXPECT_EQ(line.options->node.max_backlog_bytes, node.max_backlog_bytes);
  EXPECT_EQ(line.options->node.flush_min_interval, node.flush_min_interval);
  EXPECT_EQ(line.options->node.flush_max_interval, node.flush_max_interval);
  EXPECT_EQ(line.options->node.flush_max_rows, node.flush_max_rows);
  EXPECT_EQ(line.options->node.max_queued_batches, node.max_queued_batches);
  const GrpcServerOptions grpc;
  EXPECT_EQ(line.options->grpc.max_message_bytes, grpc.max_message_bytes);
  EXPECT_EQ(line.options->grpc.query_deadline, grpc.query_deadline);
  EXPECT_EQ(line.options->grpc.query_memory_bytes, grpc.query_memory_bytes);
  EXPECT_EQ(line.options->grpc.stream_unacked_batches, grpc.stream_unacked_batches);
  EXPECT_EQ(line.options->grpc.stream_unacked_bytes, grpc.stream_unacked_bytes);
  EXPECT_EQ(line.options->grpc.max_waiting_queries, grpc.max_waiting_queries);
  EXPECT_EQ(line.options->http.max_connections, HttpServerOptions().max_connections);
  EXPECT_EQ(line.options->node.live_views, node.live_views);
  EXPECT_EQ(line.options->node.live.max_queries, node.live.max_queries);
  EXPECT_EQ(line.options->node.live.max_bytes, node.live.max_bytes);
  EXPECT_EQ(line.options->node.live.keep, node.live.keep);
  const SqlOptions sql;
  EXPECT_EQ(line.options->sql.max_queries, sql.max_queries);
  EXPECT_EQ(line.options->sql.timeout, sql.timeout);
  EXPECT_EQ(line.options->sql.max_body_bytes, sql.max_body_bytes);
  EXPECT_EQ(Format(line.options->grpc.address), "127.0.0.1:7401");
  EXPECT_EQ(Format(line.options->http.address), "127.0.0.1:7402");
  EXPECT_FALSE(line.options->insecure);
}

TEST(CommandLine, AMemoryLimitIsAShareOfTheMachineOrGivenOrNone) {
  const auto limit = [](const std::string& text) {
    const CommandLine line = ParseCommandLine({"--data", "/tmp/x", "--memory-limit-mb", text});
    EXPECT_TRUE(line.options) << line.text;
    return line.options->node.memory_limit_bytes;
  };
  EXPECT_EQ(limit("100"), 100u << 20);
  EXPECT_EQ(limit("0"), 0u);
  EXPECT_GE(limit("auto"), 64u << 20);
  EXPECT_THAT(UsageError({"--data", "/tmp/x", "--memory-limit-mb", "63"}),
              HasSubstr("at least 64"));
  EXPECT_THAT(UsageError({"--data", "/tmp/x", "--memory-limit-mb", "x"}),
              HasSubstr("not a number"));
}

TEST(CommandLine, TheFileSetsAndTheCommandLineWins) {
  const ConfigFile file("data: /from/file\nshards: 3\ninsecure: true\ngrpc: '[::1]:9'\n");
  const CommandLine line =
      ParseCommandLine({"--shards", "5", "--config", file.path(), "--segment-mb=80"});
  ASSERT_TRUE(line.options) << line.text;
  EXPECT_EQ(line.options->node.data_directory, "/from/file");
  EXPECT_EQ(line.options->node.shards, 5u);
  EXPECT_EQ(line.options->node.segment_bytes, 80u << 20);
  EXPECT_TRUE(line.options->insecure);
  EXPECT_EQ(line.options->grpc.address.host, "::1");
  EXPECT_EQ(line.options->grpc.address.port, 9);
}

TEST(CommandLine, WrongOptionsAreNamed) {
  EXPECT_THAT(UsageError({}), HasSubstr("--data DIR is required"));
  EXPECT_THAT(UsageError({"--data"}), HasSubstr("--data"));
  EXPECT_THAT(UsageError({"--data", "x", "--bogus"}), HasSubstr("--bogus"));
  EXPECT_THAT(UsageError({"--data", ""}), HasSubstr("--data: the path is empty"));
  EXPECT_THAT(UsageError({"--data", "x", "--grpc", "7401"}),
              HasSubstr("--grpc: address \"7401\": expected HOST:PORT"));
  EXPECT_THAT(UsageError({"--data", "x", "--grpc", "h:70000"}), HasSubstr("port \"70000\""));
  EXPECT_THAT(UsageError({"--data", "x", "--http", "::1:5"}), HasSubstr("[HOST]:PORT"));
  EXPECT_THAT(UsageError({"--data", "x", "--segment-mb", "0"}),
              HasSubstr("--segment-mb: \"0\" is not a number from 50 to 4096"));
  EXPECT_THAT(UsageError({"--data", "x", "--shards", "-1"}), HasSubstr("shards"));
  EXPECT_THAT(UsageError({"--data", "x", "--shards", "2x"}), HasSubstr("\"2x\""));
  EXPECT_THAT(UsageError({"--data", "x", "--log-level", "loud"}), HasSubstr("log level loud"));
  EXPECT_THAT(UsageError({"--data", "x", "--flush-min-ms", "51"}),
              HasSubstr("--flush-min-ms is above --flush-max-ms"));
  EXPECT_THAT(UsageError({"--data", "x", "--live-views", "maybe"}), HasSubstr("--live-views"));
  EXPECT_THAT(UsageError({"--data", "x", "--http-max-connections", "32"}),
              HasSubstr("--sql-max-queries is not below --http-max-connections"));
}

TEST(CommandLine, WrongFilesAreNamed) {
  const auto error = [](std::string_view text) {
    const ConfigFile file(text);
    return UsageError({"--data", "x", "--config", file.path()});
  };
  EXPECT_THAT(error("grpc: 127.0.0.1:1\ncolour: red\n"),
              HasSubstr("line 2: no option is called colour"));
  EXPECT_THAT(error("shards: [1]\n"), HasSubstr("line 1: shards needs one value"));
  EXPECT_THAT(error("- a\n"), HasSubstr("expected lines of `option: value`"));
  EXPECT_THAT(error("shards: many\n"), HasSubstr("shards: \"many\" is not a number"));
  EXPECT_THAT(error("shards: {\n"), HasSubstr("configuration file "));
  EXPECT_THAT(error("insecure: maybe\n"), HasSubstr("neither true nor false"));
  EXPECT_THAT(error("shards: 1\nshards: 2\n"), HasSubstr("given twice"));
  EXPECT_THAT(error("data: " + std::string(2 << 20, 'x')), HasSubstr("above 1048576 bytes"));
  EXPECT_THAT(UsageError({"--config", "/nowhere/x.yaml"}), HasSubstr("/nowhere/x.yaml"));
  EXPECT_THAT(UsageError({"--config", "/tmp"}), HasSubstr("configuration file /tmp"));
}

TEST(CommandLine, HelpAndVersionGoToStdout) {
  const CommandLine help = ParseCommandLine({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_FALSE(help.options);
  for (const OptionRow& row : OptionTable()) {
    EXPECT_THAT(help.text, HasSubstr("--" + std::string(row.name)));
  }
  EXPECT_THAT(ParseCommandLine({"--version"}).text, testing::MatchesRegex("proxistd [0-9.]+\n"));
}

TEST(ConfigurationPage, EqualsTheTable) {
  const auto page =
      std::filesystem::path(__FILE__).parent_path() / "../../../docs/configuration.md";
  std::ifstream file(page);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), ConfigurationReference())
      << "run: proxistd --print-config-reference > docs/configuration.md";
  EXPECT_EQ(ParseCommandLine({"--print-config-reference"}).text, ConfigurationReference());
}

}  // namespace
}  // namespace proxist::server
