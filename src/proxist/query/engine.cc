// Fixes the cuts, resolves names, runs the operator, and starts again when a correction overtakes.
#include "proxist/query/engine.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <set>
#include <thread>

#include "proxist/query/internal/cold_cache.h"
#include "proxist/query/internal/last_hot.h"
#include "proxist/query/internal/operators.h"
#include "proxist/query/internal/symbol_order.h"

namespace proxist::query {
namespace {

using internal::Budget;
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

/// Of joins; else null.
const Selection* RightSelection(const Plan& plan) {
  return std::visit(
      [](const auto& op) -> const Selection* {
        if constexpr (requires { op.right; }) return &op.right;
        return nullptr;
      },
      plan.op);
}

/// The shards that a query touches, each at one cut, and its symbols.
struct Cuts {
  std::map<const ShardView*, std::unique_ptr<ShardCut>> by_view;
  std::vector<QuerySymbol> symbols;

  ShardCut* Of(const ShardView* view) {
    std::unique_ptr<ShardCut>& cut = by_view[view];
    if (cut == nullptr) cut = std::make_unique<ShardCut>(view);
    return cut.get();
  }
};

void FixCuts(const Engine::Ports& ports, const Selection& selection, TableId table,
             internal::SymbolOrders* orders, Cuts* cuts) {
  if (selection.symbols.empty()) {
    for (const ShardView* view : ports.shards) {
      ShardCut* cut = cuts->Of(view);
      const auto codes = orders->Of(*cut, table);
      for (const uint32_t code : *codes) {
        cuts->symbols.push_back({std::string(cut->symbols->Text(code)), cut});
      }
    }
    if (ports.shards.size() == 1) return;
  } else {
    for (const std::string& symbol : selection.symbols) {
      const ShardView* view = ports.shard_of(column::SlotOf(selection.tenant, symbol));
      cuts->symbols.push_back({symbol, cuts->Of(view)});
    }
  }
  std::sort(cuts->symbols.begin(), cuts->symbols.end(),
            [](const QuerySymbol& a, const QuerySymbol& b) { return a.text < b.text; });
  const auto repeated =
      std::unique(cuts->symbols.begin(), cuts->symbols.end(),
                  [](const QuerySymbol& a, const QuerySymbol& b) { return a.text == b.text; });
  cuts->symbols.erase(repeated, cuts->symbols.end());
}

/// True when every row of the query's symbols is in memory now.
bool NothingEvicted(std::span<const QuerySymbol> symbols, std::span<const TableId> tables) {
  std::vector<hot::SeriesSnapshot> series;
  for (const QuerySymbol& symbol : symbols) {
    series.clear();
    const uint32_t code = symbol.cut->symbols->Code(symbol.text);
    for (const TableId table : tables) symbol.cut->guard.SeriesOf(table, code, &series);
    for (const hot::SeriesSnapshot& one : series) {
      if (one.floor() != Timestamp::Min()) return false;
    }
  }
  return true;
}

Status RunOperator(const Plan& plan, Side side, std::optional<Side> right,
                   const internal::Run& run) {
  return std::visit(
      [&](const auto& op) -> Status {
        using Op = std::decay_t<decltype(op)>;
        if constexpr (std::is_same_v<Op, LastBy>) {
          return RunLastBy(op, std::move(side), run);
        } else if constexpr (std::is_same_v<Op, Range>) {
          return RunRange(op, std::move(side), run);
        } else if constexpr (std::is_same_v<Op, Bars>) {
          return RunBars(op, std::move(side), run);
        } else if constexpr (std::is_same_v<Op, Rolling>) {
          return RunRolling(op, std::move(side), run);
        } else if constexpr (std::is_same_v<Op, Book>) {
          return RunBook(op, std::move(side), run);
        } else if constexpr (std::is_same_v<Op, Asof>) {
          return RunAsof(op, std::move(side), std::move(*right), run);
        } else {
          return RunWindowJoin(op, std::move(side), std::move(*right), run);
        }
      },
      plan.op);
}

struct Sides {
  Side main;
  std::optional<Side> right;
};

StatusOr<Sides> MakeSides(const QueryContext& context, const Plan& plan) {
  PX_ASSIGN_OR_RETURN(Side main, Side::Make(context, MainSelection(plan)));
  Sides sides{std::move(main), std::nullopt};
  if (const Selection* other = RightSelection(plan)) {
    PX_ASSIGN_OR_RETURN(sides.right, Side::Make(context, *other));
  }
  return sides;
}

/// Runs the plan at the cuts; `symbols` are theirs.
Status Answer(const Plan& plan, const QueryOptions& options, const Cuts& cuts,
              std::vector<QuerySymbol> symbols, Sides sides, QueryContext* context,
              const internal::Output::Sink& sink, bool* started) {
  std::shared_ptr<exec::Symbols> only;
  if (cuts.by_view.size() == 1) only = cuts.by_view.begin()->second->symbols;
  internal::Output output(&sink, options.batch_rows, plan.limit, std::move(only));
  const bool joins = sides.right.has_value();
  const std::array<TableId, 2> tables = {sides.main.schema()->id,
                                         joins ? sides.right->schema()->id : TableId{}};
  const internal::Run run{context, std::move(symbols), &output};
  output.StreamIf([&] {
    if (context->seam.has_value()) return false;
    return context->ports->history == nullptr ||
           NothingEvicted(run.symbols, std::span(tables).first(joins ? 2 : 1));
  });
  const Status status = RunOperator(plan, std::move(sides.main), std::move(sides.right), run);
  *started = output.started();
  if (!status.ok()) return status;
  return output.Finish();
}

/// One attempt at one cut. `retry`: a correction overtook it before anything was shown.
Status Attempt(const Engine::Ports& ports, const Plan& plan, const QueryOptions& options,
               internal::SymbolOrders* orders, internal::ColdCache* cache,
               const internal::Output::Sink& sink, Budget* budget, Explain* explain, bool* retry) {
  QueryContext context;
  context.ports = &ports;
  context.cache = cache;
  context.budget = budget;
  context.explain = explain;
  Cuts cuts;
  std::optional<Sides> sides;
  {
    const internal::Stopwatch watch(budget->clock(), &explain->plan);
    PX_ASSIGN_OR_RETURN(sides, MakeSides(context, plan));
    FixCuts(ports, MainSelection(plan), sides->main.schema()->id, orders, &cuts);
  }
  bool started = false;
  std::vector<QuerySymbol> symbols = std::move(cuts.symbols);
  const Status status =
      Answer(plan, options, cuts, std::move(symbols), std::move(*sides), &context, sink, &started);
  *retry = context.overtaken && !started;
  return status;
}

/// Returns once everything at the cuts is in history.
Status AwaitPersisted(const Cuts& cuts, const Budget& budget) {
  constexpr std::chrono::milliseconds kPoll(1);
  for (const auto& [view, cut] : cuts.by_view) {
    while (cut->guard.persisted() < cut->guard.cut()) {
      if (budget.Remaining() <= Duration(0)) {
        return DeadlineExceeded(
            "shard {} has rows through LSN {} and history through LSN {}: the flush is behind",
            view->id().value(), cut->guard.cut().value(), cut->guard.persisted().value());
      }
      std::this_thread::sleep_for(kPoll);
    }
  }
  return OkStatus();
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
  if (auto batch = internal::LastInMemory(plan, ports_, options, orders_.get(), explain)) {
    return sink(std::move(*batch));
  }
  Explain unseen;
  if (explain == nullptr) explain = &unseen;
  Budget budget(ports_.clock, options.deadline, options.memory_bytes);
  for (uint32_t attempt = 1;; ++attempt) {
    *explain = Explain{};
    explain->attempts = attempt;
    budget.ReleaseTo(0);
    bool retry = false;
    const Status status =
        Attempt(ports_, plan, options, orders_.get(), cache_.get(), sink, &budget, explain, &retry);
    if (status.ok() || !retry) return status;
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
  Budget budget(ports_.clock, options.deadline, options.memory_bytes);
  Cuts cuts;
  for (size_t evaluation = 0; evaluation <= seams.size(); ++evaluation) {
    Explain explain;
    QueryContext context;
    context.ports = &ports_;
    context.budget = &budget;
    context.explain = &explain;
    if (evaluation > 0) context.seam = std::min(seams[evaluation - 1], kMaxRowTimestamp);
    PX_ASSIGN_OR_RETURN(Sides sides, MakeSides(context, plan));
    if (evaluation == 0) {
      FixCuts(ports_, MainSelection(plan), sides.main.schema()->id, orders_.get(), &cuts);
      PX_RETURN_IF_ERROR(AwaitPersisted(cuts, budget));
    }
    budget.ReleaseTo(0);
    bool started = false;
    PX_RETURN_IF_ERROR(Answer(
        plan, options, cuts, cuts.symbols, std::move(sides), &context,
        [&](ResultBatch batch) { return sink(evaluation, std::move(batch), explain); }, &started));
  }
  return OkStatus();
}

}  // namespace proxist::query
