// A store whose batches two threads scatter holds what one does that scatters alone.
#include <random>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "proxist/hot/store.h"
#include "tests/unit/hot/rows.h"

namespace proxist::hot {
namespace {

constexpr size_t kSymbols = 400;

column::SchemaPtr Trades() {
  column::TableSchema schema = *Quotes();
  schema.id = TableId(8);
  schema.name = "trades";
  schema.columns.push_back({ColumnId(6), "note", {column::TypeKind::kSymbol, 0}, true});
  return std::make_shared<const column::TableSchema>(schema);
}

/// Mostly new rows of many series; some late, corrections and cancels.
class Feed {
 public:
  explicit Feed(column::SchemaPtr schema) : schema_(std::move(schema)) {}

  column::Batch Next(size_t rows) {
    column::BatchBuilder builder(schema_);
    std::vector<std::pair<int64_t, uint64_t>> keys;
    for (size_t i = 0; i < rows; ++i) {
      const uint64_t n = ++rows_;
      int64_t ts = static_cast<int64_t>(n) * 10;
      uint64_t seq = n;
      column::Op op = column::Op::kPut;
      std::string symbol = "S" + std::to_string(Mix(n) % kSymbols);
      const uint64_t draw = random_() % 100;
      if (draw < 3) ts = std::max<int64_t>(1, ts - 5000);
      if (draw >= 95 && n > 3000) {
        // A key of an earlier batch again; each at most once in a batch.
        const uint64_t old = n - 2000;
        std::tie(ts, seq) = std::make_tuple(static_cast<int64_t>(old) * 10, old);
        symbol = "S" + std::to_string(Mix(old) % kSymbols);
        if (draw == 99) op = column::Op::kCancel;
      }
      builder.AddRow(symbol, Timestamp(ts), seq, op);
      builder.SetText(0, n % 3 == 0 ? "X" : "Y");
      for (size_t c = 1; c < 4; ++c) builder.SetInt(c, static_cast<int64_t>(Mix(n + c) >> 8));
      builder.SetFloat(4, static_cast<double>(n) / 7);
      if (schema_->columns.size() > 5 && n % 5 == 0) builder.SetText(5, "n" + std::to_string(n));
    }
    return builder.Build();
  }

 private:
  column::SchemaPtr schema_;
  std::mt19937_64 random_{42};
  uint64_t rows_ = 0;
};

using Row = std::tuple<uint32_t, uint32_t, uint64_t, int64_t, uint64_t, uint64_t, int64_t>;

/// Every row that is seen: its series, chunk, key, LSN and a value.
std::vector<Row> RowsOf(const Store& store, TableId table) {
  std::vector<Row> rows;
  const ReadGuard guard = store.Read();
  for (size_t s = 0; s < kSymbols; ++s) {
    const auto symbol = store.dictionary().Find("S" + std::to_string(s));
    if (!symbol) continue;
    std::vector<SeriesSnapshot> list;
    guard.SeriesOf(table, *symbol, &list);
    for (const SeriesSnapshot& series : list) {
      std::vector<RowRun> runs;
      series.Runs(Timestamp::Min(), Timestamp::Max(), &runs);
      for (const RowRun& run : runs) {
        for (uint32_t row = run.begin; row < run.end; ++row) {
          rows.emplace_back(*symbol, series.series_codes()[0], run.block->id(),
                            TimestampsOf(*run.block)[row], SeqsOf(*run.block)[row],
                            LsnOf(*run.block, row).value(),
                            LoadAt<int64_t>(ValuesOf(*run.block, 1), row));
        }
      }
    }
  }
  return rows;
}

class ScatterTest : public testing::TestWithParam<bool> {};

TEST_P(ScatterTest, TwoThreadsDoWhatOneDoes) {
  const column::SchemaPtr schema = GetParam() ? Quotes() : Trades();
  Store alone({.chunk_rows = 16, .huge_pages = false, .rows_beside = 0});
  Store shared({.chunk_rows = 16, .huge_pages = false, .rows_beside = 50});
  Feed feed(schema);
  uint64_t lsn = 0;
  for (Store* store : {&alone, &shared}) store->SetSchema(schema);
  for (const size_t rows : {3000, 1000, 40, 1000, 1500, 60, 2000, 1000, 700, 1000}) {
    const column::Batch batch = feed.Next(rows);
    std::vector<ScatterResult> results;
    for (Store* store : {&alone, &shared}) {
      results.push_back(store->Scatter(batch, Lsn(lsn + 1), Timestamp(0)));
      store->Publish(Lsn(lsn + rows));
      while (store->Maintain()) {
      }
    }
    EXPECT_EQ(results[0].new_series, results[1].new_series);
    EXPECT_EQ(results[0].rewritten_days, results[1].rewritten_days);
    lsn += rows;
    const std::vector<Row> seen = RowsOf(shared, schema->id);
    ASSERT_EQ(RowsOf(alone, schema->id), seen);
    ASSERT_GT(seen.size(), lsn * 8 / 10);
  }
  EXPECT_EQ(alone.StatsOf(schema->id).rows, shared.StatsOf(schema->id).rows);
}

INSTANTIATE_TEST_SUITE_P(Schemas, ScatterTest, testing::Bool(), [](const auto& info) {
  return info.param ? "PlainColumns" : "ColumnsWithCodes";
});

}  // namespace
}  // namespace proxist::hot
