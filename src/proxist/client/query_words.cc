// Splits a line into words, and gives them to the flags that they belong to.
#include "proxist/client/query_words.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <optional>
#include <utility>

#include "proxist/client/internal/fixed_point.h"

namespace proxist::client {
namespace {

struct Word {
  std::string text;
  size_t begin = 0;  // in the line
  size_t end = 0;
  bool quoted = false;
};

/// Takes words off a line.
class WordReader {
 public:
  /// `plain`: quotes are part of the words that they keep together.
  WordReader(std::string_view line, bool plain) : line_(line), plain_(plain) {}

  /// Nothing at the end.
  StatusOr<std::optional<Word>> Next() {
    while (at_ < line_.size() && IsBlank(line_[at_])) ++at_;
    if (at_ == line_.size()) return std::optional<Word>();
    Word word;
    word.begin = at_;
    int depth = 0;
    for (; at_ < line_.size() && (depth > 0 || !IsBlank(line_[at_])); ++at_) {
      const char c = line_[at_];
      if (c == '"' || (c == '\'' && (plain_ || depth > 0))) {
        PX_RETURN_IF_ERROR(Quotation(c, plain_ || depth > 0, &word));
        continue;
      }
      if (c == '(') ++depth;
      if (c == ')' && --depth < 0) break;
      word.text.push_back(c);
    }
    if (depth != 0) return InvalidArgument("{} has parentheses that don't match", Quoted(line_));
    word.end = at_;
    return std::optional<Word>(std::move(word));
  }

 private:
  static bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n'; }

  /// From one quote to the next; ends at the second one. `whole`: with the quotes, as they are.
  Status Quotation(char quote, bool whole, Word* word) {
    word->quoted = true;
    if (whole) word->text.push_back(quote);
    for (++at_; at_ < line_.size() && line_[at_] != quote; ++at_) {
      const bool escape = quote == '"' && line_[at_] == '\\' && at_ + 1 < line_.size();
      if (escape && whole) word->text.push_back(line_[at_]);
      if (escape) ++at_;
      word->text.push_back(line_[at_]);
    }
    if (at_ == line_.size()) {
      return InvalidArgument("{} has a quotation that does not end", Quoted(line_));
    }
    if (whole) word->text.push_back(quote);
    return OkStatus();
  }

  std::string_view line_;
  bool plain_;
  size_t at_ = 0;
};

struct TextFlag {
  std::string_view name;
  std::string QueryFlags::*field;
};
constexpr TextFlag kTextFlags[] = {
    {"--symbols", &QueryFlags::symbols},
    {"--where", &QueryFlags::where},
    {"--columns", &QueryFlags::columns},
    {"--by", &QueryFlags::by},
    {"--at", &QueryFlags::at},
    {"--from", &QueryFlags::from},
    {"--to", &QueryFlags::to},
    {"--left", &QueryFlags::table},
    {"--right", &QueryFlags::right},
    {"--right-columns", &QueryFlags::right_columns},
    {"--right-where", &QueryFlags::right_where},
    {"--direction", &QueryFlags::direction},
    {"--tolerance", &QueryFlags::tolerance},
    {"--prefix", &QueryFlags::prefix},
    {"--show-time", &QueryFlags::show_time},
    {"--interval", &QueryFlags::interval},
    {"--aggregates", &QueryFlags::aggregates},
    {"--fill", &QueryFlags::fill},
    {"--origin", &QueryFlags::origin},
    {"--zone", &QueryFlags::zone},
    {"--window", &QueryFlags::window},
    {"--before", &QueryFlags::before},
    {"--after", &QueryFlags::after},
    {"--price", &QueryFlags::price},
    {"--size", &QueryFlags::size},
    {"--since", &QueryFlags::since},
    {"--key", &QueryFlags::key},
    {"--side", &QueryFlags::side},
    {"--bid", &QueryFlags::bid},
    {"--ask", &QueryFlags::ask},
    {"--remove", &QueryFlags::remove},
    {"--clear", &QueryFlags::clear},
    {"--order", &QueryFlags::order},
};
struct SwitchFlag {
  std::string_view name;
  bool QueryFlags::*field;
};
constexpr SwitchFlag kSwitchFlags[] = {{"--strict", &QueryFlags::strict},
                                       {"--centred", &QueryFlags::centred},
                                       {"--prevailing", &QueryFlags::prevailing},
                                       {"--distinct", &QueryFlags::distinct}};
struct NumberFlag {
  std::string_view name;
  std::optional<uint64_t> QueryFlags::*field;
};
constexpr NumberFlag kNumberFlags[] = {{"--count", &QueryFlags::count},
                                       {"--depth", &QueryFlags::depth},
                                       {"--limit", &QueryFlags::limit}};

/// What each operator takes beside what all do.
struct OperatorFlags {
  std::string_view op;
  std::string_view flags;  // with blanks around each
};
constexpr std::string_view kEveryFlag = " --symbols --where --order --limit ";
constexpr std::string_view kNearestFlags = " --columns --by --at --count ";
constexpr OperatorFlags kOperators[] = {
    {"last-by", kNearestFlags},
    {"first-by", kNearestFlags},
    {"snapshot", kNearestFlags},
    {"range", " --columns --from --to --distinct "},
    {"asof",
     " --left --right --right-columns --right-where --by --columns --from --to --direction "
     "--tolerance --strict --prefix --join --show-time "},
    {"window-join",
     " --left --right --right-where --by --columns --from --to --before --after --prevailing "
     "--aggregates --price --size "},
    {"bars", " --by --from --to --interval --origin --zone --fill --aggregates --price --size "},
    {"aggregate", " --by --from --to --aggregates --price --size "},
    {"rolling", " --by --columns --from --to --window --centred --aggregates --price --size "},
    {"book", " --at --since --key --side --bid --ask --price --size --remove --clear --depth "},
};

/// Sets a flag that takes a value.
Status SetFlag(const std::string& name, const std::string& value, QueryFlags* flags) {
  if (name == "--join") {
    flags->joins.push_back(value);
    return OkStatus();
  }
  for (const NumberFlag& flag : kNumberFlags) {
    if (flag.name != name) continue;
    uint64_t number = 0;
    const char* end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data(), end, number);
    if (error != std::errc() || stop != end) {
      return InvalidArgument("{}: {} is not a whole number", name, Quoted(value));
    }
    flags->*flag.field = number;
    return OkStatus();
  }
  for (const TextFlag& flag : kTextFlags) {
    if (flag.name == name) flags->*flag.field = value;
  }
  return OkStatus();
}

}  // namespace

StatusOr<QueryFlags> ParseQueryWords(std::string_view text) {
  WordReader reader(text, /*plain=*/false);
  PX_ASSIGN_OR_RETURN(std::optional<Word> word, reader.Next());
  QueryFlags flags;
  flags.op = word.has_value() ? word->text : "";
  const auto* op = std::find_if(std::begin(kOperators), std::end(kOperators),
                                [&](const OperatorFlags& one) { return one.op == flags.op; });
  if (op == std::end(kOperators)) {
    return InvalidArgument(
        "{} is not last-by, first-by, snapshot, range, asof, window-join, bars, aggregate, rolling "
        "or book",
        Quoted(flags.op));
  }
  while (true) {
    PX_ASSIGN_OR_RETURN(word, reader.Next());
    if (!word.has_value()) return flags;
    if (word->quoted || !word->text.starts_with("--")) {
      if (!flags.table.empty()) {
        return InvalidArgument("{} stands beside {}: one table is asked", Quoted(word->text),
                               Quoted(flags.table));
      }
      flags.table = word->text;
      continue;
    }
    const std::string name = word->text;
    const std::string padded = " " + name + " ";
    if (kEveryFlag.find(padded) == std::string_view::npos &&
        op->flags.find(padded) == std::string_view::npos) {
      return InvalidArgument("{} is no flag of {}", Quoted(name), op->op);
    }
    const auto* flag = std::find_if(std::begin(kSwitchFlags), std::end(kSwitchFlags),
                                    [&](const SwitchFlag& one) { return one.name == name; });
    if (flag != std::end(kSwitchFlags)) {
      flags.*(flag->field) = true;
      continue;
    }
    PX_ASSIGN_OR_RETURN(word, reader.Next());
    if (!word.has_value()) return InvalidArgument("{} needs a value", name);
    PX_RETURN_IF_ERROR(SetFlag(name, word->text, &flags));
  }
}

StatusOr<JoinClauses> ParseJoin(std::string_view text) {
  struct Clause {
    std::string_view name;
    std::string JoinClauses::*field;
  };
  static constexpr Clause kClauses[] = {
      {"by", &JoinClauses::by},
      {"columns", &JoinClauses::columns},
      {"where", &JoinClauses::where},
      {"direction", &JoinClauses::direction},
      {"tolerance", &JoinClauses::tolerance},
      {"prefix", &JoinClauses::prefix},
  };
  WordReader reader(text, /*plain=*/true);
  JoinClauses join;
  std::optional<size_t> begin;  // of the clause's text
  size_t end = 0;
  const Clause* open = nullptr;
  const auto close = [&]() -> Status {
    if (open == nullptr) return OkStatus();
    if (!begin.has_value()) return InvalidArgument("{} has nothing after it", open->name);
    if (!(join.*(open->field)).empty()) return InvalidArgument("{} stands twice", open->name);
    join.*(open->field) = text.substr(*begin, end - *begin);
    return OkStatus();
  };
  while (true) {
    PX_ASSIGN_OR_RETURN(const std::optional<Word> word, reader.Next());
    if (!word.has_value()) break;
    if (join.source.empty()) {
      join.source = word->text;
      continue;
    }
    const auto* clause = std::find_if(std::begin(kClauses), std::end(kClauses),
                                      [&](const Clause& one) { return one.name == word->text; });
    if (clause != std::end(kClauses) || word->text == "strict") {
      PX_RETURN_IF_ERROR(close());
      open = clause == std::end(kClauses) ? nullptr : clause;
      join.strict = join.strict || open == nullptr;
      begin.reset();
      continue;
    }
    if (open == nullptr) {
      return InvalidArgument("{} is not by, columns, where, direction, tolerance, strict or prefix",
                             Quoted(word->text));
    }
    if (!begin.has_value()) begin = word->begin;
    end = word->end;
  }
  PX_RETURN_IF_ERROR(close());
  if (join.source.empty()) return InvalidArgument("no table is named");
  return join;
}

}  // namespace proxist::client
