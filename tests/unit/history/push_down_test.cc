// What ClickHouse leaves out and adds up is what rows that are read and resolved here come to.
#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include <gtest/gtest.h>

#include "tests/unit/history/shared_server.h"

namespace proxist::history {
namespace {

using column::TypeKind;

enum Columns : size_t { kVenue, kPrice, kSize, kBig, kAt, kNote, kReal, kNarrow, kWeight };

column::SchemaPtr Schema(std::string name) {
  return MakeSchema(std::move(name),
                    {{ColumnId(), "venue", {TypeKind::kSymbol}, false},
                     {ColumnId(), "price", {TypeKind::kDecimal, 4}, true},
                     {ColumnId(), "size", {TypeKind::kInt64}, true},
                     {ColumnId(), "big", {TypeKind::kUint64}, false},
                     {ColumnId(), "at", {TypeKind::kTimestamp}, true},
                     {ColumnId(), "note", {TypeKind::kString}, true},
                     {ColumnId(), "real", {TypeKind::kFloat64}, true},
                     {ColumnId(), "narrow", {TypeKind::kFloat32}, false},
                     {ColumnId(), "weight", {TypeKind::kFloat64}, false}},
                    {kVenue});
}

constexpr int64_t kHour = 3'600'000'000'000;

/// Rows of two symbols and venues around a midnight; the second day has corrections and cancels.
class PushDownTest : public ::testing::Test {
 protected:
  void Fill(const column::SchemaPtr& schema) {
    schema_ = schema;
    history_ = MakeClickHouseHistory(SharedServer().address());
    ASSERT_EQ(history_->EnsureTable(*schema), OkStatus());
    std::mt19937_64 random(3);
    for (const int day : {0, 1}) {
      column::BatchBuilder builder(schema);
      const Lsn first(1 + static_cast<uint64_t>(day) * 10'000);
      for (int i = 0; i < 600; ++i) {
        const int64_t ts =
            kDayStart.ns() + day * 24 * kHour + static_cast<int64_t>(random() % 40) * kHour / 4;
        const bool again = day == 1 && i >= 400;
        builder.AddRow(random() % 2 == 0 ? "A" : "B\t'", Timestamp(ts),
                       random() % (day == 1 ? 9 : 1) + (day == 0 ? static_cast<uint64_t>(i) : 0),
                       again && random() % 3 == 0 ? column::Op::kCancel : column::Op::kPut);
        SetValues(&builder, &random);
      }
      const std::vector<SourceBatch> sources = {{ShardId(0), builder.Build(), first}};
      InsertIntent intent = IntentFor(schema->name + std::to_string(day), schema, sources);
      intent.day = DayOf(Timestamp(kDayStart.ns() + day * 24 * kHour));
      ASSERT_EQ(history_->Insert(intent, sources), OkStatus());
    }
  }

  static void SetValues(column::BatchBuilder* builder, std::mt19937_64* random) {
    const auto below = [&](uint64_t n) { return static_cast<int64_t>((*random)() % n); };
    builder->SetText(kVenue, below(2) == 0 ? "P" : "Q");
    if (below(4) != 0)
      builder->SetInt(kPrice, below(5) == 0 ? -999'999'999'999'999'999 : below(50));
    if (below(4) != 0) {
      builder->SetInt(kSize, below(9) == 0 ? std::numeric_limits<int64_t>::min() / 1000 : below(9));
    }
    builder->SetInt(kBig, below(3) == 0 ? -1 : below(5));
    if (below(3) != 0) builder->SetInt(kAt, below(100));
    if (below(3) != 0) builder->SetText(kNote, below(2) == 0 ? "" : "x\xff\n");
    if (below(3) != 0) builder->SetFloat(kReal, static_cast<double>(below(1000)) * 0.37 - 100);
    builder->SetFloat(kNarrow, static_cast<double>(below(1000)) * 0.1);
    // Not 0: beside a negative value it would make a -0.0, which is left to rows.
    builder->SetFloat(kWeight, static_cast<double>(1 + below(1000)) / 3.0);
  }

  ReadRequest All() const {
    ReadRequest request = RequestFor(schema_, {"A", "B\t'"});
    request.max_version = Lsn(100'000);
    return request;
  }

  ReadRequest Pushed(std::vector<exec::ColumnCondition> conditions = {}) const {
    ReadRequest request = All();
    request.push_down = PushDown{{DayOf(Timestamp(kDayStart.ns() + 24 * kHour)),
                                  DayOf(Timestamp(kDayStart.ns() + 48 * kHour))},
                                 std::move(conditions)};
    return request;
  }

  using Key = std::tuple<std::string, int64_t, uint64_t, std::string>;
  static Key KeyAt(const ReadResult& rows, size_t i) {
    return {std::string(rows.batch.symbol.TextAt(i)), rows.batch.ts.At<int64_t>(i),
            rows.batch.seq.At<uint64_t>(i), std::string(rows.batch.columns[kVenue].TextAt(i))};
  }

  /// Rows that stay once versions are resolved.
  std::map<Key, size_t> Resolved(const ReadResult& all) const {
    std::map<Key, size_t> rows;
    for (size_t i = 0; i < all.batch.rows; ++i) {
      const auto [at, fresh] = rows.try_emplace(KeyAt(all, i), i);
      if (!fresh && all.versions[i] > all.versions[at->second]) at->second = i;
    }
    std::erase_if(
        rows, [&](const auto& row) { return all.batch.OpAt(row.second) == column::Op::kCancel; });
    return rows;
  }

  column::SchemaPtr schema_;
  std::unique_ptr<History> history_;
};

TEST_F(PushDownTest, ConditionsHoldForResolvedRowsAlone) {
  Fill(Schema("conditions"));
  const auto all = history_->Read(All());
  ASSERT_EQ(all.status(), OkStatus());
  const std::map<Key, size_t> resolved = Resolved(*all);
  ASSERT_LT(resolved.size(), all->batch.rows);
  constexpr exec::Int128 kFar = static_cast<exec::Int128>(1) << 100;
  const std::vector<std::pair<exec::ColumnCondition, std::function<bool(size_t)>>> cases = {
      {{kPrice, 10, kFar, false, {}},
       [&](size_t i) { return all->batch.columns[kPrice].At<int64_t>(i) >= 10; }},
      {{kPrice, -kFar, -999'999'999'999'999'999, false, {}},
       [&](size_t i) { return all->batch.columns[kPrice].At<int64_t>(i) < -10; }},
      {{kSize, 3, 3, true, {}},
       [&](size_t i) { return all->batch.columns[kSize].At<int64_t>(i) != 3; }},
      {{kBig, 3, kFar, false, {}},
       [&](size_t i) { return all->batch.columns[kBig].At<uint64_t>(i) >= 3; }},
      {{kAt, 50, 60, false, {}},
       [&](size_t i) {
         const auto at = all->batch.columns[kAt].At<int64_t>(i);
         return at >= 50 && at <= 60;
       }},
      {{kNote, 0, 0, false, {"x\xff\n", "never"}},
       [&](size_t i) { return all->batch.columns[kNote].TextAt(i) == "x\xff\n"; }},
      {{kVenue, 0, 0, false, {"P"}},
       [&](size_t i) { return all->batch.columns[kVenue].TextAt(i) == "P"; }},
      {{kSize, 1, 0, false, {}}, [&](size_t) { return false; }},
      {{kSize, 1, 0, true, {}}, [&](size_t) { return true; }},
  };
  for (const auto& [condition, holds] : cases) {
    SCOPED_TRACE(condition.column);
    std::vector<std::pair<Key, uint64_t>> expected;
    for (const auto& [key, i] : resolved) {
      if (all->batch.columns[condition.column].IsValid(i) && holds(i)) {
        expected.emplace_back(key, all->versions[i]);
      }
    }
    const auto read = history_->Read(Pushed({condition}));
    ASSERT_EQ(read.status(), OkStatus());
    std::vector<std::pair<Key, uint64_t>> got;
    for (size_t i = 0; i < read->batch.rows; ++i) {
      got.emplace_back(KeyAt(*read, i), read->versions[i]);
    }
    EXPECT_EQ(got, expected);
  }
}

/// Both totals as text; sums of floats rounded once.
std::string Said(const exec::ColumnTotals& total) {
  if (total.count() == 0) return "none";
  if (column::IsFloat(total.type().kind)) {
    return fmt::format("{} {} {} {}", total.count(), total.real().Value(), total.LeastReal(),
                       total.GreatestReal());
  }
  const auto wide = [](exec::Int128 v) {
    return fmt::format("{}:{}", static_cast<int64_t>(v >> 64), static_cast<uint64_t>(v));
  };
  return fmt::format("{} {} {} {}", total.count(), wide(total.integer()),
                     wide(total.LeastInteger()), wide(total.GreatestInteger()));
}

/// `got` is of `rows` without those that stay.
void CheckWeighted(const TotalsRequest& request, const ReadResult& all,
                   const std::vector<size_t>& rows, const std::set<size_t>& stay,
                   const exec::WeightedTotals& got) {
  const column::ColumnView& p = all.batch.columns[request.weighted->first];
  const column::ColumnView& w = all.batch.columns[request.weighted->second];
  exec::WeightedTotals want(p.type, w.type);
  for (const size_t i : rows) {
    if (stay.contains(i) || !p.IsValid(i) || !w.IsValid(i)) continue;
    want.Add(p.values.data() + i * 8, w.values.data() + i * 8, 1);
  }
  EXPECT_EQ(got.count(), want.count());
  EXPECT_TRUE(got.products() == want.products());
  EXPECT_TRUE(got.weights() == want.weights());
  EXPECT_EQ(got.real_products().Value(), want.real_products().Value());
  EXPECT_EQ(got.real_weights().Value(), want.real_weights().Value());
}

TEST_F(PushDownTest, TotalsAreThoseOfTheRows) {
  Fill(Schema("totals"));
  const auto all = history_->Read(All());
  ASSERT_EQ(all.status(), OkStatus());
  const std::map<Key, size_t> resolved = Resolved(*all);
  for (const bool floats : {false, true}) {
    for (const std::optional<Duration> interval :
         {std::optional<Duration>(), std::optional(Duration(5 * kHour))}) {
      TotalsRequest request;
      request.rows = Pushed();
      request.columns = {kPrice, kSize, kBig, kReal, kNarrow};
      request.weighted = floats ? std::pair<size_t, size_t>(kReal, kWeight)
                                : std::pair<size_t, size_t>(kPrice, kSize);
      request.ends = kPrice;
      request.interval = interval;
      request.origin = Timestamp(kHour + 7);
      // By symbol, venue and bar: rows in order.
      std::map<std::tuple<std::string, std::string, int64_t>, std::vector<size_t>> groups;
      for (const auto& [key, i] : resolved) {
        const auto& [symbol, ts, seq, venue] = key;
        groups[{symbol, venue, interval ? (ts - kHour - 7) / interval->ns() : 0}].push_back(i);
      }
      const auto got = history_->ReadTotals(request);
      ASSERT_EQ(got.status(), OkStatus());
      ASSERT_EQ(got->groups.size(), groups.size());
      auto at = got->groups.begin();
      for (const auto& [key, rows] : groups) {
        const TotalsGroup& group = *at++;
        const auto priced = [&](size_t i) { return all->batch.columns[kPrice].IsValid(i); };
        auto first = std::find_if(rows.begin(), rows.end(), priced);
        if (first == rows.end()) first = rows.begin();
        auto last = std::find_if(rows.rbegin(), rows.rend(), priced);
        if (last == rows.rend()) last = rows.rbegin();
        ASSERT_EQ(group.count, *first == *last ? 1U : 2U);
        ASSERT_EQ(group.rows + group.count, rows.size());
        EXPECT_EQ(got->ends.versions[group.first], all->versions[*first]);
        EXPECT_EQ(got->ends.versions[group.first + group.count - 1], all->versions[*last]);
        for (size_t c = 0; c < request.columns.size(); ++c) {
          const column::ColumnView& view = all->batch.columns[request.columns[c]];
          exec::ColumnTotals want(view.type);
          const size_t width = column::WidthOf(view.type.kind);
          for (const size_t i : rows) {
            if (i == *first || i == *last || !view.IsValid(i)) continue;
            want.Add(view.values.data() + i * width, 1);
          }
          // Extremes may be those of the rows that stay as well, which count again.
          exec::ColumnTotals have = group.columns[c];
          for (const size_t i : {*first, *last}) {
            if (!view.IsValid(i) || want.count() == 0) continue;
            want.Add(view.values.data() + i * width, 1);
            have.Add(view.values.data() + i * width, 1);
          }
          EXPECT_EQ(Said(have), Said(want)) << schema_->columns[request.columns[c]].name;
        }
        CheckWeighted(request, *all, rows, {*first, *last}, *group.weighted);
      }
    }
  }
}

TEST_F(PushDownTest, FloatsThatCannotBeAddedUpExactlyAreLeftToRows) {
  auto history = MakeClickHouseHistory(SharedServer().address());
  const std::vector<double> odd = {std::numeric_limits<double>::quiet_NaN(),
                                   std::numeric_limits<double>::infinity(),
                                   -0.0,
                                   1e-30,
                                   1e10,
                                   5e-324};
  for (size_t i = 0; i < odd.size(); ++i) {
    const auto schema = MakeSchema("odd_floats_" + std::to_string(i),
                                   {{ColumnId(), "x", {TypeKind::kFloat64}, false}});
    ASSERT_EQ(history->EnsureTable(*schema), OkStatus());
    column::BatchBuilder builder(schema);
    for (int row = 0; row < 5; ++row) {
      builder.AddRow("A", Timestamp(kDayStart.ns() + row), 0);
      builder.SetFloat(0, row == 2 ? odd[i] : 0.1);
    }
    const std::vector<SourceBatch> sources = {{ShardId(0), builder.Build(), Lsn(1)}};
    ASSERT_EQ(history->Insert(IntentFor(schema->name, schema, sources), sources), OkStatus());
    TotalsRequest request;
    request.rows = RequestFor(schema, {"A"});
    request.rows.max_version = Lsn(100);
    request.rows.push_down = PushDown{};
    request.columns = {0};
    EXPECT_EQ(history->ReadTotals(request).status().code(), absl::StatusCode::kUnimplemented)
        << odd[i];
  }
}

}  // namespace
}  // namespace proxist::history
