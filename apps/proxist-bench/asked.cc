// Plans with random symbols and moments.
#include "apps/proxist-bench/asked.h"

#include <utility>

#include <fmt/format.h>

namespace proxist::bench {

std::vector<std::string> Asked::Symbol() { return {fmt::format("S{:03}", random_() % symbols_)}; }

Timestamp Asked::Time() {
  const auto offset = static_cast<int64_t>(random_() % static_cast<uint64_t>(kAskedSpan.ns()));
  return MarketOptions().start.Plus(Duration(offset));
}

query::Plan LastByAsked::Next() {
  query::LastBy op;
  op.from.table = "quotes";
  op.from.symbols = Symbol();
  if (!now_) op.at = Time();
  op.columns = {"venue", "bid", "ask"};
  return {.op = std::move(op), .limit = {}};
}

query::Plan AsofAsked::Next() {
  query::Asof op;
  op.left.table = "trades";
  op.left.symbols = Symbol();
  op.begin = Time();
  op.end = op.begin.Plus(span_);
  op.columns = {"price", "size"};
  query::AsofRight& right = op.rights.emplace_back();
  right.from.table = "quotes";
  right.columns = {"bid", "ask"};
  return {.op = std::move(op), .limit = {}};
}

}  // namespace proxist::bench
