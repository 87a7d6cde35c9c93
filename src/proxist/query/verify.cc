// Samples symbols, makes queries about their rows in memory, compares answers at their seams.
#include "proxist/query/verify.h"

#include <algorithm>
#include <optional>
#include <random>

#include "proxist/query/internal/batch_compare.h"

namespace proxist::query {
namespace {

using internal::AnswerCompare;

constexpr uint64_t kMaxRowsOfSymbol = 50'000;
constexpr uint64_t kMinRowsOfSymbol = 100;
constexpr size_t kSymbolsWithAllQueries = 8;
constexpr int kAttempts = 3;

/// A symbol's rows in memory, or the last of them.
struct Sample {
  std::string symbol;
  Timestamp from;
  Timestamp last;
  std::vector<Timestamp> times;  // of some of its rows
};

class Verifier {
 public:
  Verifier(Engine* engine, const column::SchemaPtr& table, const VerifyOptions& options)
      : engine_(*engine),
        table_(table),
        options_(options),
        random_(options.seed),
        started_(engine->ports().clock->Monotonic()) {}

  StatusOr<VerifyReport> Run() {
    if (engine_.ports().history == nullptr) {
      return FailedPrecondition("without history there is no seam to move");
    }
    std::vector<std::pair<const ShardView*, uint32_t>> symbols = Symbols();
    std::shuffle(symbols.begin(), symbols.end(), random_);
    PX_RETURN_IF_ERROR(options_.plans.empty() ? CompareSample(symbols) : CompareGiven(symbols));
    return std::move(report_);
  }

 private:
  std::vector<std::pair<const ShardView*, uint32_t>> Symbols() {
    std::vector<std::pair<const ShardView*, uint32_t>> out;
    for (const ShardView* view : engine_.ports().shards) {
      std::vector<uint32_t> codes;
      view->store().Read().SymbolsOf(table_->id, &codes);
      for (const uint32_t code : codes) out.emplace_back(view, code);
    }
    return out;
  }

  std::optional<Sample> SampleOf(const ShardView* view, uint32_t code, uint64_t rows) {
    const hot::ReadGuard guard = view->store().Read();
    std::vector<hot::SeriesSnapshot> series;
    guard.SeriesOf(table_->id, code, &series);
    Sample sample{
        std::string(view->store().dictionary().At(code)), kMinRowTimestamp, Timestamp::Min(), {}};
    const uint64_t each = std::max<uint64_t>(1, rows / std::max<size_t>(1, series.size()));
    for (const hot::SeriesSnapshot& one : series) {
      const Timestamp floor = one.floor();
      if (floor != Timestamp::Min()) sample.from = std::max(sample.from, floor.Plus(Duration(1)));
      const auto last = one.StepBack(Timestamp::Max(), 1);
      if (!last.has_value()) continue;
      sample.last = std::max(sample.last, *last);
      if (const auto from = one.StepBack(Timestamp::Max(), each)) {
        sample.from = std::max(sample.from, *from);
      }
      for (uint64_t back = each; back > 1; back /= 4) {
        const uint64_t step = 1 + random_() % back;
        if (const auto ts = one.StepBack(Timestamp::Max(), step)) sample.times.push_back(*ts);
      }
    }
    if (sample.last < sample.from) return std::nullopt;
    sample.times.push_back(sample.last);
    std::erase_if(sample.times, [&](Timestamp ts) { return ts < sample.from; });
    return sample;
  }

  /// Every symbol's rows out of history and out of memory, then more queries of a few symbols.
  Status CompareSample(const std::vector<std::pair<const ShardView*, uint32_t>>& symbols) {
    const uint64_t share = options_.max_rows / (8 * std::clamp<size_t>(symbols.size(), 1, 32));
    const uint64_t rows = std::clamp(share, kMinRowsOfSymbol, kMaxRowsOfSymbol);
    for (size_t i = 0; i < symbols.size(); ++i) {
      // Half of the bound is for the queries that follow.
      if (i > 0 && report_.rows_read >= options_.max_rows / 2) {
        report_.complete = false;
        break;
      }
      if (const auto sample = SampleOf(symbols[i].first, symbols[i].second, rows)) {
        PX_RETURN_IF_ERROR(Compare(RangeOf(*sample), {&sample->last, 1}));
        if (!report_.complete) return OkStatus();
      }
    }
    for (size_t i = 0; i < std::min(symbols.size(), kSymbolsWithAllQueries); ++i) {
      const auto sample = SampleOf(symbols[i].first, symbols[i].second, rows / 4);
      if (!sample.has_value()) continue;
      const std::vector<Timestamp> seams = SeamsOf(*sample);
      for (const NamedPlan& plan : PlansOf(*sample)) {
        PX_RETURN_IF_ERROR(Compare(plan, seams));
        if (!report_.complete) return OkStatus();
      }
    }
    return OkStatus();
  }

  Status CompareGiven(const std::vector<std::pair<const ShardView*, uint32_t>>& symbols) {
    std::vector<Timestamp> seams;
    for (const auto& [view, code] : symbols) {
      if (const auto sample = SampleOf(view, code, kMaxRowsOfSymbol)) {
        seams = SeamsOf(*sample);
        break;
      }
    }
    seams.push_back(Timestamp::Max());
    for (const NamedPlan& plan : options_.plans) {
      PX_RETURN_IF_ERROR(Compare(plan, seams));
      if (!report_.complete) break;
    }
    return OkStatus();
  }

  /// At the last row, at a row between, 1 ns either side of it, at midnight.
  std::vector<Timestamp> SeamsOf(const Sample& sample) {
    const Timestamp at = sample.times[random_() % sample.times.size()];
    std::vector<Timestamp> seams = {sample.last, at, at.Minus(Duration(1)), at.Plus(Duration(1)),
                                    StartOf(DayOf(sample.last))};
    std::sort(seams.begin(), seams.end());
    seams.erase(std::unique(seams.begin(), seams.end()), seams.end());
    return seams;
  }

  Selection Of(const Sample& sample) const {
    return {table_->tenant, table_->name, {sample.symbol}, ""};
  }

  NamedPlan RangeOf(const Sample& sample) const {
    const Timestamp end = sample.last.Plus(Duration(1));
    return {fmt::format("range {} --symbols {} --from {} --to {}", table_->name, sample.symbol,
                        sample.from.ns(), end.ns()),
            {Range{Of(sample), sample.from, end, {}}, std::nullopt}};
  }

  std::vector<NamedPlan> PlansOf(const Sample& sample) {
    std::vector<NamedPlan> plans = {RangeOf(sample)};
    const Timestamp at = sample.times[random_() % sample.times.size()];
    std::vector<std::string> by;
    for (const size_t column : table_->series) by.push_back(table_->columns[column].name);
    for (const bool first : {false, true}) {
      LastBy nearest;
      nearest.from = Of(sample);
      nearest.first = first;
      nearest.at = at;
      nearest.by = by;
      plans.push_back({fmt::format("{} {} --symbols {} --at {}", first ? "first-by" : "last-by",
                                   table_->name, sample.symbol, at.ns()),
                       {nearest, std::nullopt}});
    }
    Bars bars;
    bars.from = Of(sample);
    bars.begin = sample.from;
    bars.end = sample.last.Plus(Duration(1));
    bars.interval = Duration(std::max<int64_t>(1, (sample.last.ns() - sample.from.ns()) / 7));
    bars.by = by;
    bars.aggregates = {"count"};
    for (const column::ColumnDef& def : table_->columns) {
      if (def.dropped || !column::IsNumeric(def.type.kind)) continue;
      for (const char* what : {"first", "last", "min", "max", "sum"}) {
        // A sum of wide integers may leave its type, which is an answer for the user alone.
        if (std::string_view(what) == "sum" && !column::IsFloat(def.type.kind) &&
            column::WidthOf(def.type.kind) == sizeof(int64_t)) {
          continue;
        }
        bars.aggregates.push_back(fmt::format("{}({})", what, def.name));
      }
    }
    plans.push_back(
        {fmt::format("bars {} --symbols {} --from {} --to {} --interval {}ns", table_->name,
                     sample.symbol, bars.begin.ns(), bars.end.ns(), bars.interval->ns()),
         {bars, std::nullopt}});
    Asof asof;
    asof.left = Of(sample);
    asof.begin = at;
    asof.end = sample.last.Plus(Duration(1));
    AsofRight& right = asof.rights.emplace_back();
    right.from = Of(sample);
    right.strict = true;
    plans.push_back({fmt::format("asof --left {0} --right {0} --symbols {1} --from {2} --strict",
                                 table_->name, sample.symbol, at.ns()),
                     {asof, std::nullopt}});
    return plans;
  }

  [[nodiscard]] Duration Remaining() const {
    const int64_t spent = engine_.ports().clock->Monotonic().ns() - started_.ns();
    return Duration(options_.deadline.ns() - spent);
  }

  /// One plan at all its seams; errors of the query itself are reported, not returned.
  Status Compare(const NamedPlan& plan, std::span<const Timestamp> seams) {
    if (report_.rows_read >= options_.max_rows || Remaining() <= Duration(0)) {
      report_.complete = false;
      return OkStatus();
    }
    Status status;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      status = Attempt(plan, seams);
      if (status.code() != absl::StatusCode::kAborted) break;
    }
    if (status.ok()) {
      ++report_.queries;
    } else if (status.code() == absl::StatusCode::kDeadlineExceeded) {
      report_.complete = false;
      report_.skipped.push_back(fmt::format("{}: {}", plan.text, Message(status)));
    } else {
      report_.skipped.push_back(fmt::format("{}: {}", plan.text, Message(status)));
    }
    return OkStatus();
  }

  Status Attempt(const NamedPlan& plan, std::span<const Timestamp> seams) {
    constexpr uint64_t kRowBytes = 256;
    QueryOptions options;
    options.deadline = Remaining();
    options.memory_bytes =
        std::min(options_.memory_bytes, (options_.max_rows - report_.rows_read + 1) * kRowBytes);
    AnswerCompare answers;
    std::vector<SeamDifference> found;
    size_t evaluation = 0;
    uint64_t rows = 0;  // of the evaluation at hand
    bool differs = false;
    const auto note = [&](const std::optional<AnswerCompare::Difference>& difference) {
      if (differs || !difference.has_value()) return;
      differs = true;
      found.push_back({plan.text, seams[evaluation - 1], difference->kept, difference->other});
    };
    const auto end = [&] {
      if (evaluation > 0) note(answers.End());
      ++report_.evaluations;
      report_.rows_read += rows;
      answers.Rewind();
      differs = false;
    };
    PX_RETURN_IF_ERROR(engine_.RunAtSeams(
        plan.plan, options, seams, [&](size_t now, ResultBatch batch, const Explain& explain) {
          if (now != evaluation) end();
          evaluation = now;
          rows = explain.rows_hot + explain.rows_cold;
          if (now == 0) {
            answers.Keep(std::move(batch));
          } else if (!differs) {
            note(answers.Compare(batch));
          }
          return OkStatus();
        }));
    end();
    for (SeamDifference& one : found) {
      if (report_.differences.size() < kMaxSeamDifferences) {
        report_.differences.push_back(std::move(one));
      }
    }
    return OkStatus();
  }

  Engine& engine_;
  const column::SchemaPtr table_;
  const VerifyOptions& options_;
  std::mt19937_64 random_;
  Duration started_;
  VerifyReport report_;
};

}  // namespace

StatusOr<VerifyReport> VerifySeam(Engine* engine, const column::SchemaPtr& table,
                                  const VerifyOptions& options) {
  return Verifier(engine, table, options).Run();
}

}  // namespace proxist::query
