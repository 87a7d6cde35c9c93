// Fixes the cuts, resolves names, runs the operator, and starts again when a correction overtakes.
#include "proxist/query/engine.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include "proxist/query/internal/cold_cache.h"
#include "proxist/query/internal/last_hot.h"
#include "proxist/query/internal/operators.h"
#include "proxist/query/internal/shared_groups.h"
#include "proxist/query/internal/span_hot.h"
#include "proxist/query/internal/symbol_order.h"

namespace proxist::query {
namespace {

using internal::Budget;
using internal::GivenRows;
using internal::QueryContext;
using internal::QuerySymbol;
using internal::ShardCut;
using internal::Side;

constexpr uint32_t kMaxAttempts = 5;

const Selection& MainSelection(const Plan& plan) {
  return std::visit(
      [](const auto& op) -> const Selection& {
        if constexpr (requires { op.left; }) {
          return op.left;
        } else {
          return op.from;
        }
      },
      plan.op);
}

/// Of joins.
std::vector<const Selection*> RightSelections(const Plan& plan) {
  std::vector<const Selection*> out;
  if (const auto* asof = std::get_if<Asof>(&plan.op)) {
    for (const AsofRight& right : asof->rights) out.push_back(&right.from);
  } else if (const auto* join = std::get_if<WindowJoin>(&plan.op)) {
    out.push_back(&join->right);
  }
  return out;
}

/// The shards that a query touches, each at one cut.
struct Cuts {
  std::map<const ShardView*, std::unique_ptr<ShardCut>> by_view;

  ShardCut* Of(const ShardView* view) {
    std::unique_ptr<ShardCut>& cut = by_view[view];
    if (cut == nullptr) cut = std::make_unique<ShardCut>(view);
    return cut.get();
  }
};

/// The symbols of a query, whose shards are cut if they are not yet.
std::vector<QuerySymbol> FixCuts(const Engine::Ports& ports, const Selection& selection,
                                 const Side& side, internal::SymbolOrders* orders, Cuts* cuts) {
  std::vector<QuerySymbol> symbols;
  const internal::GivenRows* given = side.given();
  if (given == nullptr && selection.symbols.empty()) {
    for (const ShardView* view : ports.shards) {
      ShardCut* cut = cuts->Of(view);
      const auto codes = orders->Of(*cut, side.schema()->id);
      for (const uint32_t code : *codes) {
        symbols.push_back({std::string(cut->symbols->Text(code)), cut, code});
      }
    }
    if (ports.shards.size() == 1) return symbols;
  } else {
    symbols.reserve(selection.symbols.size());
    for (const std::string& symbol :
         selection.symbols.empty() ? given->Symbols() : selection.symbols) {
      const ShardView* view = ports.shard_of(column::SlotOf(selection.tenant, symbol));
      ShardCut* cut = cuts->Of(view);
      symbols.push_back({symbol, cut, cut->symbols->Code(symbol)});
    }
  }
  std::sort(symbols.begin(), symbols.end(),
            [](const QuerySymbol& a, const QuerySymbol& b) { return a.text < b.text; });
  const auto repeated =
      std::unique(symbols.begin(), symbols.end(),
                  [](const QuerySymbol& a, const QuerySymbol& b) { return a.text == b.text; });
  symbols.erase(repeated, symbols.end());
  return symbols;
}

/// True when every row of the query's symbols is in memory now.
bool NothingEvicted(std::span<const QuerySymbol> symbols, std::span<const TableId> tables) {
  std::vector<hot::SeriesSnapshot> series;
  for (const QuerySymbol& symbol : symbols) {
    series.clear();
    for (const TableId table : tables) symbol.cut->guard.SeriesOf(table, symbol.code, &series);
    for (const hot::SeriesSnapshot& one : series) {
      if (one.floor() != Timestamp::Min()) return false;
    }
  }
  return true;
}

/// The tables, lists or inner answers that a plan works on.
struct Sides {
  Side main;
  std::vector<Side> rights;  // as in the plan
};

Status RunOperator(const Plan& plan, Sides sides, const internal::Run& run) {
  return std::visit(
      [&](const auto& op) -> Status {
        using Op = std::decay_t<decltype(op)>;
        if constexpr (std::is_same_v<Op, LastBy>) {
          return RunLastBy(op, std::move(sides.main), run);
        } else if constexpr (std::is_same_v<Op, Range>) {
          return RunRange(op, std::move(sides.main), run);
        } else if constexpr (std::is_same_v<Op, Bars>) {
          return RunBars(op, std::move(sides.main), run);
        } else if constexpr (std::is_same_v<Op, Rolling>) {
          return RunRolling(op, std::move(sides.main), run);
        } else if constexpr (std::is_same_v<Op, Book>) {
          return RunBook(op, std::move(sides.main), run);
        } else if constexpr (std::is_same_v<Op, Asof>) {
          return RunAsof(op, std::move(sides.main), std::move(sides.rights), run);
        } else {
          return RunWindowJoin(op, std::move(sides.main), std::move(sides.rights[0]), run);
        }
      },
      plan.op);
}

/// Returns once everything of the shard at or below `through` is in history.
Status AwaitPersisted(ShardId shard, const ShardCut& cut, Lsn through, const Budget& budget) {
  constexpr std::chrono::milliseconds kPoll(1);
  while (cut.guard.persisted() < through) {
    if (budget.Remaining() <= Duration(0)) {
      return DeadlineExceeded(
          "shard {} has rows through LSN {} and history through LSN {}: the flush is behind",
          shard.value(), through.value(), cut.guard.persisted().value());
    }
    std::this_thread::sleep_for(kPoll);
  }
  return OkStatus();
}

/// The same of everything at the cuts.
Status AwaitPersisted(const Cuts& cuts, const Budget& budget) {
  for (const auto& [view, cut] : cuts.by_view) {
    PX_RETURN_IF_ERROR(AwaitPersisted(view->id(), *cut, cut->guard.cut(), budget));
  }
  return OkStatus();
}

/// One attempt at one cut of each shard, of a plan and of those inside it.
class Attempt {
 public:
  Attempt(const Engine::Ports& ports, const QueryOptions& options, internal::SymbolOrders* orders,
          internal::ColdCache* cache, Budget* budget, Explain* explain)
      : ports_(ports), options_(options), orders_(orders) {
    context_.ports = &ports;
    context_.cache = cache;
    context_.budget = budget;
    context_.explain = explain;
  }

  /// Fixes the cuts of the plan's shards, and returns once everything at them is in history.
  Status Settle(const Plan& plan) {
    PX_ASSIGN_OR_RETURN(const Side side, MakeSide(MainSelection(plan)));
    FixCuts(ports_, MainSelection(plan), side, orders_, &cuts_);
    return AwaitPersisted(cuts_, *context_.budget);
  }

  /// Run then takes history to be empty.
  void LeaveHistoryOut() { context_.without_history = true; }
  /// History was needed and did not answer.
  [[nodiscard]] bool history_away() const { return context_.history_away; }
  /// Run then reads history up to this moment, whatever memory holds; nothing: as far as it must.
  void ReadHistoryTo(std::optional<Timestamp> seam) { context_.seam = seam; }

  /// `retry`: a correction or a change of a table overtook it, or history was away, before anything
  /// was shown.
  Status Run(const Plan& plan, const internal::Output::Sink& sink, bool* retry) {
    bool shown = false;
    const internal::Output::Sink watched = [&](ResultBatch batch) {
      shown = true;
      return sink(std::move(batch));
    };
    as_of_log_ = plan.as_of_log;
    const Status status = RunPlan(plan, watched, /*inner=*/false);
    const bool moved = !status.ok() && context_.SchemasMoved();
    *retry = (context_.overtaken || context_.history_away || moved) && !shown;
    return status;
  }

 private:
  Status RunPlan(const Plan& plan, const internal::Output::Sink& sink, bool inner) {
    PX_ASSIGN_OR_RETURN(Sides sides, MakeSides(plan));
    std::vector<QuerySymbol> symbols;
    {
      const internal::Stopwatch watch(context_.budget->clock(), &context_.explain->plan);
      symbols = FixCuts(ports_, MainSelection(plan), sides.main, orders_, &cuts_);
    }
    PX_RETURN_IF_ERROR(ReadCuts());
    if (inner && plan.as_of_log.has_value()) {
      return InvalidArgument("as_of_log is of the whole query: an inner query has none of its own");
    }
    if (as_of_log_.has_value()) PX_RETURN_IF_ERROR(PinMoment());
    internal::Output output(&sink, inner ? UINT64_MAX : options_.batch_rows, plan.limit,
                            OnlySymbols());
    if (inner) output.HoldAll(context_.budget);
    if (!plan.order.empty()) output.SortBy(plan.order, context_.budget);
    std::vector<TableId> tables;
    if (sides.main.given() == nullptr) tables.push_back(sides.main.schema()->id);
    for (const Side& right : sides.rights) {
      if (right.given() == nullptr) tables.push_back(right.schema()->id);
    }
    const internal::Run run{&context_, std::move(symbols), &output};
    output.StreamIf([&] {
      if (context_.seam.has_value() || as_of_log_.has_value()) return false;
      if (context_.without_history) return true;
      const bool final_answer = ports_.history == nullptr && !options_.allow_partial;
      return final_answer || NothingEvicted(run.symbols, tables);
    });
    if (!inner && CanShare(plan, sides, run.symbols)) {
      PX_RETURN_IF_ERROR(RunShared(plan, std::move(sides), run));
    } else {
      PX_RETURN_IF_ERROR(RunOperator(plan, std::move(sides), run));
    }
    return output.Finish();
  }

  /// True when assistants may answer a part of the symbols.
  [[nodiscard]] bool CanShare(const Plan& plan, const Sides& sides,
                              std::span<const QuerySymbol> symbols) const {
    const Engine::Assistants& assistants = ports_.assistants;
    if (assistants.pool == nullptr || assistants.pool->threads() == 0 || options_.threads == 1) {
      return false;
    }
    const auto is_given = [](const Side& side) { return side.given() != nullptr; };
    const bool given = is_given(sides.main) || std::ranges::any_of(sides.rights, is_given);
    const bool from_memory =
        !context_.seam.has_value() && !context_.without_history && !as_of_log_.has_value();
    return !given && from_memory && !plan.limit.has_value() && plan.order.empty() &&
           !std::holds_alternative<LastBy>(plan.op) && symbols.size() >= assistants.least_symbols;
  }

  struct Assistant;

  /// As RunOperator, with assistants.
  Status RunShared(const Plan& plan, Sides sides, const internal::Run& run);
  /// On an assistant's thread.
  Status Help(const Plan& plan, internal::SymbolSource* source);
  /// Runs the operator over the symbols of `source`, which takes the answer.
  Status RunGroups(const Plan& plan, Sides sides, internal::SymbolSource* source);

  /// The same cuts for an assistant, which asks nothing of history.
  Attempt(const Attempt& of, Budget* budget, Explain* explain)
      : ports_(of.ports_), options_(of.options_), orders_(of.orders_), context_(of.context_) {
    context_.cache = nullptr;
    context_.budget = budget;
    context_.explain = explain;
    for (const auto& [view, cut] : of.cuts_.by_view) {
      cuts_.by_view[view] = std::make_unique<ShardCut>(*cut);
    }
  }

  /// Of the shard if there is but one.
  [[nodiscard]] std::shared_ptr<exec::Symbols> OnlySymbols() const {
    return cuts_.by_view.size() == 1 ? cuts_.by_view.begin()->second->symbols : nullptr;
  }

  /// Finds out which LSNs the moment that is asked for stands for, of the tables and shards so far.
  Status PinMoment() {
    if (options_.memory_only) return Aborted("the query needs history");
    if (ports_.history == nullptr) {
      return FailedPrecondition(
          "as_of_log is answered by history, and this server runs without history");
    }
    for (const auto& [view, cut] : cuts_.by_view) {
      for (const column::SchemaPtr& schema : context_.schemas) {
        if (schema->versions != column::Versions::kAll) {
          return FailedPrecondition(
              "table {} keeps the latest version of each row alone: as_of_log needs a table that "
              "is declared with versions: all",
              schema->name);
        }
        const auto key = std::pair(schema->id, view->id());
        if (context_.as_of.contains(key)) continue;
        PX_ASSIGN_OR_RETURN(context_.as_of[key], MomentOf(*schema, view->id(), *cut));
      }
    }
    return OkStatus();
  }

  StatusOr<Lsn> MomentOf(const column::TableSchema& schema, ShardId shard, const ShardCut& cut) {
    const Lsn through = cut.guard.cut();
    if (as_of_log_->time.has_value()) {
      PX_RETURN_IF_ERROR(AwaitPersisted(shard, cut, through, *context_.budget));
      const Budget& budget = *context_.budget;
      ++context_.explain->history_reads;
      return ports_.history->LastKnown(schema, shard, *as_of_log_->time, through,
                                       {budget.Remaining(), budget.cancelled()});
    }
    for (const auto& [of, lsn] : as_of_log_->lsns) {
      if (of != shard) continue;
      const Lsn known = std::min(lsn, through);
      PX_RETURN_IF_ERROR(AwaitPersisted(shard, cut, known, *context_.budget));
      return known;
    }
    return InvalidArgument("as_of_log names no LSN of shard {}, which has rows of {}",
                           shard.value(), schema.name);
  }

  /// Shows rows of memory with the types of this query's versions of the tables.
  Status ReadCuts() {
    for (const auto& [view, cut] : cuts_.by_view) {
      for (const column::SchemaPtr& schema : context_.schemas) {
        if (!cut->guard.ReadAs(*schema)) {
          return Aborted("table {} got other types while the query began", schema->name);
        }
      }
    }
    return OkStatus();
  }

  StatusOr<Sides> MakeSides(const Plan& plan) {
    PX_ASSIGN_OR_RETURN(Side main, MakeSide(MainSelection(plan)));
    Sides sides{std::move(main), {}};
    for (const Selection* selection : RightSelections(plan)) {
      PX_ASSIGN_OR_RETURN(Side right, MakeSide(*selection));
      sides.rights.push_back(std::move(right));
    }
    return sides;
  }

  StatusOr<Side> MakeSide(const Selection& selection) {
    const int sources = static_cast<int>(!selection.table.empty()) +
                        static_cast<int>(selection.rows != nullptr) +
                        static_cast<int>(selection.query != nullptr);
    if (sources != 1) {
      return InvalidArgument("a query works on a table, on rows or on an inner query's answer");
    }
    if (selection.rows != nullptr) {
      PX_ASSIGN_OR_RETURN(auto given, GivenRows::Make(selection.rows, "the list of rows"));
      return Side::Make(&context_, selection, std::move(given));
    }
    if (selection.query != nullptr) {
      auto answer = std::make_shared<ResultBatch>();
      const internal::Output::Sink keep = [&](ResultBatch batch) {
        *answer = std::move(batch);
        return OkStatus();
      };
      const Status status = RunPlan(*selection.query, keep, /*inner=*/true);
      if (!status.ok()) return Annotate(status, "in the inner query");
      PX_ASSIGN_OR_RETURN(auto given,
                          GivenRows::Make(std::move(answer), "the inner query's answer"));
      return Side::Make(&context_, selection, std::move(given));
    }
    const internal::Stopwatch watch(context_.budget->clock(), &context_.explain->plan);
    return Side::Make(&context_, selection);
  }

  const Engine::Ports& ports_;
  const QueryOptions& options_;
  internal::SymbolOrders* orders_;
  QueryContext context_;
  Cuts cuts_;
  std::optional<AsOfLog> as_of_log_;
};

/// What an assistant needs; of the query it touches something only between Join and Leave.
struct Attempt::Assistant {
  Assistant(const Attempt& of, std::shared_ptr<internal::SharedGroups> groups,
            uint64_t memory_bytes)
      : groups(std::move(groups)),
        budget(&of.context_.budget->clock(), of.context_.budget->Remaining(), memory_bytes,
               &this->groups->stopped(), /*memory_only=*/true),
        attempt(of, &budget, &explain) {}

  void Run(const Plan& plan) {
    if (!groups->Join()) return;
    internal::AssistantsGroups source(
        groups.get(), [this](ShardCut* cut) { return attempt.cuts_.by_view.at(cut->view).get(); },
        attempt.ports_.assistants.group_bytes, &explain);
    source.End(attempt.Help(plan, &source));
    groups->Leave();
  }

  std::shared_ptr<internal::SharedGroups> groups;
  Explain explain;
  Budget budget;
  Attempt attempt;
};

Status Attempt::RunGroups(const Plan& plan, Sides sides, internal::SymbolSource* source) {
  const internal::Output::Sink sink = [source](ResultBatch batch) {
    return source->Take(std::move(batch));
  };
  internal::Output output(&sink, options_.batch_rows, std::nullopt, OnlySymbols());
  output.StreamIf([] { return true; });
  source->WriteTo(&output);
  PX_RETURN_IF_ERROR(RunOperator(plan, std::move(sides), {&context_, {}, &output, source}));
  return output.Finish();
}

Status Attempt::Help(const Plan& plan, internal::SymbolSource* source) {
  PX_ASSIGN_OR_RETURN(Sides sides, MakeSides(plan));
  PX_RETURN_IF_ERROR(ReadCuts());
  return RunGroups(plan, std::move(sides), source);
}

Status Attempt::RunShared(const Plan& plan, Sides sides, const internal::Run& run) {
  const Engine::Assistants& assistants = ports_.assistants;
  const auto groups = std::make_shared<internal::SharedGroups>(
      run.symbols, assistants.group_symbols, 4 * assistants.group_bytes);
  struct Closing {
    ~Closing() { groups->Close(); }
    internal::SharedGroups* groups;
  } const closing{groups.get()};
  const auto begin = [&] {
    size_t wanted = assistants.pool->threads();
    if (options_.threads > 0) wanted = std::min(wanted, options_.threads - 1);
    // All of them together hold at most a quarter more than the query may.
    const uint64_t memory = options_.memory_bytes / 4 / wanted;
    for (size_t i = 0; i < wanted; ++i) {
      const auto assistant = std::make_shared<Assistant>(*this, groups, memory);
      // They may have enough to do.
      if (!assistants.pool->Submit([assistant, plan = &plan] { assistant->Run(*plan); }).ok())
        break;
    }
  };
  internal::OwnGroups source(groups.get(), context_.budget, assistants.group_bytes,
                             context_.explain, run.output, begin);
  while (true) {
    const uint64_t held = context_.budget->held();
    const Status status = RunGroups(plan, std::move(sides), &source);
    if (status.ok()) return source.Finish();
    if (!source.PutBack()) return status;
    context_.budget->ReleaseTo(held);
    PX_ASSIGN_OR_RETURN(sides, MakeSides(plan));
  }
}

}  // namespace

Engine::Engine(Ports ports)
    : ports_(std::move(ports)), orders_(std::make_unique<internal::SymbolOrders>()) {
  if (ports_.cold_cache_bytes > 0) {
    cache_ = std::make_unique<internal::ColdCache>(ports_.cold_cache_bytes);
  }
}
Engine::~Engine() = default;

ColdCacheStats Engine::cold_cache() const {
  return cache_ == nullptr ? ColdCacheStats() : cache_->Stats();
}

Status Engine::Run(const Plan& plan, const QueryOptions& options,
                   const std::function<Status(ResultBatch)>& sink, Explain* explain) {
  if (explain != nullptr) *explain = Explain{};
  const bool now = !plan.as_of_log.has_value();
  if (now) {
    auto batch = internal::LastInMemory(plan, ports_, options, orders_.get(), explain);
    if (!batch) batch = internal::SpanInMemory(plan, ports_, explain);
    if (batch) return sink(std::move(*batch));
  }
  Explain unseen;
  if (explain == nullptr) explain = &unseen;
  Budget budget(ports_.clock, options.deadline, options.memory_bytes, options.cancelled,
                options.memory_only, options.predicate_rows);
  bool without_history = false;
  for (uint32_t attempt = 1;; ++attempt) {
    *explain = Explain{};
    explain->attempts = attempt;
    budget.ReleaseAll();
    bool retry = false;
    // Blocks that are kept hold later versions too.
    Attempt at_new_cut(ports_, options, orders_.get(), now ? cache_.get() : nullptr, &budget,
                       explain);
    if (without_history) at_new_cut.LeaveHistoryOut();
    const Status status = at_new_cut.Run(plan, sink, &retry);
    if (status.ok() || !retry) return status;
    if (at_new_cut.history_away()) {
      if (!options.allow_partial || !now) return status;
      without_history = true;
      continue;
    }
    if (attempt == kMaxAttempts) {
      return Aborted("{} attempts in a row: {}; ask again", kMaxAttempts, Message(status));
    }
  }
}

Status Engine::RunAtSeams(const Plan& plan, const QueryOptions& options,
                          std::span<const Timestamp> seams, const SeamSink& sink) {
  if (ports_.history == nullptr) {
    return FailedPrecondition("without history there is no seam to move");
  }
  Budget budget(ports_.clock, options.deadline, options.memory_bytes, options.cancelled);
  Explain explain;
  Attempt at_one_cut(ports_, options, orders_.get(), /*cache=*/nullptr, &budget, &explain);
  PX_RETURN_IF_ERROR(at_one_cut.Settle(plan));
  for (size_t evaluation = 0; evaluation <= seams.size(); ++evaluation) {
    explain = Explain{};
    budget.ReleaseAll();
    if (evaluation > 0) {
      at_one_cut.ReadHistoryTo(std::min(seams[evaluation - 1], kMaxRowTimestamp));
    }
    bool retry = false;
    PX_RETURN_IF_ERROR(at_one_cut.Run(
        plan, [&](ResultBatch batch) { return sink(evaluation, std::move(batch), explain); },
        &retry));
  }
  return OkStatus();
}

}  // namespace proxist::query
