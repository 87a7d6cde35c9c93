// rolling_vwap_5m, rolling_mean_5m and ema_0.1: a value for each trade from the trades before it.
#include "apps/proxist-bench/columns/task.h"

namespace proxist::bench {
namespace {

constexpr Duration kWindow = Duration::Seconds(300);
constexpr double kAlpha = 0.1;

/// A task whose loop writes a value for each trade, symbol by symbol.
class EachTradeTask : public Task {
 public:
  EachTradeTask(const TaskInput& input, const char* aggregate) : Task(input) {
    query::Rolling op;
    op.from.table = "trades";
    op.columns = {"ts"};
    op.aggregates = {aggregate};
    op.window = kWindow;
    plan_.op = std::move(op);
    out_.resize(input.data->trades().ts.size());
  }
  [[nodiscard]] bool shared() const override { return true; }
  [[nodiscard]] size_t questions() const override { return out_.empty() ? 0 : 1; }
  StatusOr<double> Ask(size_t /*question*/) override {
    return SumOf(plan_, std::get<query::Rolling>(plan_.op).aggregates[0]);
  }
  double Loop(size_t /*question*/) override {
    double* out = out_.data();
    for (const SymbolArrays::Trades& trades : input_.arrays->trades) {
      Fill(trades, out);
      out += trades.ts.size();
    }
    double sum = 0;
    for (const double value : out_) sum += value;
    return sum;
  }

 protected:
  virtual void Fill(const SymbolArrays::Trades& trades, double* out) = 0;

 private:
  query::Plan plan_;
  std::vector<double> out_;
};

class RollingVwapTask final : public EachTradeTask {
 public:
  explicit RollingVwapTask(const TaskInput& input) : EachTradeTask(input, "vwap") {}
  [[nodiscard]] std::string name() const override { return "rolling_vwap_5m"; }

 protected:
  void Fill(const SymbolArrays::Trades& trades, double* out) override {
    double products = 0;
    int64_t sizes = 0;
    size_t first = 0;
    for (size_t row = 0; row < trades.ts.size(); ++row) {
      products += trades.price[row] * static_cast<double>(trades.size[row]);
      sizes += trades.size[row];
      for (; trades.ts[first] < trades.ts[row] - kWindow.ns(); ++first) {
        products -= trades.price[first] * static_cast<double>(trades.size[first]);
        sizes -= trades.size[first];
      }
      out[row] = products / static_cast<double>(sizes);
    }
  }
};

class RollingMeanTask final : public EachTradeTask {
 public:
  explicit RollingMeanTask(const TaskInput& input) : EachTradeTask(input, "mean") {}
  [[nodiscard]] std::string name() const override { return "rolling_mean_5m"; }

 protected:
  void Fill(const SymbolArrays::Trades& trades, double* out) override {
    double prices = 0;
    size_t first = 0;
    for (size_t row = 0; row < trades.ts.size(); ++row) {
      prices += trades.price[row];
      for (; trades.ts[first] < trades.ts[row] - kWindow.ns(); ++first) {
        prices -= trades.price[first];
      }
      out[row] = prices / static_cast<double>(row - first + 1);
    }
  }
};

class EmaTask final : public EachTradeTask {
 public:
  explicit EmaTask(const TaskInput& input) : EachTradeTask(input, "ema(0.1)") {}
  [[nodiscard]] std::string name() const override { return "ema_0.1"; }

 protected:
  void Fill(const SymbolArrays::Trades& trades, double* out) override {
    double average = trades.price.empty() ? 0 : trades.price[0];
    for (size_t row = 0; row < trades.ts.size(); ++row) {
      average += kAlpha * (trades.price[row] - average);
      out[row] = average;
    }
  }
};

}  // namespace

void AddRollingTasks(const TaskInput& input, Tasks* out) {
  out->push_back(std::make_unique<RollingVwapTask>(input));
  out->push_back(std::make_unique<RollingMeanTask>(input));
  out->push_back(std::make_unique<EmaTask>(input));
}

}  // namespace proxist::bench
