// range_1m: the quotes of one symbol in a minute.
#include <algorithm>

#include "apps/proxist-bench/columns/task.h"

namespace proxist::bench {
namespace {

constexpr size_t kRanges = 100;
constexpr Duration kMinute = Duration::Seconds(60);

class RangeTask final : public Task {
 public:
  explicit RangeTask(const TaskInput& input) : Task(input) {
    for (size_t i = 0; i < std::min(kRanges, input.data->keys().ts.size()); ++i) {
      query::Range op;
      op.from.table = "quotes";
      op.from.symbols = {input.KeySymbol(i)};
      op.begin = input.KeyTime(i);
      op.end = op.begin.Plus(kMinute);
      op.columns = {"bid"};
      plans_.push_back({.op = std::move(op), .limit = {}});
    }
  }
  [[nodiscard]] std::string name() const override { return "range_1m"; }
  [[nodiscard]] size_t questions() const override { return plans_.size(); }
  StatusOr<double> Ask(size_t question) override { return SumOf(plans_[question], "bid"); }

  double Loop(size_t question) override {
    const auto symbol = static_cast<size_t>(input_.data->keys().symbol[question]);
    const SymbolArrays::Quotes& quotes = input_.arrays->quotes[symbol];
    const int64_t begin = input_.data->keys().ts[question];
    const auto first = std::lower_bound(quotes.ts.begin(), quotes.ts.end(), begin);
    const auto last = std::lower_bound(first, quotes.ts.end(), begin + kMinute.ns());
    const auto base = quotes.bid.begin() + (first - quotes.ts.begin());
    ts_.assign(first, last);
    bid_.assign(base, base + (last - first));
    double sum = 0;
    for (const double bid : bid_) sum += bid;
    return sum;
  }

 private:
  std::vector<query::Plan> plans_;
  std::vector<int64_t> ts_;
  std::vector<double> bid_;
};

}  // namespace

void AddRangeTasks(const TaskInput& input, Tasks* out) {
  out->push_back(std::make_unique<RangeTask>(input));
}

}  // namespace proxist::bench
