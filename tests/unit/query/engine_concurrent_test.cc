// Queries on several threads beside the shard's writer: each answer is of one moment, whole
// batches, never going back.
#include <atomic>
#include <functional>
#include <thread>

#include <gtest/gtest.h>

#include "tests/unit/query/world.h"

namespace proxist::query {
namespace {

using column::TypeKind;

constexpr int64_t kBatches = 150;
constexpr int64_t kBatchRows = 40;

column::SchemaPtr Ticks() {
  static const column::SchemaPtr schema = [] {
    column::TableSchema s;
    s.name = "concurrent_ticks";
    s.columns = {{ColumnId(1), "price", {TypeKind::kFloat64, 0}, false},
                 {ColumnId(2), "size", {TypeKind::kInt64, 0}, false}};
    return ApplyTable(std::move(s));
  }();
  return schema;
}

/// Batch n has rows of one symbol; each says n, half of them stand before the rows of the batch
/// before. In the middle it waits for readers, until `seen` says so.
void WriteAll(hot::Store* store, const std::function<bool()>& seen) {
  uint64_t lsn = 0;
  for (int64_t n = 1; n <= kBatches; ++n) {
    while (n > kBatches / 2 && !seen()) std::this_thread::yield();
    column::BatchBuilder builder(Ticks());
    for (int64_t i = 0; i < kBatchRows; ++i) {
      const int64_t late = i % 2 == 0 ? 0 : 3 * kBatchRows;
      builder.AddRow("AIG", Timestamp(1'000'000 + n * kBatchRows + i - late), ++lsn,
                     column::Op::kPut);
      builder.SetFloat(0, static_cast<double>(n));
      builder.SetInt(1, n);
    }
    store->Scatter(builder.Build(), Lsn(lsn - kBatchRows + 1), Timestamp(0));
    store->Publish(Lsn(lsn));
    store->Maintain();
  }
}

Selection All() {
  Selection from;
  from.table = Ticks()->name;
  from.symbols = {"AIG"};
  return from;
}

int64_t Number(const std::string& text) { return text.empty() ? 0 : std::stoll(text); }

/// The batches that an answer saw, or -1 when it is not of one moment.
int64_t SeenByBars(World* world) {
  Bars bars;
  bars.from = All();
  bars.aggregates = {"count", "sum(size)", "max(size)"};
  const StatusOr<Answer> answer = world->Ask({bars, std::nullopt});
  if (!answer.ok()) return -1;
  if (answer->rows.empty()) return 0;
  const std::vector<std::string>& row = answer->rows.front();
  const int64_t n = Number(row[row.size() - 1]);
  const bool whole = Number(row[row.size() - 3]) == n * kBatchRows &&
                     Number(row[row.size() - 2]) == n * (n + 1) / 2 * kBatchRows;
  return whole ? n : -1;
}

int64_t SeenByRange(World* world) {
  Range range;
  range.from = All();
  range.columns = {"size"};
  const StatusOr<Answer> answer = world->Ask({range, std::nullopt});
  if (!answer.ok()) return -1;
  int64_t last = 0;
  std::string before;
  for (const auto& row : answer->rows) {
    last = std::max(last, Number(row.back()));
    if (!before.empty() && Number(before) >= Number(row[1])) return -1;
    before = row[1];
  }
  return answer->rows.size() == static_cast<size_t>(last * kBatchRows) ? last : -1;
}

int64_t SeenByAsof(World* world) {
  Asof asof;
  asof.left = All();
  AsofRight& right = asof.rights.emplace_back();
  right.from = All();
  asof.columns = {"size"};
  right.columns = {"size"};
  const StatusOr<Answer> answer = world->Ask({asof, std::nullopt});
  if (!answer.ok()) return -1;
  int64_t last = 0;
  for (const auto& row : answer->rows) {
    if (row[3] != row[4]) return -1;
    last = std::max(last, Number(row[3]));
  }
  return answer->rows.size() == static_cast<size_t>(last * kBatchRows) ? last : -1;
}

int64_t SeenByLast(World* world) {
  LastBy last;
  last.from = All();
  last.columns = {"size"};
  const StatusOr<Answer> answer = world->Ask({last, std::nullopt});
  if (!answer.ok()) return -1;
  return answer->rows.empty() ? 0 : Number(answer->rows.front().back());
}

int64_t SeenByRolling(World* world) {
  Rolling rolling;
  rolling.from = All();
  rolling.window_rows = 3;
  rolling.aggregates = {"vwap", "max(size)", "ema(price, 0.5)"};
  rolling.columns = {"size"};
  const StatusOr<Answer> answer = world->Ask({rolling, std::nullopt});
  if (!answer.ok()) return -1;
  int64_t last = 0;
  for (const auto& row : answer->rows) last = std::max(last, Number(row[3]));
  return answer->rows.size() == static_cast<size_t>(last * kBatchRows) ? last : -1;
}

TEST(EngineConcurrentTest, AnswersAreOfOneMomentAndNeverGoBack) {
  World world(1, false, false, 16);
  world.shard(0).writer().SetSchema(Ticks());
  const std::vector<int64_t (*)(World*)> queries{SeenByBars, SeenByRange, SeenByAsof, SeenByLast,
                                                 SeenByRolling};
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  std::atomic<int> between{0};
  std::vector<std::thread> readers;
  for (size_t r = 0; r < 3; ++r) {
    readers.emplace_back([&, r] {
      int64_t before = 0;
      for (size_t i = r; !done.load(); ++i) {
        const int64_t seen = queries[i % queries.size()](&world);
        if (seen < before) ++wrong;
        if (seen > 0 && seen < kBatches) ++between;
        before = std::max(before, seen);
      }
    });
  }
  WriteAll(&world.shard(0).writer(), [&] { return between.load() + wrong.load() > 0; });
  for (int64_t (*query)(World*) : queries) EXPECT_EQ(query(&world), kBatches);
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_GT(between.load(), 0);
}

}  // namespace
}  // namespace proxist::query
