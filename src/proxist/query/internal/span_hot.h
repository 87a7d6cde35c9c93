// One bar of one symbol that memory alone answers: totals of chunks, and the rows at its edges.
#pragma once

#include <optional>

#include "proxist/query/engine.h"

namespace proxist::query::internal {

/// The answer of a plan for bars (or the aggregate of a span) of one symbol, when all of its rows
/// lie in memory and in one bar, and it asks for nothing but `count`, `sum`, `mean`, `min`, `max`,
/// `high`, `low`, `volume` and `vwap` of plain columns. Nothing: go the long way, which also says
/// what is wrong with a plan.
std::optional<ResultBatch> SpanInMemory(const Plan& plan, const Engine::Ports& ports,
                                        Explain* explain);

}  // namespace proxist::query::internal
