// One writer and four readers: each reader sees exactly the rows at or below its cut.
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "proxist/hot/image.h"
#include "proxist/hot/store.h"
#include "tests/unit/hot/rows.h"
#include "tests/unit/hot/spill_file.h"
#include "tests/unit/hot/totals_check.h"

namespace proxist::hot {
namespace {

constexpr uint64_t kBatches = 200;
constexpr uint64_t kBatchRows = 50;

/// Rows come in pairs in reverse order of time; every ninth one cancels the row 60 before it in its
/// series, every eleventh one corrects it.
struct Planned {
  int64_t ts;
  column::Op op;
};
Planned PlanOf(uint64_t lsn) {
  if (lsn > 60 && lsn % 9 == 0) return {PlanOf(lsn - 60).ts, column::Op::kCancel};
  if (lsn > 60 && lsn % 11 == 0) return {PlanOf(lsn - 60).ts, column::Op::kPut};
  return {static_cast<int64_t>((lsn ^ 1) * 10), column::Op::kPut};
}

/// Images that another thread reads, one at a time, slowly: what it shows goes meanwhile.
class SlowImages {
 public:
  ~SlowImages() { Join(); }
  /// On the writer's thread; does nothing while one is being read.
  void Begin(const Store* store) {
    if (thread_.joinable() && !done_.load()) return;
    Join();
    done_ = false;
    ++begun_;
    thread_ = std::thread([this, image = std::make_unique<StoreImage>(store)] {
      while (const StoredSeries* series = image->Next()) {
        for (size_t i = 0; i < series->chunks.size(); ++i) {
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
          std::vector<std::byte> chunk;
          image->EncodeChunk(i, &chunk);
          const auto shown = DescribeBlock(chunk);
          if (!shown.ok() || shown->max_lsn > image->cut()) ++wrong_;
        }
      }
      done_ = true;
    });
  }
  void Join() {
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] int begun() const { return begun_; }
  [[nodiscard]] int wrong() const { return wrong_; }

 private:
  std::thread thread_;
  std::atomic<bool> done_{true};
  std::atomic<int> wrong_{0};
  int begun_ = 0;
};

void WriteAll(Store* store, const column::SchemaPtr& schema) {
  SlowImages images;
  SpillFiles files;
  uint64_t spilled = 0;
  uint64_t lsn = 0;
  for (uint64_t batch = 0; batch < kBatches; ++batch) {
    column::BatchBuilder builder(schema);
    const uint64_t first = lsn + 1;
    for (uint64_t i = 0; i < kBatchRows; ++i) {
      ++lsn;
      builder.AddRow("A", Timestamp(PlanOf(lsn).ts), 0, PlanOf(lsn).op);
      builder.SetText(0, "x");
      SetCells(*schema, lsn, &builder);
    }
    store->Scatter(builder.Build(), Lsn(first), Timestamp(0));
    if (batch % 3 != 1) store->Publish(Lsn(lsn));
    if (batch % 4 == 3) store->SetPersisted(Lsn(store->published().value() - 20));
    store->Maintain();
    if (batch % 7 == 6) images.Begin(store);
    if (batch % 6 == 5) {
      files.Place(store);
      spilled += files.Spill(store, [](const SealedChunk& c) { return c.id % 3 != 0; }).chunks;
    }
    if (batch % 10 == 9) {
      const Timestamp before(static_cast<int64_t>(lsn - 600) * 10);
      if (lsn > 600) store->Evict(kTable, store->PlanEviction(kTable, before, Timestamp::Max()));
    }
  }
  store->Publish(Lsn(lsn));
  images.Join();
  EXPECT_GT(images.begun(), 1);
  EXPECT_EQ(images.wrong(), 0);
  EXPECT_GT(spilled, 0U);
}

/// ts to the LSN whose row is seen there at `cut`, above `floor`.
std::map<int64_t, uint64_t> Expected(uint64_t cut, int64_t floor) {
  std::map<int64_t, uint64_t> rows;
  const uint64_t begin = cut > 2000 ? cut - 2000 : 1;
  for (uint64_t lsn = begin; lsn <= cut; ++lsn) {
    const Planned row = PlanOf(lsn);
    if (row.ts > floor) rows[row.ts] = lsn;
  }
  std::erase_if(rows, [](const auto& row) { return PlanOf(row.second).op != column::Op::kPut; });
  return rows;
}

void CheckOnce(const Store& store, const column::TableSchema& schema, std::atomic<int>* wrong) {
  const ReadGuard guard = store.Read();
  const auto symbol = store.dictionary().Find("A");
  if (!symbol) return;
  std::vector<SeriesSnapshot> list;
  guard.SeriesOf(kTable, *symbol, &list);
  if (list.empty()) return;
  uint64_t in_totals = 0;
  const Timestamp least(static_cast<int64_t>(guard.cut().value() / 2));
  if (!TotalsCheck(list[0], schema).Run(least, Timestamp::Max(), &in_totals).empty()) ++*wrong;
  std::vector<RowRun> runs;
  list[0].Runs(Timestamp::Min(), Timestamp::Max(), &runs);
  auto want = Expected(guard.cut().value(), list[0].floor().ns());
  for (const RowRun& run : runs) {
    for (uint32_t row = run.begin; row < run.end; ++row) {
      const auto at = want.find(TimestampsOf(*run.block)[row]);
      if (at == want.end() || at->second != LsnOf(*run.block, row).value()) {
        ++*wrong;
        continue;
      }
      for (size_t c = 1 + LsnOf(*run.block, row).value() % 16; c < schema.columns.size(); c += 16) {
        if (!CheckCell(*run.block, row, c, schema.columns[c].type.kind, store.dictionary())
                 .empty()) {
          ++*wrong;
        }
      }
      want.erase(at);
    }
  }
  *wrong += static_cast<int>(want.size());
  const auto boundary = list[0].Boundary();
  if (boundary && !boundary->empty()) {
    const RowBlock& block = *boundary->front().block;
    if (TimestampsOf(block)[0] > list[0].floor().ns()) ++*wrong;
    if (LsnOf(block, 0) > guard.cut()) ++*wrong;
  }
}

TEST(ConcurrentTest, ReadersSeeExactlyTheirCut) {
  const auto schema = EveryType();
  // Fewer slots than readers and an image: they also wait for one another.
  Store store(StoreOptions{.overlay_compact_rows = 32, .max_readers = 4, .huge_pages = false});
  store.SetSchema(schema);
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  std::atomic<int> reads{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] {
      while (!done.load()) {
        CheckOnce(store, *schema, &wrong);
        ++reads;
      }
      CheckOnce(store, *schema, &wrong);
    });
  }
  WriteAll(&store, schema);
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_GT(reads.load(), 0);
  while (store.Maintain()) {
  }
}

}  // namespace
}  // namespace proxist::hot
