// A table of functions, a resolver for the expression parser, and one computation a call.
#include "proxist/query/internal/aggregates.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "proxist/exec/aggregate.h"
#include "proxist/exec/statistics.h"

namespace proxist::query::internal {
namespace {

using column::Type;
using column::TypeKind;

std::string_view Trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<double> NumberOf(std::string_view text) {
  const std::string_view trimmed = Trimmed(text);
  double number = 0;
  const auto [stop, error] =
      std::from_chars(trimmed.data(), trimmed.data() + trimmed.size(), number);
  if (error != std::errc() || stop != trimmed.data() + trimmed.size()) return std::nullopt;
  return number;
}

/// 'TEXT' without its quotes.
std::optional<std::string> QuotedText(std::string_view text) {
  const std::string_view trimmed = Trimmed(text);
  if (trimmed.size() < 2 || trimmed.front() != '\'' || trimmed.back() != '\'') return std::nullopt;
  return std::string(trimmed.substr(1, trimmed.size() - 2));
}

}  // namespace

struct Aggregates::Function {
  /// What stands in the parentheses.
  enum class Arguments : uint8_t {
    kNone,
    kValueOrNothing,  // f(x), or f for every row
    kValue,           // f(x), or f for the price
    kTwoValues,       // f(x, y), or f for price and size
    kParameter,       // f(x, number), or f(number) for the price
    kDuration,        // f(x, 'time'), or f('time') for the price
  };
  std::string_view name;
  Kind kind;
  Arguments arguments;
  std::string_view parameter;  // what is wrong with a bad one
};

std::span<const Aggregates::Function> Aggregates::Functions() {
  using Arguments = Function::Arguments;
  constexpr std::string_view kShare = "needs a share from 0 to 1, as quantile(0.95)";
  constexpr std::string_view kAlpha = "needs an alpha above 0 and at most 1, as ema(0.1)";
  constexpr std::string_view kSpan = "needs a span of at least 1 row, as ema_span(20)";
  constexpr std::string_view kHalfLife = "needs a half-life above 0, as ema_half_life(20)";
  constexpr std::string_view kTime = "needs a half-life in time, as ema_time('5s')";
  static constexpr auto kFunctions = std::to_array<Function>({
      {"open", Kind::kFirst, Arguments::kNone, ""},
      {"high", Kind::kMax, Arguments::kNone, ""},
      {"low", Kind::kMin, Arguments::kNone, ""},
      {"close", Kind::kLast, Arguments::kNone, ""},
      {"volume", Kind::kSum, Arguments::kNone, ""},
      {"count", Kind::kRows, Arguments::kValueOrNothing, ""},
      {"sum", Kind::kSum, Arguments::kValue, ""},
      {"mean", Kind::kMean, Arguments::kValue, ""},
      {"min", Kind::kMin, Arguments::kValue, ""},
      {"max", Kind::kMax, Arguments::kValue, ""},
      {"first", Kind::kFirst, Arguments::kValue, ""},
      {"last", Kind::kLast, Arguments::kValue, ""},
      {"vwap", Kind::kVwap, Arguments::kTwoValues, ""},
      {"twap", Kind::kTwap, Arguments::kValue, ""},
      {"var", Kind::kVariance, Arguments::kValue, ""},
      {"var_pop", Kind::kVariancePopulation, Arguments::kValue, ""},
      {"stddev", Kind::kDeviation, Arguments::kValue, ""},
      {"stddev_pop", Kind::kDeviationPopulation, Arguments::kValue, ""},
      {"median", Kind::kQuantile, Arguments::kValue, ""},
      {"quantile", Kind::kQuantile, Arguments::kParameter, kShare},
      {"distinct", Kind::kDistinct, Arguments::kValue, ""},
      {"ema", Kind::kEma, Arguments::kParameter, kAlpha},
      {"ema_span", Kind::kEma, Arguments::kParameter, kSpan},
      {"ema_half_life", Kind::kEma, Arguments::kParameter, kHalfLife},
      {"ema_time", Kind::kTimeEma, Arguments::kDuration, kTime},
  });
  return kFunctions;
}

/// Turns the calls of one item into calls and values of the list.
class Aggregates::Resolver {
 public:
  Resolver(Side* side, const AggregateScope& scope, Aggregates* out, std::vector<size_t>* used)
      : side_(side), scope_(scope), out_(out), used_(used) {}

  StatusOr<Type> Resolve(const exec::CallSyntax& syntax) {
    const auto function = std::ranges::find(Functions(), syntax.name, &Function::name);
    if (function == Functions().end()) {
      return At(syntax, "unknown aggregate '{}'; there are {}", syntax.name, Names());
    }
    Call call{};
    call.kind = function->kind;
    call.text = TextOf(syntax);
    PX_RETURN_IF_ERROR(Bind(syntax, *function, &call));
    PX_RETURN_IF_ERROR(CheckType(syntax, &call));
    const auto known = std::ranges::find(out_->calls_, call.text, &Call::text);
    used_->push_back(static_cast<size_t>(known - out_->calls_.begin()));
    if (known == out_->calls_.end()) out_->calls_.push_back(call);
    return call.type;
  }

 private:
  static std::string Names() {
    std::vector<std::string> names;
    for (const Function& function : Functions()) names.emplace_back(function.name);
    return Joined(names);
  }

  template <typename... Args>
  static Status At(const exec::CallSyntax& syntax, fmt::format_string<Args...> format,
                   Args&&... args) {
    return InvalidArgument("at character {}: {}", syntax.at,
                           fmt::format(format, std::forward<Args>(args)...));
  }

  static std::string TextOf(const exec::CallSyntax& syntax) {
    std::string text = syntax.name;
    if (!syntax.has_arguments) return text;
    for (size_t i = 0; i < syntax.arguments.size(); ++i) {
      text += i == 0 ? "(" : ",";
      for (const char c : syntax.arguments[i]) {
        if (c != ' ' && c != '\t') text.push_back(c);
      }
    }
    return text + ")";
  }

  Status Bind(const exec::CallSyntax& syntax, const Function& function, Call* call) {
    using Arguments = Function::Arguments;
    const size_t n = syntax.arguments.size();
    const auto takes = [&](std::string_view what) {
      return At(syntax, "{} takes {}", syntax.name, what);
    };
    switch (function.arguments) {
      case Arguments::kNone:
        if (syntax.has_arguments) return takes("no argument");
        PX_RETURN_IF_ERROR(
            Input(syntax.name == "volume" ? scope_.size : scope_.price, &call->value));
        return Numeric(out_->values_[call->value]);
      case Arguments::kValueOrNothing:
        if (n > 1) return takes("at most one argument");
        if (n == 0) return OkStatus();
        call->kind = Kind::kCount;
        return Input(syntax.arguments[0], &call->value);
      case Arguments::kValue:
        if (n > 1) return takes("one argument, or none for the price");
        if (syntax.name == "median") call->parameter = 0.5;
        return Input(n == 1 ? syntax.arguments[0] : scope_.price, &call->value);
      case Arguments::kTwoValues:
        if (n != 0 && n != 2) return takes("two arguments, or none for price and size");
        PX_RETURN_IF_ERROR(Input(n == 2 ? syntax.arguments[1] : scope_.size, &call->size));
        return Input(n == 2 ? syntax.arguments[0] : scope_.price, &call->value);
      case Arguments::kParameter:
      case Arguments::kDuration:
        break;
    }
    const bool time = function.arguments == Arguments::kDuration;
    if (n == 0 || n > 2 || !(time ? TakeTime(syntax, call) : TakeNumber(syntax, call))) {
      return At(syntax, "{} {}", syntax.name, function.parameter);
    }
    return Input(n == 2 ? syntax.arguments[0] : scope_.price, &call->value);
  }

  /// The last argument; false when it is not what the function needs.
  static bool TakeNumber(const exec::CallSyntax& syntax, Call* call) {
    const std::optional<double> number = NumberOf(syntax.arguments.back());
    if (!number.has_value() || !std::isfinite(*number)) return false;
    const double x = *number;
    if (syntax.name == "ema_span") {
      call->parameter = 2 / (x + 1);
      return x >= 1;
    }
    if (syntax.name == "ema_half_life") {
      call->parameter = 1 - std::exp2(-1 / x);
      return x > 0;
    }
    call->parameter = x;
    return syntax.name == "ema" ? x > 0 && x <= 1 : x >= 0 && x <= 1;
  }
  static bool TakeTime(const exec::CallSyntax& syntax, Call* call) {
    const std::optional<std::string> text = QuotedText(syntax.arguments.back());
    if (!text.has_value()) return false;
    const StatusOr<Duration> time = ParseDuration(*text);
    if (!time.ok() || *time <= Duration(0)) return false;
    call->half_life = *time;
    return true;
  }

  Status Input(std::string_view text, size_t* index) {
    PX_ASSIGN_OR_RETURN(Value value, Value::Make(side_, text, scope_.what));
    const auto known = std::ranges::find(out_->values_, value.name(), &Value::name);
    *index = static_cast<size_t>(known - out_->values_.begin());
    if (known == out_->values_.end()) out_->values_.push_back(std::move(value));
    return OkStatus();
  }

  Status CheckType(const exec::CallSyntax& syntax, Call* call) const {
    const bool average = call->kind == Kind::kEma || call->kind == Kind::kTimeEma;
    if (average && !scope_.averages) {
      return At(syntax, "{} is a moving average: it stands in rolling alone", syntax.name);
    }
    call->type = {TypeKind::kInt64, 0};
    if (call->kind == Kind::kRows) return OkStatus();
    const Value& value = out_->values_[call->value];
    const bool any = call->kind == Kind::kFirst || call->kind == Kind::kLast;
    if (call->kind == Kind::kCount || call->kind == Kind::kDistinct) return OkStatus();
    const bool ordered = (call->kind == Kind::kMin || call->kind == Kind::kMax) &&
                         value.type().kind == TypeKind::kTimestamp;
    if (!any && !ordered) {
      PX_RETURN_IF_ERROR(Numeric(value));
      if (call->kind == Kind::kVwap) PX_RETURN_IF_ERROR(Numeric(out_->values_[call->size]));
    }
    const bool keeps = any || call->kind == Kind::kMin || call->kind == Kind::kMax;
    call->type = {TypeKind::kFloat64, 0};
    if (keeps) call->type = value.type();
    if (call->kind == Kind::kSum) call->type = exec::SumType(value.type());
    return OkStatus();
  }
  [[nodiscard]] Status Numeric(const Value& value) const {
    if (column::IsNumeric(value.type().kind)) return OkStatus();
    return InvalidArgument("column '{}' is {}, not a number", value.name(),
                           column::FormatType(value.type()));
  }

  Side* side_;
  const AggregateScope& scope_;
  Aggregates* out_;
  std::vector<size_t>* used_;
};

StatusOr<Aggregates> Aggregates::Make(Side* side, const AggregateScope& scope,
                                      const std::vector<std::string>& items) {
  if (items.empty()) return InvalidArgument("{}: name at least one aggregate", scope.what);
  Aggregates out;
  for (const std::string& text : items) {
    std::vector<size_t> calls;
    Resolver resolver(side, scope, &out, &calls);
    StatusOr<exec::Expression> value = exec::Expression::CompileCalls(
        text, [&](const exec::CallSyntax& call) { return resolver.Resolve(call); });
    if (!value.ok()) {
      return Annotate(value.status(), fmt::format("{}: aggregate '{}'", scope.what, text));
    }
    for (const Item& other : out.items_) {
      if (other.value.name() == value->name()) {
        return InvalidArgument("{}: aggregate '{}' is named twice", scope.what, value->name());
      }
    }
    out.items_.push_back({std::move(*value), std::move(calls)});
  }
  return out;
}

Aggregates::Emptiness Aggregates::emptiness(size_t item) const {
  const Item& one = items_[item];
  if (!one.value.plain().has_value()) return Emptiness::kUnknown;
  const Call& call = calls_[one.calls[0]];
  if (call.text == "open" || call.text == "high" || call.text == "low" || call.text == "close") {
    return Emptiness::kPrice;
  }
  if (call.kind == Kind::kSum) return Emptiness::kSum;
  const bool counts =
      call.kind == Kind::kRows || call.kind == Kind::kCount || call.kind == Kind::kDistinct;
  return counts ? Emptiness::kZero : Emptiness::kUnknown;
}

bool Aggregates::needs_window() const {
  return !std::ranges::all_of(calls_, [](const Call& call) {
    return call.kind == Kind::kEma || call.kind == Kind::kTimeEma;
  });
}

std::optional<std::vector<PlainAggregate>> Aggregates::Plain(const Side& side) const {
  std::vector<PlainAggregate> out;
  for (const Item& item : items_) {
    if (!item.value.plain().has_value()) return std::nullopt;
    const Call& call = calls_[item.calls[0]];
    PlainAggregate plain{call.kind, call.text, 0, 0, call.parameter, call.type};
    const auto column_of = [&](size_t value) -> std::optional<size_t> {
      const std::optional<size_t> slot = values_[value].slot();
      return slot.has_value() ? std::optional(side.ColumnOf(*slot)) : std::nullopt;
    };
    if (call.kind != Kind::kRows) {
      const std::optional<size_t> value = column_of(call.value);
      if (!value.has_value()) return std::nullopt;
      plain.value = *value;
    }
    if (call.kind == Kind::kVwap) {
      const std::optional<size_t> size = column_of(call.size);
      if (!size.has_value()) return std::nullopt;
      plain.size = *size;
    }
    out.push_back(plain);
  }
  return out;
}

bool Aggregates::UsesColumnTotals(const Call& call) const {
  return (call.kind == Kind::kSum || call.kind == Kind::kMean || call.kind == Kind::kMin ||
          call.kind == Kind::kMax) &&
         values_[call.value].slot().has_value() &&
         column::IsNumeric(values_[call.value].type().kind);
}

std::optional<TotalsWish> Aggregates::TotalsFor(bool bars, std::optional<size_t> ends) const {
  TotalsWish wish;
  wish.ends = ends;
  for (const Call& call : calls_) {
    if (call.kind == Kind::kRows || call.kind == Kind::kEma || call.kind == Kind::kTimeEma) {
      continue;
    }
    const std::optional<size_t> slot = values_[call.value].slot();
    if (!slot.has_value()) return std::nullopt;
    if (UsesColumnTotals(call)) {
      if (std::ranges::find(wish.slots, *slot) == wish.slots.end()) wish.slots.push_back(*slot);
    } else if (call.kind == Kind::kVwap) {
      // Totals of products exist for two columns only.
      if (values_[call.value].name() != hot::kPriceColumn ||
          values_[call.size].name() != hot::kSizeColumn) {
        return std::nullopt;
      }
      wish.weighted = true;
    } else if (bars && (call.kind == Kind::kFirst || call.kind == Kind::kLast)) {
      if (wish.ends.has_value() && wish.ends != slot) return std::nullopt;
      wish.ends = slot;
    } else {
      return std::nullopt;
    }
  }
  return wish;
}

std::vector<exec::Base> Aggregates::BasesOf(const Call& call, const Rows& rows) const {
  std::vector<exec::Base> out;
  if (rows.totals.empty()) return out;
  out.resize(rows.slices->size());
  for (size_t k = 0; k < out.size(); ++k) {
    const hot::SpanTotals* totals = rows.totals[k];
    if (totals == nullptr) continue;
    out[k].rows = static_cast<int64_t>(totals->rows);
    if (UsesColumnTotals(call)) {
      out[k].column = &totals->columns[rows.read->IndexOf(*values_[call.value].slot())].total;
    }
    if (totals->weighted.has_value()) out[k].weighted = &*totals->weighted;
  }
  return out;
}

StatusOr<std::vector<exec::Column>> Aggregates::Compute(const Rows& rows) const {
  std::vector<exec::Column> own(values_.size());
  std::vector<const exec::Column*> values;
  for (size_t i = 0; i < values_.size(); ++i) {
    values.push_back(&values_[i].Of(*rows.frame, *rows.symbol, &own[i]));
  }
  std::vector<exec::Column> calls;
  for (const Call& call : calls_) {
    PX_ASSIGN_OR_RETURN(exec::Column column, ComputeCall(call, rows, values));
    calls.push_back(std::move(column));
  }
  std::vector<exec::Column> out;
  for (const Item& item : items_) {
    std::vector<exec::Column> of_item;
    for (const size_t call : item.calls) of_item.push_back(calls[call]);
    out.push_back(item.value.plain().has_value()
                      ? std::move(of_item[0])
                      : item.value.EvaluateCalls(of_item, rows.slices->size()));
  }
  return out;
}

StatusOr<exec::Column> Aggregates::ComputeCall(
    const Call& call, const Rows& rows, const std::vector<const exec::Column*>& values) const {
  const exec::Slices& slices = *rows.slices;
  const std::vector<exec::Base> bases = BasesOf(call, rows);
  if (call.kind == Kind::kRows) return exec::CountRows(slices, bases);
  const exec::Column& x = *values[call.value];
  using exec::Spread;
  switch (call.kind) {
    case Kind::kRows:
    case Kind::kCount:
      return exec::CountValues(slices, x);
    case Kind::kSum:
      return exec::Sum(slices, x, call.text, bases);
    case Kind::kMean:
      return exec::Mean(slices, x, call.text, bases);
    case Kind::kMin:
      return exec::MinValue(slices, x, bases);
    case Kind::kMax:
      return exec::MaxValue(slices, x, bases);
    case Kind::kFirst:
      return exec::FirstValue(slices, x);
    case Kind::kLast:
      return exec::LastValue(slices, x);
    case Kind::kVwap:
      return exec::Vwap(slices, x, *values[call.size], call.text, bases);
    case Kind::kTwap:
      return exec::TimeWeightedMean(slices, rows.frame->ts, x, rows.ends);
    case Kind::kVariance:
      return exec::SpreadOf(slices, x, Spread::kVariance, true);
    case Kind::kVariancePopulation:
      return exec::SpreadOf(slices, x, Spread::kVariance, false);
    case Kind::kDeviation:
      return exec::SpreadOf(slices, x, Spread::kDeviation, true);
    case Kind::kDeviationPopulation:
      return exec::SpreadOf(slices, x, Spread::kDeviation, false);
    case Kind::kQuantile:
      return exec::Quantile(slices, x, call.parameter);
    case Kind::kDistinct:
      return exec::CountDistinct(slices, x);
    case Kind::kEma:
      return exec::Ema(slices, x, rows.group, rows.first_row, call.parameter);
    case Kind::kTimeEma:
      return exec::TimeEma(slices, rows.frame->ts, x, rows.group, rows.first_row, call.half_life);
  }
  return Internal("unknown aggregate {}", call.text);
}

}  // namespace proxist::query::internal
