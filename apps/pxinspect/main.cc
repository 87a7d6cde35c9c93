// pxinspect: looks into Proxist's files without a server; writes only when told to.
#include <cerrno>
#include <cstdio>
#include <functional>
#include <system_error>

#include <CLI/CLI.hpp>

#include "data_directory.h"
#include "dump_command.h"
#include "repair_command.h"
#include "snapshot_command.h"
#include "verify_command.h"
#include "wal_command.h"

namespace proxist::pxinspect {
namespace {

constexpr int kUsageExitCode = 2;
constexpr int kVerifyFailed = 1;
constexpr int kErrorExitBase = 10;  // plus the status code's number

/// The command's status; UNAVAILABLE when what it printed did not get out, which ends it.
Status WithOutput(const std::function<Status()>& command) {
  Status status;
  int error = 0;
  try {
    status = command();
    if (std::fflush(stdout) != 0) error = errno;
  } catch (const std::system_error& thrown) {  // by fmt::print
    error = thrown.code().value();
  }
  if (error == 0 || !status.ok()) return status;
  return Unavailable("cannot write to stdout: {}", std::generic_category().message(error));
}

CLI::App* AddDump(CLI::App* app, DumpOptions* options) {
  CLI::App* command = app->add_subcommand(
      "dump", "Print every version of a table's rows that a stopped server's files hold");
  options->tenant = column::kDefaultTenant;
  command->add_option("DIR", options->directory, "A data directory")->required();
  command->add_option("--table", options->table, "The table")->required();
  command->add_option("--tenant", options->tenant, "Its tenant (default: default)");
  command
      ->add_option("--symbol", options->symbols,
                   "Only rows of this symbol; may be given again (default: all)")
      ->allow_extra_args(false);
  command->add_option("--from", options->from, "Only rows with ts at or after this time")
      ->type_name("TIME");
  command->add_option("--to", options->to, "Only rows with ts before this time")->type_name("TIME");
  command
      ->add_option_function<std::string>(
          "--output", [options](const std::string& o) { options->json = o == "json"; },
          "csv (default) or json, one object a line")
      ->check(CLI::IsMember({"csv", "json"}));
  command
      ->add_option_function<std::string>(
          "--time",
          [options](const std::string& t) {
            if (t == "ns") options->time = column::TimeFormat::kNanoseconds;
          },
          "iso (default) or ns")
      ->check(CLI::IsMember({"iso", "ns"}));
  return command;
}

int Main(int argc, char** argv) {
  CLI::App app("Looks into Proxist's files without a server; writes only when told to.",
               "pxinspect");
  app.require_subcommand(1);
  app.fallthrough();
  std::string master_key;
  app.add_option("--master-key", master_key,
                 "Of encrypted files: file:PATH, env:NAME or command:LINE, as for proxistd");
  WalOptions wal;
  CLI::App* wal_command = app.add_subcommand("wal", "Print and verify a write-ahead log");
  wal_command->add_option("DIR", wal.directory, "A data directory, or one log's directory")
      ->required();
  wal_command->add_flag("--records", wal.records, "Also print each frame and record");
  wal_command->add_flag("--json", wal.json, "One JSON object a line");
  std::string verified;
  CLI::App* verify_command = app.add_subcommand(
      "verify", "Check a stopped server's data directory: metadata, logs and snapshots");
  verify_command->add_option("DIR", verified, "A data directory")->required();
  RepairOptions repair;
  CLI::App* repair_command = app.add_subcommand(
      "repair", "Give up what a log holds from a place on; only says what it would do");
  repair_command->add_option("DIR", repair.directory, "One log's directory: DATA/wal/SHARD")
      ->required();
  repair_command
      ->add_option("--truncate-at", repair.truncate_at,
                   "The segment, as in its file's name, and the offset that an error named")
      ->required()
      ->type_name("SEGMENT:OFFSET");
  repair_command->add_flag("--write", repair.write, "Do it");
  SnapshotOptions snapshot;
  const auto add = [&](const char* name, const char* what, const char* details,
                       const char* details_help) {
    CLI::App* command = app.add_subcommand(name, what);
    command->add_option("DIR", snapshot.directory, "A data directory, or one shard's snapshots")
        ->required();
    command->add_flag(details, snapshot.details, details_help);
    command->add_flag("--json", snapshot.json, "One JSON object a line");
    return command;
  };
  const CLI::App* snapshot_command = add("snapshot", "Print and verify snapshots", "--series",
                                         "Also each series, as a JSON object");
  add("chunks", "Print and verify chunk files", "--chunks", "Also each chunk, as a JSON object");
  DumpOptions dump;
  const CLI::App* dump_command = AddDump(&app, &dump);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsageExitCode;
  }
  const std::string place =
      verified + wal.directory + snapshot.directory + repair.directory + dump.directory;
  const Status status = WithOutput([&]() -> Status {
    PX_ASSIGN_OR_RETURN(const FileKeys keys, FileKeys::Open(place, master_key));
    wal.keys = snapshot.keys = dump.keys = keys.keyring();
    if (verify_command->parsed()) return Verify(verified, keys.keyring());
    if (repair_command->parsed()) return Repair(repair);
    if (wal_command->parsed()) return InspectWal(wal);
    if (snapshot_command->parsed()) return InspectSnapshots(snapshot);
    if (dump_command->parsed()) return Dump(dump);
    return InspectChunks(snapshot);
  });
  if (status.ok()) return 0;
  const std::string code = absl::StatusCodeToString(status.code());
  fmt::print(stderr, "pxinspect: {}: {}\n", code, Message(status));
  if (verify_command->parsed()) return kVerifyFailed;
  return kErrorExitBase + static_cast<int>(status.code());
}

}  // namespace
}  // namespace proxist::pxinspect

int main(int argc, char** argv) { return proxist::pxinspect::Main(argc, argv); }
