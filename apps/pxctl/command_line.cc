// Reads the command line of pxctl: everything but queries.
#include "command_line.h"

#include <cstdlib>
#include <iostream>
#include <memory>

#include "flag_types.h"

namespace proxist::pxctl {
namespace {

constexpr int kUsageExitCode = 2;

std::string DefaultAuthor() {
  const char* user = std::getenv("USER");
  return user != nullptr ? user : "";
}

// The command's options live in `options` from the moment its subcommand is read.
template <typename Command>
std::shared_ptr<Command> Bind(CLI::App* sub, Options* options) {
  auto command = std::make_shared<Command>();
  sub->callback([command, options] { options->command = *command; });
  return command;
}

void AddApply(CLI::App* app, Options* options) {
  CLI::App* sub = app->add_subcommand("apply", "Create tables, or change them, as declared");
  const auto command = Bind<ApplyCommand>(sub, options);
  command->author = DefaultAuthor();
  sub->add_option("-f,--file", command->files, "YAML file of tables; may be given again")
      ->required()
      ->type_name("FILE");
  sub->add_option("--author", command->author, "Recorded with the change (default: $USER)");
  sub->add_flag("--confirm-drop", command->confirm_drop,
                "Columns that a declaration leaves out go, with all their values");
}

void AddTables(CLI::App* app, Options* options) {
  CLI::App* sub = app->add_subcommand("tables", "List tables, or show one as it is declared");
  const auto command = Bind<TablesCommand>(sub, options);
  sub->add_option("name", command->name, "The table to show");
}

void AddImport(CLI::App* app, Options* options) {
  CLI::App* sub =
      app->add_subcommand("import", "Load a CSV file (plain, .gz, .zip); repeating it counts once");
  const auto command = Bind<ImportCommand>(sub, options);
  sub->add_option("table", command->table, "The table to load into")->required();
  sub->add_option("--file", command->import.file, "The data")->required()->type_name("FILE");
  sub->add_option("--map", command->map_file, "YAML file that says how columns map")
      ->required()
      ->type_name("FILE");
  sub->add_option("--chunk-rows", command->import.chunk_rows, "Rows in a batch (default 10000)")
      ->check(CLI::Range(uint64_t{1}, client::kMaxChunkRows));
  sub->add_option("--from-line", command->import.from_line, "Pass over the lines before this one")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 62));
  AddDuration(sub, "--retry-for", &command->import.retry_for,
              "How long to keep trying while the server is away (default 60s)");
}

void AddAdministration(CLI::App* app, Options* options) {
  CLI::App* status = app->add_subcommand("status", "Show tables, shards, watermarks and history");
  const auto status_command = Bind<StatusCommand>(status, options);
  status
      ->add_option_function<std::string>(
          "--output",
          [status_command](const std::string& o) { status_command->json = o == "json"; },
          "table or json")
      ->check(CLI::IsMember({"table", "json"}));

  CLI::App* flush = app->add_subcommand("flush", "Send what is in memory only to ClickHouse now");
  const auto flush_command = Bind<FlushCommand>(flush, options);
  flush->add_flag("--wait", flush_command->wait,
                  "Return when everything acked before is in ClickHouse");
  AddDuration(flush, "--timeout", &flush_command->timeout, "With --wait (default 60s)");

  CLI::App* evict = app->add_subcommand("evict", "Drop persisted rows from memory");
  const auto evict_command = Bind<EvictCommand>(evict, options);
  evict->add_option("table", evict_command->table, "The table")->required();
  AddTimestamp(evict, "--before", &evict_command->before, "Rows with ts before this time")
      ->required();
}

void AddHistory(CLI::App* app, Options* options) {
  CLI::App* history = app->add_subcommand("history", "Look after ClickHouse's copy of the rows");
  history->require_subcommand(1);
  Bind<ResendCommand>(
      history->add_subcommand(
          "resend",
          "Send what an emptied ClickHouse lacks and memory still holds; say what is gone"),
      options);
}

void AddVerifySeam(CLI::App* app, Options* options) {
  CLI::App* sub = app->add_subcommand("verify-seam",
                                      "Compare answers out of memory with those out of ClickHouse");
  const auto command = Bind<VerifySeamCommand>(sub, options);
  sub->add_option("table", command->table, "The table")->required();
  sub->add_option_function<std::vector<std::string>>(
         "--query",
         [command](const std::vector<std::string>& texts) {
           for (const std::string& text : texts) {
             StatusOr<client::QueryFlags> flags = ParseQuery(text);
             if (!flags.ok()) {
               throw CLI::ValidationError("--query", std::string(Message(flags.status())));
             }
             command->queries.emplace_back(text, *std::move(flags));
           }
         },
         "What pxctl query takes, as 'last-by trades --symbols A'; may be given again (default: a "
         "sample of the table)")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  sub->add_option("--max-rows", command->max_rows, "Rows to read in all (default 1000000)")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1'000'000'000}));
  AddDuration(sub, "--timeout", &command->timeout, "How long it may take (default 10s)");
  sub->add_option("--seed", command->seed, "Another one draws another sample");
}

void AddKeys(CLI::App* app, Options* options) {
  CLI::App* keys =
      app->add_subcommand("keys", "The keys that log and snapshots are encrypted under");
  keys->require_subcommand(1);
  Bind<KeysCommand>(keys->add_subcommand("list", "List them"), options);
  CLI::App* rotate = keys->add_subcommand(
      "rotate", "Make a new key: the next log segments and snapshot files take it");
  const auto command = Bind<KeysCommand>(rotate, options);
  command->rotate = true;
  command->author = DefaultAuthor();
  rotate->add_option("--author", command->author, "Recorded with the change (default: $USER)");
}

}  // namespace

std::optional<Options> ParseCommandLine(int argc, char** argv, int* exit_code) {
  Options options;
  CLI::App app("Proxist's client: tables, imports, queries and administration", "pxctl");
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--server", options.server, "HOST:PORT of proxistd (default 127.0.0.1:7401)")
      ->envname("PROXIST_SERVER");
  app.add_option("--tenant", options.tenant, "The tenant (default: default)");
  AddApply(&app, &options);
  AddTables(&app, &options);
  AddImport(&app, &options);
  AddQueryCommands(&app, &options);
  AddAdministration(&app, &options);
  AddHistory(&app, &options);
  AddKeys(&app, &options);
  AddVerifySeam(&app, &options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
      *exit_code = app.exit(error);
      return std::nullopt;
    }
    std::cerr << "pxctl: " << error.what() << "\nRun with --help for more information.\n";
    *exit_code = kUsageExitCode;
    return std::nullopt;
  }
  return options;
}

}  // namespace proxist::pxctl
