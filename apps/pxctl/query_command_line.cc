// Reads the command line of `pxctl query`.
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "command_line.h"
#include "flag_types.h"
#include "proxist/client/row_file.h"

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
  sub->add_flag(
      "--allow-partial", command->allow_partial,
      "While history is away: answer with what memory knows, and say what may be missing");
  AddDuration(sub, "--timeout", &command->timeout, "Give up after this time");
  sub->add_option("--order", command->flags.order, "Columns of the answer, as 'bid desc, venue'");
  sub->add_option("--as-of-log", command->flags.as_of_log,
                  "Answer as of then: a time, an LSN of shard 0, or 0:LSN,1:LSN (versions: all)")
      ->type_name("LSN|TIME");
  sub->add_option("--limit", command->flags.limit, "At most this many rows, once in order");
}

void AddSelection(CLI::App* sub, QueryFlags* flags) {
  sub->add_option("--symbols", flags->symbols, "A,B,... (default: all)");
  sub->add_option("--where", flags->where, "Predicate on the rows, as 'price > 100'");
  sub->add_option("--by", flags->by, "Columns that group beside symbol");
}

void AddTable(CLI::App* sub, QueryFlags* flags) {
  sub->add_option("table", flags->table, "The table, '(a query)' or @rows.csv")->required();
}

void AddColumns(CLI::App* sub, QueryFlags* flags) {
  sub->add_option("--columns", flags->columns, "A,(B + C) / 2 as mid,... (default: all)");
}

void AddInterval(CLI::App* sub, QueryFlags* flags) {
  sub->add_option("--from", flags->from, "Start, included")->type_name("TIME");
  sub->add_option("--to", flags->to, "End, not included")->type_name("TIME");
}

/// The option of the list itself.
CLI::Option* AddAggregates(CLI::App* sub, QueryFlags* flags) {
  CLI::Option* list =
      sub->add_option("--aggregates", flags->aggregates,
                      "A,B,... as vwap, quantile(spread, 0.9), sum(price * size) / sum(size) as v");
  sub->add_option("--price", flags->price, "The column that is the price (default: price)");
  sub->add_option("--size", flags->size, "The column that is the size (default: size)");
  return list;
}

CLI::Option* AddJoin(CLI::App* sub, QueryFlags* flags) {
  sub->add_option("--left", flags->table,
                  "What has the rows that are asked for: a table, '(a query)' or @rows.csv")
      ->required();
  sub->add_option("--right-where", flags->right_where, "Predicate on the right rows");
  return sub->add_option("--right", flags->right, "What is looked up: as --left");
}

void AddAsof(CLI::App* sub, QueryFlags* flags) {
  AddJoin(sub, flags);
  sub->add_option("--join", flags->joins,
                  "One more right side, as 'quotes by venue columns bid where bid > 0 direction "
                  "backward tolerance 5s strict prefix q_'")
      ->allow_extra_args(false);
  sub->add_option("--prefix", flags->prefix, "What stands before names of right columns");
  sub->add_option("--show-time", flags->show_time, "both (default), left or right");
  sub->add_option("--right-columns", flags->right_columns, "A,B,... (default: all)");
  sub->add_option("--direction", flags->direction, "backward (default), forward or nearest");
  sub->add_flag("--strict", flags->strict, "An equal time does not match");
  sub->add_option("--tolerance", flags->tolerance, "The greatest distance in time")
      ->type_name("DURATION");
}

/// Makes a subcommand of `pxctl query` with what all of them take.
using Add = std::function<std::pair<CLI::App*, QueryFlags*>(const std::string& op,
                                                            const std::string& help)>;

void AddRowQueries(const Add& add) {
  static constexpr std::pair<const char*, const char*> kNearest[] = {
      {"last-by", "The last row of each group at or before --at"},
      {"first-by", "The first row of each group at or after --at"},
      {"snapshot", "What stands at --at: last-by under another name"}};
  for (const auto& [op, help] : kNearest) {
    const auto [sub, flags] = add(op, help);
    AddTable(sub, flags);
    AddColumns(sub, flags);
    sub->add_option("--at", flags->at, "The time (default: now; of first-by: the beginning)")
        ->type_name("TIME");
    sub->add_option("--count", flags->count, "Rows of each group (default: 1)");
  }
  {
    const auto [sub, flags] = add("range", "Rows of an interval");
    AddTable(sub, flags);
    AddColumns(sub, flags);
    AddInterval(sub, flags);
    sub->add_flag("--distinct", flags->distinct, "Each combination of --columns once");
  }
  {
    const auto [sub, flags] =
        add("asof", "Rows of one table, each with the prevailing row of others");
    AddAsof(sub, flags);
    AddColumns(sub, flags);
    AddInterval(sub, flags);
  }
}

void AddBook(const Add& add) {
  const auto [sub, flags] = add("book", "The order book, from price levels or order events");
  AddTable(sub, flags);
  sub->add_option("--at", flags->at, "The time (default: now)")->type_name("TIME");
  sub->add_option("--since", flags->since, "Rows before it do not count")->type_name("TIME");
  sub->add_option("--key", flags->key, "What tells orders apart (default: rows tell of levels)");
  sub->add_option("--depth", flags->depth, "Levels of each side (default: 10)");
  sub->add_option("--side", flags->side, "The column that tells bids from asks (default: side)");
  sub->add_option("--bid", flags->bid, "What it says of bids (default: B)");
  sub->add_option("--ask", flags->ask, "What it says of asks (default: A)");
  sub->add_option("--price", flags->price, "The column that is the price (default: price)");
  sub->add_option("--size", flags->size, "The column that is the size (default: size)");
  sub->add_option("--remove", flags->remove, "Predicate on rows that take their key away");
  sub->add_option("--clear", flags->clear, "Predicate on rows that empty the book");
}

void AddWindowQueries(const Add& add) {
  {
    const auto [sub, flags] = add("bars", "Aggregates of equal intervals");
    AddTable(sub, flags);
    AddInterval(sub, flags);
    sub->add_option("--interval", flags->interval, "Length of a bar, as 1m")->required();
    sub->add_option("--origin", flags->origin, "A bar begins here (default: the epoch)")
        ->type_name("TIME");
    sub->add_option("--zone", flags->zone, "Days follow its clocks, as America/New_York");
    sub->add_option("--fill", flags->fill,
                    "Empty bars: none (default), null, zero, previous or linear");
    AddAggregates(sub, flags);  // without it: open, high, low, close, volume, count, vwap
  }
  {
    const auto [sub, flags] = add("aggregate", "Aggregates of each group over an interval");
    AddTable(sub, flags);
    AddInterval(sub, flags);
    AddAggregates(sub, flags)->required();
  }
  {
    const auto [sub, flags] =
        add("window-join", "Rows of one table, each with aggregates of another's around it");
    AddJoin(sub, flags)->required();
    AddColumns(sub, flags);
    AddInterval(sub, flags);
    sub->add_option("--before", flags->before, "How far the window reaches back; may be negative")
        ->type_name("DURATION");
    sub->add_option("--after", flags->after, "How far it reaches ahead; may be negative")
        ->type_name("DURATION");
    sub->add_flag("--prevailing", flags->prevailing,
                  "The window begins with the last row at or before its begin");
    AddAggregates(sub, flags)->required();
  }
  {
    const auto [sub, flags] = add("rolling", "Each row with aggregates of the window around it");
    AddTable(sub, flags);
    AddColumns(sub, flags);
    AddInterval(sub, flags);
    sub->add_option("--window", flags->window, "5m or 100rows; moving averages need none");
    sub->add_flag("--centred", flags->centred, "Half of the window before the row, half after it");
    AddAggregates(sub, flags)->required();
  }
}

}  // namespace

void AddQueryCommands(CLI::App* app, Options* options) {
  CLI::App* query = app->add_subcommand("query", "Ask for rows, joins, bars and windows");
  query->require_subcommand(1);
  const Add add = [&](const std::string& op, const std::string& help) {
    CLI::App* sub = query->add_subcommand(op, help);
    auto command = std::make_shared<QueryCommand>();
    command->flags.op = op;
    // `command` lives as long as the callback, and that as long as the flags that point into it.
    sub->callback([command, options] {
      const Status usable = client::BuildPlan(command->flags, client::ReadRowFile).status();
      if (!usable.ok()) throw CLI::ValidationError(std::string(Message(usable)));
      options->command = *command;
    });
    AddOutput(sub, command.get());
    AddSelection(sub, &command->flags);
    return std::pair<CLI::App*, QueryFlags*>(sub, &command->flags);
  };
  AddRowQueries(add);
  AddWindowQueries(add);
  AddBook(add);
}

StatusOr<client::QueryFlags> ParseQuery(const std::string& text) {
  Options options;
  CLI::App app("A query", "query");
  AddQueryCommands(&app, &options);
  try {
    app.parse("query " + text);
  } catch (const CLI::ParseError& error) {
    return InvalidArgument("{}", error.what());
  }
  return std::get<QueryCommand>(options.command).flags;
}

}  // namespace proxist::pxctl
