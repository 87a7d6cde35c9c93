// What proxistd can be told: one table of options for the command line, the configuration file and
// the reference page.
#include "proxist/server/daemon_options.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <utility>

#include <CLI/CLI.hpp>
#include <yaml-cpp/yaml.h>

#include "proxist/column/schema.h"
#include "proxist/server/internal/option_table.h"
#include "proxist/server/internal/status_report.h"
#include "proxist/shard/ingest_router.h"
#include "proxist/shard/shard.h"

namespace proxist::server {
namespace {

constexpr uintmax_t kMaxConfigBytes = 1u << 20;

/// Option name to the text that was given.
using Settings = std::map<std::string, std::string, std::less<>>;

const OptionRow* FindOption(std::string_view name) {
  const auto table = OptionTable();
  const auto row =
      std::find_if(table.begin(), table.end(), [&](const OptionRow& r) { return r.name == name; });
  return row == table.end() ? nullptr : &*row;
}

StatusOr<std::string> ReadSmallFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return NotFound("configuration file {}: cannot be opened", path);
  std::string text(kMaxConfigBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (file.bad() || (text.empty() && !file.eof())) {
    return InvalidArgument("configuration file {}: cannot be read", path);
  }
  if (text.size() > kMaxConfigBytes) {
    return InvalidArgument("configuration file {}: above {} bytes", path, kMaxConfigBytes);
  }
  return text;
}

/// A YAML map of option names to scalars.
StatusOr<Settings> ReadConfigFile(const std::string& path) {
  PX_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path));
  Settings settings;
  try {
    const YAML::Node root = YAML::Load(text);
    if (root.IsNull()) return settings;
    if (!root.IsMap()) {
      return InvalidArgument("configuration file {}: expected lines of `option: value`", path);
    }
    for (const auto& entry : root) {
      const auto name = entry.first.as<std::string>();
      const int line = entry.first.Mark().line + 1;
      if (FindOption(name) == nullptr) {
        return InvalidArgument("configuration file {}, line {}: no option is called {}", path, line,
                               name);
      }
      if (!entry.second.IsScalar()) {
        return InvalidArgument("configuration file {}, line {}: {} needs one value", path, line,
                               name);
      }
      if (!settings.emplace(name, entry.second.Scalar()).second) {
        return InvalidArgument("configuration file {}, line {}: {} is given twice", path, line,
                               name);
      }
    }
  } catch (const YAML::Exception& error) {
    return InvalidArgument("configuration file {}: {}", path, error.what());
  }
  return settings;
}

Status Apply(const Settings& settings, std::string_view prefix, DaemonOptions* options) {
  for (const auto& [name, text] : settings) {
    const Status set = FindOption(name)->set(text, options);
    if (!set.ok()) return Annotate(set, fmt::format("{}{}", prefix, name));
  }
  return OkStatus();
}

Status CheckTogether(const DaemonOptions& options) {
  if (options.node.data_directory.empty()) {
    return InvalidArgument("--data DIR is required");
  }
  if (!options.node.previous_master_key.empty() && options.node.master_key.empty()) {
    return InvalidArgument("--previous-master-key needs --master-key");
  }
  if (options.sql.max_queries >= options.http.max_connections) {
    return InvalidArgument("--sql-max-queries is not below --http-max-connections");
  }
  if (options.node.flush_min_interval > options.node.flush_max_interval) {
    return InvalidArgument("--flush-min-ms is above --flush-max-ms");
  }
  return OkStatus();
}

StatusOr<DaemonOptions> Combine(const Settings& given, const std::string& config_path) {
  DaemonOptions options = StandardOptions();
  if (!config_path.empty()) {
    PX_ASSIGN_OR_RETURN(const Settings file, ReadConfigFile(config_path));
    PX_RETURN_IF_ERROR(Apply(file, fmt::format("configuration file {}: ", config_path), &options));
  }
  PX_RETURN_IF_ERROR(Apply(given, "--", &options));
  PX_RETURN_IF_ERROR(CheckTogether(options));
  return options;
}

std::string HelpOf(const OptionRow& row) {
  std::string help(row.help);
  if (!row.standard.empty() && !row.argument.empty()) {
    help += fmt::format(" Default: {}.", row.standard);
  }
  return help;
}

/// The program's options as CLI11 knows them; values land in `given`, `config` and `reference`.
void Declare(CLI::App* app, Settings* given, std::string* config, bool* reference) {
  for (const OptionRow& row : OptionTable()) {
    const std::string name(row.name);
    if (row.argument.empty()) {
      app->add_flag_callback(
          "--" + name, [=] { (*given)[name] = "true"; }, HelpOf(row));
    } else {
      app->add_option_function<std::string>(
             "--" + name, [=](const std::string& text) { (*given)[name] = text; }, HelpOf(row))
          ->type_name(std::string(row.argument));
    }
  }
  app->add_option("--config", *config,
                  "A YAML file of the same options without dashes (`grpc: 127.0.0.1:7401`). The "
                  "command line wins.")
      ->type_name("FILE");
  app->add_flag("--print-config-reference", *reference)->group("");
  app->set_version_flag("--version", "proxistd " + Version());
  app->get_formatter()->column_width(36);
}

}  // namespace

CommandLine ParseCommandLine(const std::vector<std::string>& arguments) {
  CLI::App app("Takes ticks in, keeps them in memory and in ClickHouse, answers queries over both.",
               "proxistd");
  Settings given;
  std::string config;
  bool reference = false;
  Declare(&app, &given, &config, &reference);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    std::ostringstream err;
    const int code = app.exit(error, out, err);
    if (code == 0) return {{}, out.str(), 0};
    return {{}, "proxistd: " + err.str(), kExitUsage};
  }
  if (reference) return {{}, ConfigurationReference(), 0};
  StatusOr<DaemonOptions> options = Combine(given, config);
  if (!options.ok()) {
    return {{},
            fmt::format("proxistd: {}\nRun proxistd --help for the options.\n",
                        Message(options.status())),
            kExitUsage};
  }
  return {std::move(*options), "", 0};
}

std::string ConfigurationReference() {
  std::string page =
      "# Configuration of proxistd\n\n"
      "Printed by `proxistd --print-config-reference`; a test keeps this page equal to it.\n\n"
      "Every option can be given on the command line (`--grpc 127.0.0.1:7401`) or as a line of the "
      "YAML file\nthat `--config FILE` names (`grpc: 127.0.0.1:7401`; a flag is `true` or "
      "`false`). "
      "The command line wins.\n\n"
      "| option | value | default | what |\n|---|---|---|---|\n";
  for (const OptionRow& row : OptionTable()) {
    page += fmt::format("| `{}` | {} | {} | {} |\n", row.name,
                        row.argument.empty() ? "flag" : row.argument,
                        row.standard.empty() ? "" : fmt::format("`{}`", row.standard), row.help);
  }
  page += fmt::format(
      "\n## Fixed bounds\n\n"
      "| what | bound |\n|---|---|\n"
      "| columns of a table | {} |\n"
      "| series columns of a table | {} |\n"
      "| bytes of a tenant's, table's or column's name | {} |\n"
      "| digits after the point of a decimal | {} |\n"
      "| rows of a batch | {} |\n"
      "| bytes of a batch | {} |\n"
      "| bytes of a producer's name | {} |\n"
      "| runs of refused batch numbers that are remembered of a producer | {} |\n"
      "| header of an HTTP request | {} bytes |\n"
      "| body of an HTTP request | {} bytes |\n"
      "| time for an HTTP request to arrive or its answer to leave | {} |\n"
      "| bytes of a configuration file | {} |\n",
      column::kMaxColumns, column::kMaxSeriesColumns, column::kMaxNameBytes,
      column::kMaxDecimalScale, shard::kMaxBatchRows, shard::kMaxBatchBytes, kMaxProducerBytes,
      shard::kMaxRefusedRuns, HttpServerOptions{}.max_header_bytes,
      HttpServerOptions{}.max_body_bytes, FormatDuration(HttpServerOptions{}.timeout),
      kMaxConfigBytes);
  return page;
}

}  // namespace proxist::server
