// asof_join and point_asof: the quote that prevails at each trade, and at a moment.
#include <algorithm>

#include "apps/proxist-bench/columns/task.h"

namespace proxist::bench {
namespace {

constexpr size_t kPoints = 200;

/// Trades to quotes, backward, an equal time matches; bid and ask of the quote come out.
class AsofJoinTask final : public Task {
 public:
  explicit AsofJoinTask(const TaskInput& input) : Task(input) {
    query::Asof op;
    op.left.table = "trades";
    op.columns = {"ts"};
    query::AsofRight& right = op.rights.emplace_back();
    right.from.table = "quotes";
    right.columns = {"bid", "ask"};
    plan_.op = std::move(op);
  }
  [[nodiscard]] std::string name() const override { return "asof_join"; }
  [[nodiscard]] bool shared() const override { return true; }
  [[nodiscard]] size_t questions() const override {
    return input_.data->trades().ts.empty() ? 0 : 1;
  }
  StatusOr<double> Ask(size_t /*question*/) override { return SumOf(plan_, "bid"); }

  double Loop(size_t /*question*/) override {
    bid_.resize(input_.data->trades().ts.size());
    ask_.resize(bid_.size());
    double sum = 0;
    size_t out = 0;
    for (size_t symbol = 0; symbol < input_.arrays->trades.size(); ++symbol) {
      const SymbolArrays::Trades& trades = input_.arrays->trades[symbol];
      const SymbolArrays::Quotes& quotes = input_.arrays->quotes[symbol];
      size_t next = 0;
      for (const int64_t ts : trades.ts) {
        while (next < quotes.ts.size() && quotes.ts[next] <= ts) ++next;
        if (next == 0) continue;
        bid_[out] = quotes.bid[next - 1];
        ask_[out] = quotes.ask[next - 1];
        sum += bid_[out++];
      }
    }
    return sum;
  }

 private:
  query::Plan plan_;
  std::vector<double> bid_;
  std::vector<double> ask_;
};

class PointAsofTask final : public Task {
 public:
  explicit PointAsofTask(const TaskInput& input) : Task(input) {
    for (size_t i = 0; i < std::min(kPoints, input.data->keys().ts.size()); ++i) {
      query::LastBy op;
      op.from.table = "quotes";
      op.from.symbols = {input.KeySymbol(i)};
      op.at = input.KeyTime(i);
      op.columns = {"bid"};
      plans_.push_back({.op = std::move(op), .limit = {}});
    }
  }
  [[nodiscard]] std::string name() const override { return "point_asof"; }
  [[nodiscard]] size_t questions() const override { return plans_.size(); }
  StatusOr<double> Ask(size_t question) override { return SumOf(plans_[question], "bid"); }

  double Loop(size_t question) override {
    const auto symbol = static_cast<size_t>(input_.data->keys().symbol[question]);
    const SymbolArrays::Quotes& quotes = input_.arrays->quotes[symbol];
    const auto after =
        std::upper_bound(quotes.ts.begin(), quotes.ts.end(), input_.data->keys().ts[question]);
    if (after == quotes.ts.begin()) return 0;
    return quotes.bid[static_cast<size_t>(after - quotes.ts.begin()) - 1];
  }

 private:
  std::vector<query::Plan> plans_;
};

}  // namespace

void AddAsofTasks(const TaskInput& input, Tasks* out) {
  out->push_back(std::make_unique<AsofJoinTask>(input));
  out->push_back(std::make_unique<PointAsofTask>(input));
}

}  // namespace proxist::bench
