// snapshot and last_one: the last quote of every symbol at a moment, and of one symbol now.
#include <algorithm>
#include <optional>

#include "apps/proxist-bench/columns/task.h"
#include "proxist/query/lookup.h"

namespace proxist::bench {
namespace {

constexpr size_t kSnapshots = 20;
constexpr size_t kPoints = 200;

class SnapshotTask final : public Task {
 public:
  explicit SnapshotTask(const TaskInput& input) : Task(input) {
    for (size_t i = 0; i < std::min(kSnapshots, input.data->keys().ts.size()); ++i) {
      query::LastBy op;
      op.from.table = "quotes";
      op.at = input.KeyTime(i);
      op.columns = {"bid"};
      plans_.push_back({.op = std::move(op), .limit = {}});
    }
  }
  [[nodiscard]] std::string name() const override { return "snapshot"; }
  [[nodiscard]] size_t questions() const override { return plans_.size(); }
  StatusOr<double> Ask(size_t question) override { return SumOf(plans_[question], "bid"); }

  double Loop(size_t question) override {
    const int64_t at = input_.data->keys().ts[question];
    bid_.clear();
    double sum = 0;
    for (const SymbolArrays::Quotes& quotes : input_.arrays->quotes) {
      const auto after = std::upper_bound(quotes.ts.begin(), quotes.ts.end(), at);
      if (after == quotes.ts.begin()) continue;
      bid_.push_back(quotes.bid[static_cast<size_t>(after - quotes.ts.begin()) - 1]);
      sum += bid_.back();
    }
    return sum;
  }

 private:
  std::vector<query::Plan> plans_;
  std::vector<double> bid_;
};

class LastOneTask final : public Task {
 public:
  explicit LastOneTask(const TaskInput& input) : Task(input) {
    for (size_t i = 0; i < questions(); ++i) symbols_.emplace_back(input.KeySymbol(i));
  }
  [[nodiscard]] std::string name() const override { return "last_one"; }
  [[nodiscard]] size_t questions() const final {
    return std::min(kPoints, input_.data->keys().ts.size());
  }
  [[nodiscard]] bool timed_whole() const override { return true; }

  StatusOr<double> Ask(size_t question) override {
    if (!lookup_.has_value()) {
      query::LastBy op;
      op.from.table = "quotes";
      op.columns = {"bid"};
      PX_ASSIGN_OR_RETURN(lookup_, query::Lookup::Make(input_.engine, std::move(op), {}));
    }
    PX_ASSIGN_OR_RETURN(const query::ResultBatch* found,
                        lookup_->Find(&symbols_[question], Timestamp::Max()));
    return found->rows() == 0 ? 0 : found->columns[3].column.data<double>()[0];
  }

  double Loop(size_t question) override {
    const auto symbol = static_cast<size_t>(input_.data->keys().symbol[question]);
    const SymbolArrays::Quotes& quotes = input_.arrays->quotes[symbol];
    return quotes.bid.empty() ? 0 : quotes.bid.back();
  }

 private:
  std::optional<query::Lookup> lookup_;
  std::vector<query::Lookup::Symbol> symbols_;
};

}  // namespace

void AddLastTasks(const TaskInput& input, Tasks* out) {
  out->push_back(std::make_unique<SnapshotTask>(input));
  out->push_back(std::make_unique<LastOneTask>(input));
}

}  // namespace proxist::bench
