// Totals of long spans against loops: extreme values, nulls, evictions, corrections, cuts, levels.
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/hot/rows.h"
#include "tests/unit/hot/totals_check.h"

namespace proxist::hot {
namespace {

using column::TypeKind;

/// `price` and `size` of the given types, and columns whose sums need care.
column::SchemaPtr Trades(column::Type price, column::Type size, bool with_extra = true) {
  column::TableSchema schema;
  schema.id = kTable;
  schema.version = SchemaVersion(with_extra ? 2 : 1);
  schema.name = "trades";
  schema.columns = {{ColumnId(1), "name", {TypeKind::kSymbol, 0}, true},
                    {ColumnId(2), "price", price, true},
                    {ColumnId(3), "size", size, true}};
  if (with_extra) {
    schema.columns.push_back({ColumnId(4), "real", {TypeKind::kFloat64, 0}, true});
    schema.columns.push_back({ColumnId(5), "wide", {TypeKind::kUint64, 0}, true});
    schema.columns.push_back({ColumnId(6), "small", {TypeKind::kFloat32, 0}, true});
    schema.columns.push_back({ColumnId(7), "byte", {TypeKind::kInt8, 0}, true});
    schema.columns.push_back({ColumnId(8), "long", {TypeKind::kInt64, 0}, true});
  }
  return std::make_shared<const column::TableSchema>(schema);
}
column::SchemaPtr DecimalTrades() { return Trades({TypeKind::kDecimal, 4}, {TypeKind::kInt64, 0}); }
column::SchemaPtr FloatTrades() { return Trades({TypeKind::kFloat64, 0}, {TypeKind::kFloat32, 0}); }

class TotalsTest : public testing::Test {
 protected:
  /// Values near the ends of their types, zeros of both signs, nulls, now and then NaN and
  /// infinity.
  void SetNumbers(const column::TableSchema& schema, column::BatchBuilder* builder) {
    for (size_t c = 1; c < schema.columns.size(); ++c) {
      if (OneIn(6)) continue;
      const TypeKind kind = schema.columns[c].type.kind;
      if (column::IsFloat(kind)) {
        builder->SetFloat(c, RandomReal(kind));
      } else if (kind == TypeKind::kDecimal) {
        builder->SetInt(c, static_cast<int64_t>(random_() % 1'999'999'999'999'999'999) -
                               999'999'999'999'999'999);
      } else if (schema.columns[c].name == "size") {
        // Products of 20,000 rows stay within 128 bits.
        builder->SetInt(c, static_cast<int64_t>(random_()) >> 20);
      } else if (kind == TypeKind::kInt64 && OneIn(2)) {
        builder->SetInt(c, OneIn(2) ? std::numeric_limits<int64_t>::max()
                                    : std::numeric_limits<int64_t>::min());
      } else {
        builder->SetInt(c, kind == TypeKind::kInt8 ? static_cast<int8_t>(random_())
                                                   : static_cast<int64_t>(random_()));
      }
    }
  }
  double RandomReal(TypeKind kind) {
    if (specials_ && OneIn(400)) {
      const double infinity = std::numeric_limits<double>::infinity();
      return OneIn(3) ? std::nan("") : (OneIn(2) ? infinity : -infinity);
    }
    if (OneIn(8)) return OneIn(2) ? 0.0 : -0.0;
    const auto mantissa = static_cast<double>(static_cast<int64_t>(random_()) >> 12);
    const int exponent = static_cast<int>(random_() % (wide_ ? 2000 : 40)) - (wide_ ? 1050 : 60);
    const double value = std::ldexp(mantissa, exponent);
    return kind == TypeKind::kFloat32 ? static_cast<float>(std::ldexp(mantissa, exponent % 40))
                                      : value;
  }
  bool OneIn(uint64_t n) { return random_() % n == 0; }

  /// `rows` rows, one a second from clock_ on, published.
  void Append(const column::SchemaPtr& schema, size_t rows) {
    column::BatchBuilder builder(schema);
    for (size_t i = 0; i < rows; ++i) {
      builder.AddRow("A", Timestamp(1'000'000'000 * ++clock_), 0);
      SetNumbers(*schema, &builder);
    }
    Scatter(&builder, rows);
  }
  void Scatter(column::BatchBuilder* builder, size_t rows) {
    store_.Scatter(builder->Build(), Lsn(lsn_ + 1), Timestamp(clock_));
    lsn_ += rows;
    store_.Publish(Lsn(lsn_));
  }
  void Rewrite(const column::SchemaPtr& schema, int64_t second, column::Op op) {
    column::BatchBuilder builder(schema);
    builder.AddRow("A", Timestamp(1'000'000'000 * second), 0, op);
    SetNumbers(*schema, &builder);
    Scatter(&builder, 1);
  }

  static SeriesSnapshot Snapshot(const Store& store, const ReadGuard& guard) {
    std::vector<SeriesSnapshot> list;
    guard.SeriesOf(kTable, *store.dictionary().Find("A"), &list);
    return list.at(0);
  }
  /// Random spans agree; returns the greatest number of rows that totals stood for.
  uint64_t Check(const ReadGuard& guard, const column::SchemaPtr& schema, int spans = 20) {
    const SeriesSnapshot snapshot = Snapshot(store_, guard);
    const TotalsCheck check(snapshot, *schema);
    uint64_t most = 0;
    for (int i = 0; i < spans; ++i) {
      Timestamp from(1'000'000'000 * static_cast<int64_t>(random_() % (clock_ + 1)));
      Timestamp to(1'000'000'000 * static_cast<int64_t>(random_() % (clock_ + 1)));
      if (to < from) std::swap(from, to);
      if (i == 0) from = Timestamp::Min();
      if (i == 0) to = Timestamp::Max();
      uint64_t rows = 0;
      EXPECT_EQ(check.Run(from, to, &rows), "") << from.ns() << ' ' << to.ns();
      most = std::max(most, rows);
    }
    return most;
  }
  uint64_t Check(const column::SchemaPtr& schema, int spans = 20) {
    const ReadGuard guard = store_.Read();
    return Check(guard, schema, spans);
  }
  void MaintainAll() {
    while (store_.Maintain()) {
    }
  }

  Store store_{{.overlay_compact_rows = 32, .max_readers = 8, .huge_pages = false}};
  std::mt19937_64 random_{11};
  uint64_t lsn_ = 0;
  int64_t clock_ = 0;
  bool specials_ = true;
  bool wide_ = false;
};

TEST_F(TotalsTest, IntegersBeyond64BitsAndNullsAreExact) {
  const auto schema = DecimalTrades();
  Append(schema, 20'000);
  EXPECT_GT(Check(schema), 15'000U);
}

TEST_F(TotalsTest, FloatsAreExactAndNansStayInTheirChunks) {
  const auto schema = FloatTrades();
  Append(schema, 20'000);
  EXPECT_GT(Check(schema), 15'000U);
  // One NaN, then none: windows after it know nothing of it.
  specials_ = false;
  Append(schema, 20'000);
  const ReadGuard guard = store_.Read();
  SpanTotals totals;
  totals.columns.push_back({3, exec::ColumnTotals({TypeKind::kFloat64, 0})});
  Snapshot(store_, guard).Totals(Timestamp(20'001'000'000'000), Timestamp::Max(), &totals);
  EXPECT_GT(totals.rows, 18'000U);
  EXPECT_TRUE(std::isfinite(totals.columns[0].total.real().Value()));
}

TEST_F(TotalsTest, SumsThatThreeDoublesDoNotHoldAreReadRowByRow) {
  wide_ = true;
  specials_ = false;  // a NaN is held
  const auto schema = FloatTrades();
  Append(schema, 6'000);
  EXPECT_EQ(Check(schema, 10), 0U);
  // Columns that are not asked for do not stand in the way.
  const ReadGuard guard = store_.Read();
  SpanTotals totals;
  totals.columns.push_back({6, exec::ColumnTotals({TypeKind::kInt8, 0})});
  Snapshot(store_, guard).Totals(Timestamp::Min(), Timestamp::Max(), &totals);
  EXPECT_GT(totals.rows, 5'000U);
}

TEST_F(TotalsTest, ThousandsOfChunksNeedFewNodes) {
  const auto schema = DecimalTrades();
  // A leap of the LSN beyond a chunk's reach starts a new chunk, so that few rows make many.
  for (int chunk = 0; chunk < 4'300; ++chunk) {
    Append(schema, 1 + random_() % 3);
    lsn_ += uint64_t{1} << 33;
  }
  EXPECT_GT(Check(schema, 30), 8'000U);
  // An eviction within a node of every level leaves the others right.
  store_.SetPersisted(Lsn(lsn_));
  const auto evict = [&](int64_t second) {
    const Timestamp before(1'000'000'000 * second);
    store_.Evict(kTable, store_.PlanEviction(kTable, before, Timestamp::Max()));
  };
  evict(137);
  EXPECT_GT(Check(schema), 7'000U);
  evict(1'501);
  EXPECT_GT(Check(schema), 5'000U);
  for (int chunk = 0; chunk < 4'300; ++chunk) {  // the list is replaced by a larger one
    Append(schema, 1);
    lsn_ += uint64_t{1} << 33;
  }
  EXPECT_GT(Check(schema, 30), 8'000U);
}

TEST_F(TotalsTest, OverlayRowsInTheMiddleOfAChunkCount) {
  const auto schema = DecimalTrades();
  Append(schema, 10'000);
  const ReadGuard before = store_.Read();
  for (int i = 0; i < 20; ++i) {
    Rewrite(schema, 1 + static_cast<int64_t>(random_() % 10'000),
            OneIn(2) ? column::Op::kPut : column::Op::kCancel);
  }
  EXPECT_GT(Check(schema), 1'000U);
  EXPECT_GT(Check(before, schema), 7'000U);
}

TEST_F(TotalsTest, CompactedChunksHaveTotals) {
  const auto schema = DecimalTrades();
  Append(schema, 20'000);
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 1'500; ++i) {
      Rewrite(schema, 1 + static_cast<int64_t>(random_() % 20'000),
              OneIn(3) ? column::Op::kCancel : column::Op::kPut);
    }
    store_.SetPersisted(Lsn(lsn_));
    MaintainAll();
    Append(schema, 700);
    if (round == 3) {
      const Timestamp cold(5'000'000'000'000);
      store_.Evict(kTable, store_.PlanEviction(kTable, cold, Timestamp::Max()));
    }
    Check(schema, 8);
  }
  for (int i = 0; i < 10 && store_.StatsOf(kTable).overlay_rows > 32; ++i) MaintainAll();
  ASSERT_LE(store_.StatsOf(kTable).overlay_rows, 32U);
  EXPECT_GT(Check(schema), 8'000U);
}

TEST_F(TotalsTest, RowsAboveTheCutAreInNoTotal) {
  const auto schema = DecimalTrades();
  Append(schema, 5'000);
  const ReadGuard early = store_.Read();
  Append(schema, 30'000);
  const uint64_t rows = Check(early, schema);
  EXPECT_GT(rows, 3'000U);
  EXPECT_LE(rows, 5'000U);
  EXPECT_GT(Check(schema), 20'000U);
}

TEST_F(TotalsTest, ChunksOlderThanAColumnCountAsNulls) {
  const column::Type price{TypeKind::kFloat64, 0};
  const column::Type size{TypeKind::kFloat32, 0};
  specials_ = false;
  const auto before = Trades(price, size, false);
  Append(before, 20'000);
  const auto after = Trades(price, size);
  store_.SetSchema(after);
  Append(after, 20'000);
  EXPECT_GT(Check(after), 35'000U);
}

TEST_F(TotalsTest, TheirBytesAreCountedAndGivenBack) {
  const auto schema = DecimalTrades();
  Append(schema, 200'000);
  const uint64_t full = store_.StatsOf(kTable).bytes;
  store_.SetPersisted(Lsn(lsn_));
  store_.Evict(kTable, store_.PlanEviction(kTable, Timestamp::Max(), Timestamp::Max()));
  MaintainAll();
  Append(schema, 1'000);
  Append(schema, 200'000);
  store_.SetPersisted(Lsn(lsn_));
  store_.Evict(kTable, store_.PlanEviction(kTable, Timestamp::Max(), Timestamp::Max()));
  MaintainAll();
  EXPECT_GT(full, 200'000U * 40);
  // What stays are the nodes of the last list, one for 64 chunks, and the boundary.
  EXPECT_LT(store_.StatsOf(kTable).bytes, full / 100);
}

}  // namespace
}  // namespace proxist::hot
