// vwap_bars_1m and long_vwap: volume-weighted prices of each minute, and of one span of any length.
#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "apps/proxist-bench/columns/task.h"

namespace proxist::bench {
namespace {

constexpr int64_t kMinuteNs = 60'000'000'000;
constexpr int64_t kLargeTrade = 500;
constexpr size_t kSpans = 200;
// Bars start at the epoch, so one of this length holds every row.
constexpr Duration kAllTime = Duration::Days(100'000);

/// Of all trades, or of those of `least` or more.
class MinuteBarsTask final : public Task {
 public:
  explicit MinuteBarsTask(const TaskInput& input, std::optional<int64_t> least = {})
      : Task(input), least_(least) {
    query::Bars op;
    op.from.table = "trades";
    if (least.has_value()) op.from.where = fmt::format("size >= {}", *least);
    op.interval = Duration(kMinuteNs);
    op.aggregates = {"vwap"};
    plan_.op = std::move(op);
  }
  [[nodiscard]] std::string name() const override {
    return least_.has_value() ? "vwap_bars_1m_where" : "vwap_bars_1m";
  }
  [[nodiscard]] bool shared() const override { return true; }
  [[nodiscard]] size_t questions() const override {
    return input_.data->trades().ts.empty() ? 0 : 1;
  }
  StatusOr<double> Ask(size_t /*question*/) override { return SumOf(plan_, "vwap"); }

  double Loop(size_t /*question*/) override {
    starts_.clear();
    vwap_.clear();
    double sum = 0;
    for (const SymbolArrays::Trades& trades : input_.arrays->trades) {
      sum += least_.has_value() ? BarsOf(trades, [&](int64_t size) { return size >= *least_; })
                                : BarsOf(trades, [](int64_t /*size*/) { return true; });
    }
    return sum;
  }

 private:
  /// Of the trades whose size `keep` is true of.
  template <typename Keep>
  double BarsOf(const SymbolArrays::Trades& trades, Keep keep) {
    double sum = 0;
    for (size_t row = 0; row < trades.ts.size();) {
      const int64_t start = trades.ts[row] / kMinuteNs * kMinuteNs;
      double products = 0;
      int64_t sizes = 0;
      bool any = false;
      for (; row < trades.ts.size() && trades.ts[row] - start < kMinuteNs; ++row) {
        if (!keep(trades.size[row])) continue;
        any = true;
        products += trades.price[row] * static_cast<double>(trades.size[row]);
        sizes += trades.size[row];
      }
      if (!any) continue;
      starts_.push_back(start);
      vwap_.push_back(products / static_cast<double>(sizes));
      sum += vwap_.back();
    }
    return sum;
  }

  const std::optional<int64_t> least_;
  query::Plan plan_;
  std::vector<int64_t> starts_;
  std::vector<double> vwap_;
};

/// The span of a key starts at its moment; the longest one is the whole day.
class SpanTask final : public Task {
 public:
  SpanTask(const TaskInput& input, std::string name, std::optional<Duration> length)
      : Task(input), name_(std::move(name)) {
    const Manifest& manifest = input.data->manifest();
    for (size_t i = 0; i < std::min(kSpans, input.data->keys().ts.size()); ++i) {
      query::Bars op;
      op.from.table = "trades";
      op.from.symbols = {input.KeySymbol(i)};
      op.begin = length ? input.KeyTime(i) : Timestamp(manifest.t0_ns);
      op.end = op.begin.Plus(length.value_or(Duration(manifest.day_ns)));
      op.interval = kAllTime;
      op.aggregates = {"vwap"};
      plans_.push_back({.op = std::move(op), .limit = {}});
    }
  }
  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] size_t questions() const override { return plans_.size(); }
  StatusOr<double> Ask(size_t question) override { return SumOf(plans_[question], "vwap"); }

  double Loop(size_t question) override {
    const auto symbol = static_cast<size_t>(input_.data->keys().symbol[question]);
    const SymbolArrays::Trades& trades = input_.arrays->trades[symbol];
    const auto& op = std::get<query::Bars>(plans_[question].op);
    const auto first = std::lower_bound(trades.ts.begin(), trades.ts.end(), op.begin.ns());
    const auto last = std::lower_bound(first, trades.ts.end(), op.end.ns());
    double products = 0;
    int64_t sizes = 0;
    const auto end = static_cast<size_t>(last - trades.ts.begin());
    for (auto row = static_cast<size_t>(first - trades.ts.begin()); row < end; ++row) {
      products += trades.price[row] * static_cast<double>(trades.size[row]);
      sizes += trades.size[row];
    }
    return sizes == 0 ? 0 : products / static_cast<double>(sizes);
  }

 private:
  const std::string name_;
  std::vector<query::Plan> plans_;
};

}  // namespace

void AddBarTasks(const TaskInput& input, Tasks* out) {
  out->push_back(std::make_unique<MinuteBarsTask>(input));
  out->push_back(std::make_unique<MinuteBarsTask>(input, kLargeTrade));
  out->push_back(std::make_unique<SpanTask>(input, "long_vwap_1s", Duration::Seconds(1)));
  out->push_back(std::make_unique<SpanTask>(input, "long_vwap_1m", Duration::Seconds(60)));
  out->push_back(std::make_unique<SpanTask>(input, "long_vwap_1h", Duration::Hours(1)));
  out->push_back(std::make_unique<SpanTask>(input, "long_vwap_day", std::nullopt));
}

}  // namespace proxist::bench
