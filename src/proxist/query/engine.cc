// Fixes the cuts, resolves names, runs the operator, and starts again when a correction overtakes.
#include "proxist/query/engine.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

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
        cuts->symbols.push_back({std::string(cut->symbols->Text(code)), cut, code});
      }
    }
    if (ports.shards.size() == 1) return;
  } else {
    for (const std::string& symbol : selection.symbols) {
      const ShardView* view = ports.shard_of(column::SlotOf(selection.tenant, symbol));
      ShardCut* cut = cuts->Of(view);
      cuts->symbols.push_back({symbol, cut, cut->symbols->Code(symbol)});
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
    for (const TableId table : tables) symbol.cut->guard.SeriesOf(table, symbol.code, &series);
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

/// One attempt at one cut. `retry`: a correction overtook it before anything was shown.
Status Attempt(const Engine::Ports& ports, const Plan& plan, const QueryOptions& options,
               internal::SymbolOrders* orders, const internal::Output::Sink& sink, Budget* budget,
               Explain* explain, bool* retry) {
  QueryContext context;
  context.ports = &ports;
  context.budget = budget;
  context.explain = explain;
  Cuts cuts;
  std::optional<Side> side;
  std::optional<Side> right;
  {
    const internal::Stopwatch watch(budget->clock(), &explain->plan);
    PX_ASSIGN_OR_RETURN(side, Side::Make(context, MainSelection(plan)));
    if (const Selection* other = RightSelection(plan)) {
      PX_ASSIGN_OR_RETURN(right, Side::Make(context, *other));
    }
    FixCuts(ports, MainSelection(plan), side->schema()->id, orders, &cuts);
  }
  std::shared_ptr<exec::Symbols> symbols;
  if (cuts.by_view.size() == 1) symbols = cuts.by_view.begin()->second->symbols;
  internal::Output output(&sink, options.batch_rows, plan.limit, std::move(symbols));
  const std::array<TableId, 2> tables = {side->schema()->id,
                                         right.has_value() ? right->schema()->id : TableId{}};
  const internal::Run run{&context, std::move(cuts.symbols), &output};
  output.StreamIf([&] {
    return ports.history == nullptr ||
           NothingEvicted(run.symbols, std::span(tables).first(right.has_value() ? 2 : 1));
  });
  const Status status = RunOperator(plan, std::move(*side), std::move(right), run);
  *retry = context.overtaken && !output.started();
  if (!status.ok()) return status;
  return output.Finish();
}

}  // namespace

Engine::Engine(Ports ports)
    : ports_(std::move(ports)), orders_(std::make_unique<internal::SymbolOrders>()) {}
Engine::~Engine() = default;

Status Engine::Run(const Plan& plan, const QueryOptions& options,
                   const std::function<Status(ResultBatch)>& sink, Explain* explain) {
  if (explain != nullptr) *explain = Explain{};
  if (auto batch = internal::LastInMemory(plan, ports_, options, orders_.get(), explain)) {
    return sink(std::move(*batch));
  }
  Explain unseen;
  if (explain == nullptr) explain = &unseen;
  Budget budget(ports_.clock, options.deadline, options.memory_bytes, options.cancelled,
                options.memory_only);
  for (uint32_t attempt = 1;; ++attempt) {
    *explain = Explain{};
    explain->attempts = attempt;
    budget.ReleaseTo(0);
    bool retry = false;
    const Status status =
        Attempt(ports_, plan, options, orders_.get(), sink, &budget, explain, &retry);
    if (status.ok() || !retry) return status;
    if (attempt == kMaxAttempts) {
      return Aborted("{} attempts in a row: {}; ask again", kMaxAttempts, Message(status));
    }
  }
}

}  // namespace proxist::query
