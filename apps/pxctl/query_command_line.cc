// Reads the command line of `pxctl query`.
#include <map>
#include <memory>

#include "command_line.h"
#include "flag_types.h"

namespace proxist::pxctl {
namespace {

using client::OutputFormat;
using client::QueryFlags;
using client::TimeFormat;

void AddOutput(CLI::App* sub, QueryCommand* command) {
  static const std::map<std::string, OutputFormat> kFormats{
      {"table", OutputFormat::kTable}, {"csv", OutputFormat::kCsv}, {"json", OutputFormat::kJson}};
  static const std::map<std::string, TimeFormat> kTimes{{"iso", TimeFormat::kIso},
                                                        {"ns", TimeFormat::kNanoseconds}};
  sub->add_option_function<std::string>(
         "--output", [command](const std::string& text) { command->output = kFormats.at(text); },
         "table (default), csv or json (lines)")
      ->check(CLI::IsMember({"table", "csv", "json"}));
  sub->add_option_function<std::string>(
         "--time", [command](const std::string& text) { command->time = kTimes.at(text); },
         "iso (default) or ns since the epoch")
      ->check(CLI::IsMember({"iso", "ns"}));
  sub->add_flag("--explain", command->explain, "Show the seam, rows read and times on stderr");
  AddDuration(sub, "--timeout", &command->timeout, "Give up after this time");
  sub->add_option("--limit", command->flags.limit, "At most this many rows");
}

void AddSelection(CLI::App* sub, QueryFlags* flags) {
  sub->add_option("--symbols", flags->symbols, "A,B,... (default: all)");
  sub->add_option("--where", flags->where, "Predicate on the rows, as 'price > 100'");
  sub->add_option("--by", flags->by, "Columns that group beside symbol");
}

void AddTable(CLI::App* sub, QueryFlags* flags) {
  sub->add_option("table", flags->table, "The table")->required();
}

void AddColumns(CLI::App* sub, QueryFlags* flags) {
  sub->add_option("--columns", flags->columns, "A,B,... (default: all)");
}

void AddInterval(CLI::App* sub, QueryFlags* flags) {
  sub->add_option("--from", flags->from, "Start, included")->type_name("TIME");
  sub->add_option("--to", flags->to, "End, not included")->type_name("TIME");
}

void AddAggregates(CLI::App* sub, QueryFlags* flags, const std::string& known) {
  sub->add_option("--aggregates", flags->aggregates, known)->required();
  sub->add_option("--price", flags->price, "The column that is the price (default: price)");
  sub->add_option("--size", flags->size, "The column that is the size (default: size)");
}

void AddAsof(CLI::App* sub, QueryFlags* flags) {
  sub->add_option("--left", flags->table, "The table whose rows are asked for")->required();
  sub->add_option("--right", flags->right, "The table that is looked up")->required();
  sub->add_option("--right-columns", flags->right_columns, "A,B,... (default: all)");
  sub->add_option("--right-where", flags->right_where, "Predicate on the right rows");
  sub->add_option("--direction", flags->direction, "backward (default) or forward");
  sub->add_flag("--strict", flags->strict, "An equal time does not match");
  sub->add_option("--tolerance", flags->tolerance, "The greatest distance in time")
      ->type_name("DURATION");
}

}  // namespace

void AddQueryCommands(CLI::App* app, Options* options) {
  CLI::App* query = app->add_subcommand("query", "Ask for rows, joins, bars and windows");
  query->require_subcommand(1);
  const auto add = [&](const std::string& op, const std::string& help) {
    CLI::App* sub = query->add_subcommand(op, help);
    auto command = std::make_shared<QueryCommand>();
    command->flags.op = op;
    // `command` lives as long as the callback, and that as long as the flags that point into it.
    sub->callback([command, options] {
      const Status usable = client::BuildPlan(command->flags).status();
      if (!usable.ok()) throw CLI::ValidationError(std::string(Message(usable)));
      options->command = *command;
    });
    AddOutput(sub, command.get());
    AddSelection(sub, &command->flags);
    return std::pair<CLI::App*, QueryFlags*>(sub, &command->flags);
  };
  for (const std::string op : {"last-by", "first-by"}) {
    const auto [sub, flags] =
        add(op, op == "last-by" ? "The last row of each group at or before --at"
                                : "The first row of each group at or after --at");
    AddTable(sub, flags);
    AddColumns(sub, flags);
    sub->add_option("--at", flags->at, "The time (default: now)")->type_name("TIME");
  }
  {
    const auto [sub, flags] = add("range", "Rows of an interval");
    AddTable(sub, flags);
    AddColumns(sub, flags);
    AddInterval(sub, flags);
  }
  {
    const auto [sub, flags] =
        add("asof", "Rows of one table, each with the prevailing row of another");
    AddAsof(sub, flags);
    AddColumns(sub, flags);
    AddInterval(sub, flags);
  }
  {
    const auto [sub, flags] = add("bars", "Aggregates of equal intervals");
    AddTable(sub, flags);
    AddInterval(sub, flags);
    sub->add_option("--interval", flags->interval, "Length of a bar, as 1m")->required();
    sub->add_option("--fill", flags->fill, "Empty bars: none (default) or previous");
    AddAggregates(sub, flags, "open,high,low,close,volume,count,vwap");
  }
  {
    const auto [sub, flags] = add("rolling", "Each row with aggregates of its trailing window");
    AddTable(sub, flags);
    AddColumns(sub, flags);
    AddInterval(sub, flags);
    sub->add_option("--window", flags->window, "5m or 100rows")->required();
    AddAggregates(sub, flags, "vwap, count, ema(ALPHA), sum|mean|min|max of price or of (COLUMN)");
  }
}

}  // namespace proxist::pxctl
