// What a command line of pxctl asks for.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "proxist/base/time.h"
#include "proxist/client/answer_writer.h"
#include "proxist/client/importer.h"
#include "proxist/client/query_flags.h"

namespace proxist::pxctl {

struct ApplyCommand {
  std::vector<std::string> files;
  std::string author;
  bool confirm_drop = false;
};
struct TablesCommand {
  std::string name;  // empty: all
};
struct ImportCommand {
  std::string table;
  std::string map_file;
  client::ImportOptions import;
};
struct QueryCommand {
  client::QueryFlags flags;
  client::OutputFormat output = client::OutputFormat::kTable;
  client::TimeFormat time = client::TimeFormat::kIso;
  bool explain = false;
  bool allow_partial = false;
  Duration timeout;  // zero: the server's
};
struct StatusCommand {
  bool json = false;
};
struct FlushCommand {
  bool wait = false;
  Duration timeout = Duration::Seconds(60);
};
struct EvictCommand {
  std::string table;
  Timestamp before;
};

struct ResendCommand {};

struct KeysCommand {
  bool rotate = false;  // else they are listed
  std::string author;
};

struct VerifySeamCommand {
  std::string table;
  std::vector<std::pair<std::string, client::QueryFlags>> queries;  // as written, and read
  uint64_t max_rows = 1'000'000;
  Duration timeout = Duration::Seconds(10);
  uint64_t seed = 0;
};

struct Options {
  std::string server = "127.0.0.1:7401";
  std::string tenant = "default";
  std::variant<ApplyCommand, TablesCommand, ImportCommand, QueryCommand, StatusCommand,
               FlushCommand, EvictCommand, ResendCommand, KeysCommand, VerifySeamCommand>
      command;
};

}  // namespace proxist::pxctl
