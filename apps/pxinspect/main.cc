// pxinspect: looks into Proxist's files without a server and never writes to them.
#include <cstdio>

#include <CLI/CLI.hpp>

#include "wal_command.h"

namespace proxist::pxinspect {
namespace {

constexpr int kUsageExitCode = 2;
constexpr int kErrorExitBase = 10;  // plus the status code's number

int Main(int argc, char** argv) {
  CLI::App app("Looks into Proxist's files without a server and never writes to them.",
               "pxinspect");
  app.require_subcommand(1);
  WalOptions wal;
  CLI::App* wal_command = app.add_subcommand("wal", "Print and verify a write-ahead log");
  wal_command->add_option("DIR", wal.directory, "A data directory, or one log's directory")
      ->required();
  wal_command->add_flag("--records", wal.records, "Also print each frame and record");
  wal_command->add_flag("--json", wal.json, "One JSON object a line");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsageExitCode;
  }
  const Status status = InspectWal(wal);
  std::fflush(stdout);
  if (status.ok()) return 0;
  const std::string code = absl::StatusCodeToString(status.code());
  fmt::print(stderr, "pxinspect: {}: {}\n", code, Message(status));
  return kErrorExitBase + static_cast<int>(status.code());
}

}  // namespace
}  // namespace proxist::pxinspect

int main(int argc, char** argv) { return proxist::pxinspect::Main(argc, argv); }
