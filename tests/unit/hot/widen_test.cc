// Columns that become wider while their rows lie in memory.
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/hot/rows.h"

namespace proxist::hot {
namespace {

using column::TypeKind;

column::SchemaPtr Version(uint32_t version, TypeKind size, TypeKind price) {
  column::TableSchema schema;
  schema.id = kTable;
  schema.version = SchemaVersion(version);
  schema.name = "t";
  schema.columns = {{ColumnId(1), "venue", {TypeKind::kSymbol, 0}, false},
                    {ColumnId(2), "size", {size, 0}, true},
                    {ColumnId(3), "note", {TypeKind::kString, 0}, true},
                    {ColumnId(4), "price", {price, 0}, false}};
  schema.series = {0};
  return std::make_shared<const column::TableSchema>(schema);
}

struct Values {
  std::optional<int64_t> size;
  double price = 0;
  std::string note;
  bool operator==(const Values&) const = default;
};
using Rows = std::map<std::pair<int64_t, uint64_t>, Values>;

class WidenTest : public testing::Test {
 protected:
  void Write(const column::SchemaPtr& schema, int count, int64_t least, int64_t most) {
    column::BatchBuilder builder(schema);
    const Lsn first = lsn_.Next();
    for (int i = 0; i < count; ++i) {
      lsn_ = lsn_.Next();
      const bool again = !rows_.empty() && random_() % 5 == 0;
      std::pair<int64_t, uint64_t> key{clock_ += 1 + static_cast<int64_t>(random_() % 3), 1};
      if (again)
        key = std::next(rows_.begin(), static_cast<ptrdiff_t>(random_() % rows_.size()))->first;
      if (!keys_.insert(key).second) continue;
      builder.AddRow("A", Timestamp(key.first), key.second);
      Values values;
      builder.SetText(0, "x");
      if (random_() % 7 != 0) {
        values.size = least + static_cast<int64_t>(random_() % static_cast<uint64_t>(most - least));
        builder.SetInt(1, *values.size);
      }
      values.note = std::string(random_() % 20, 'n');
      builder.SetText(2, values.note);
      values.price = static_cast<float>(random_() % 1000) / 8;
      builder.SetFloat(3, values.price);
      rows_[key] = values;
    }
    keys_.clear();
    const column::Batch batch = builder.Build();
    lsn_ = Lsn(first.value() + batch.rows - 1);
    store_.Scatter(batch, first, Timestamp(0));
    store_.Publish(lsn_);
  }

  Rows Read(const column::TableSchema& schema) {
    ReadGuard guard = store_.Read();
    EXPECT_TRUE(guard.ReadAs(schema));
    std::vector<SeriesSnapshot> series;
    guard.SeriesOf(kTable, *store_.dictionary().Find("A"), &series);
    std::vector<RowRun> runs;
    SpanTotals totals;
    totals.columns.push_back({1, exec::ColumnTotals(schema.columns[1].type)});
    for (const SeriesSnapshot& one : series) {
      one.Runs(Timestamp::Min(), Timestamp::Max(), &runs);
      one.Totals(Timestamp::Min(), Timestamp::Max(), &totals);
    }
    Rows out;
    exec::Int128 sum = 0;
    for (const RowRun& run : runs) {
      for (uint32_t row = run.begin; row < run.end; ++row) {
        Values& values = out[{TimestampsOf(*run.block)[row], SeqsOf(*run.block)[row]}];
        values = ValuesAt(*run.block, row, schema);
        sum += values.size.value_or(0);
      }
    }
    exec::Int128 in_totals = totals.columns[0].total.integer();
    for (const RowRun& run : totals.runs) {
      for (uint32_t row = run.begin; row < run.end; ++row) {
        in_totals += ValuesAt(*run.block, row, schema).size.value_or(0);
      }
    }
    EXPECT_TRUE(in_totals == sum);
    totals_rows_ += totals.rows;
    return out;
  }

  static Values ValuesAt(const RowBlock& block, uint32_t row, const column::TableSchema& schema) {
    Values values;
    if (IsValid(block, 1, row)) {
      const TypeKind kind = schema.columns[1].type.kind;
      EXPECT_EQ(block.kind(1), kind);
      values.size = kind == TypeKind::kInt16   ? LoadAt<int16_t>(ValuesOf(block, 1), row)
                    : kind == TypeKind::kInt32 ? LoadAt<int32_t>(ValuesOf(block, 1), row)
                                               : LoadAt<int64_t>(ValuesOf(block, 1), row);
    }
    values.note = AsText(TextOf(block, 2, row));
    values.price = schema.columns[3].type.kind == TypeKind::kFloat32
                       ? LoadAt<float>(ValuesOf(block, 3), row)
                       : LoadAt<double>(ValuesOf(block, 3), row);
    return values;
  }

  std::mt19937_64 random_{3};
  Store store_{{.chunk_rows = 32, .overlay_compact_rows = 16, .huge_pages = false}};
  Lsn lsn_;
  int64_t clock_ = 0;
  uint64_t totals_rows_ = 0;
  Rows rows_;
  std::set<std::pair<int64_t, uint64_t>> keys_;
};

TEST_F(WidenTest, RowsOfAllVersionsReadAsTheNewest) {
  const auto narrow = Version(1, TypeKind::kInt16, TypeKind::kFloat32);
  const auto middle = Version(2, TypeKind::kInt32, TypeKind::kFloat32);
  const auto wide = Version(3, TypeKind::kInt64, TypeKind::kFloat64);
  Write(narrow, 300, -30'000, 30'000);
  EXPECT_EQ(Read(*narrow), rows_);
  ReadGuard early = store_.Read();
  store_.SetSchema(middle);
  EXPECT_FALSE(store_.Read().ReadAs(*narrow));
  EXPECT_EQ(Read(*middle), rows_);
  Write(narrow, 50, -30'000, 30'000);  // decoded before the change
  EXPECT_EQ(Read(*middle), rows_);
  Write(middle, 300, -2'000'000'000, 2'000'000'000);
  EXPECT_EQ(Read(*middle), rows_);
  Write(wide, 300, -4'000'000'000'000'000'000, 4'000'000'000'000'000'000);
  EXPECT_EQ(Read(*wide), rows_);
  store_.SetPersisted(lsn_);
  for (int step = 0; step < 1000 && store_.Maintain(); ++step) {
  }
  EXPECT_EQ(Read(*wide), rows_);
  Write(narrow, 100, -30'000, 30'000);
  EXPECT_EQ(Read(*wide), rows_);
  EXPECT_GT(totals_rows_, 500U);
}

TEST_F(WidenTest, AReaderOfTheOldVersionGoesOn) {
  const auto narrow = Version(1, TypeKind::kInt16, TypeKind::kFloat32);
  const auto wide = Version(2, TypeKind::kInt64, TypeKind::kFloat64);
  Write(narrow, 300, -30'000, 30'000);
  store_.SetPersisted(lsn_);
  ReadGuard guard = store_.Read();
  ASSERT_TRUE(guard.ReadAs(*narrow));
  const Rows before = rows_;
  Write(wide, 100, -4'000'000'000, 4'000'000'000);
  EXPECT_FALSE(guard.ShowsPlainly(*narrow));
  std::vector<SeriesSnapshot> series;
  guard.SeriesOf(kTable, *store_.dictionary().Find("A"), &series);
  std::vector<RowRun> runs;
  series.at(0).Runs(Timestamp::Min(), Timestamp::Max(), &runs);
  Rows out;
  for (const RowRun& run : runs) {
    for (uint32_t row = run.begin; row < run.end; ++row) {
      out[{TimestampsOf(*run.block)[row], SeqsOf(*run.block)[row]}] =
          ValuesAt(*run.block, row, *narrow);
    }
  }
  EXPECT_EQ(out, before);
}

}  // namespace
}  // namespace proxist::hot
