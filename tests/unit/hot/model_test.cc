// Random workloads against a list of all rows ever written.
#include <algorithm>
#include <list>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "proxist/hot/image.h"
#include "tests/unit/hot/rows.h"
#include "tests/unit/hot/spill_file.h"
#include "tests/unit/hot/totals_check.h"

namespace proxist::hot {
namespace {

constexpr int64_t kHour = 3'600'000'000'000;

struct ModelRow {
  int64_t ts;
  uint64_t seq;
  uint64_t lsn;
  column::Op op;
  auto operator<=>(const ModelRow&) const = default;
};
using Rows = std::vector<ModelRow>;

/// The rows that `cut` shows with low < ts <= high, resolved.
Rows Resolve(const Rows& all, uint64_t cut, int64_t low, int64_t high) {
  std::map<std::pair<int64_t, uint64_t>, ModelRow> newest;
  for (const ModelRow& row : all) {
    if (row.lsn > cut || row.ts <= low || row.ts > high) continue;
    const auto [at, fresh] = newest.try_emplace({row.ts, row.seq}, row);
    if (!fresh && row.lsn > at->second.lsn) at->second = row;
  }
  Rows out;
  for (const auto& [key, row] : newest) {
    if (row.op == column::Op::kPut) out.push_back(row);
  }
  return out;
}

class ModelTest : public testing::TestWithParam<int> {
 protected:
  using Name = std::pair<std::string, std::string>;
  struct Held {
    ReadGuard guard;
    std::map<Name, SeriesSnapshot> snapshots;
    Lsn persisted;
  };

  Rows Flatten(const std::vector<RowRun>& runs) {
    Rows out;
    for (const RowRun& run : runs) {
      EXPECT_LT(run.begin, run.end);
      for (uint32_t row = run.begin; row < run.end; ++row) {
        const RowBlock& block = *run.block;
        out.push_back({TimestampsOf(block)[row], SeqsOf(block)[row], LsnOf(block, row).value(),
                       OpOf(block, row)});
        // A sample of the cells: checking all of them at every read would take most of the time.
        const uint64_t lsn = LsnOf(block, row).value();
        for (size_t c = 1 + (lsn + step_) % 8; c < schema_->columns.size(); c += 8) {
          const auto kind = schema_->columns[c].type.kind;
          EXPECT_EQ(CheckCell(block, row, c, kind, store_->dictionary()), "") << "column " << c;
        }
      }
    }
    return out;
  }

  void CheckBoundary(const Rows& all, const SeriesSnapshot& snapshot, uint64_t cut) {
    const auto boundary = snapshot.Boundary();
    if (!boundary) return;
    ++known_boundaries_;
    Rows want = Resolve(all, cut, INT64_MIN, snapshot.floor().ns());
    if (!want.empty()) {
      const int64_t last = want.back().ts;
      std::erase_if(want, [last](const ModelRow& row) { return row.ts != last; });
    }
    ASSERT_EQ(Flatten({boundary->begin(), boundary->end()}), want);
  }

  void CheckSeries(const Name& name, const SeriesSnapshot& snapshot, uint64_t cut,
                   uint64_t persisted) {
    const Rows& all = model_[name];
    const int64_t floor = snapshot.floor().ns();
    const Rows whole = Resolve(all, cut, floor, INT64_MAX);
    std::vector<RowRun> runs;
    snapshot.Runs(Timestamp::Min(), Timestamp::Max(), &runs);
    ASSERT_EQ(Flatten(runs), whole);
    for (int i = 0; i < 3; ++i) {
      const int64_t from = i == 0 ? INT64_MIN : RandomTs();
      const int64_t to = RandomTs();
      uint64_t in_totals = 0;
      ASSERT_EQ(TotalsCheck(snapshot, *schema_).Run(Timestamp(from), Timestamp(to), &in_totals),
                "");
      runs.clear();
      snapshot.Runs(Timestamp(from), Timestamp(to), &runs);
      ASSERT_EQ(Flatten(runs),
                to <= from ? Rows{} : Resolve(all, cut, std::max(floor + 1, from) - 1, to - 1));
      CheckSteps(whole, snapshot, i == 0 ? INT64_MAX : from,
                 std::uniform_int_distribution<size_t>(1, 40)(random_));
    }
    CheckBoundary(all, snapshot, cut);
    std::vector<LateRow> late;
    snapshot.LateRows(Timestamp::Min(), Timestamp::Max(), Lsn(persisted), &late);
    Rows got;
    for (const LateRow& row : late) {
      got.push_back({TimestampsOf(*row.block)[row.row], SeqsOf(*row.block)[row.row],
                     LsnOf(*row.block, row.row).value(), OpOf(*row.block, row.row)});
    }
    Rows want;
    for (const ModelRow& row : all) {
      if (row.ts <= floor && row.lsn <= cut && row.lsn > persisted) want.push_back(row);
    }
    std::sort(want.begin(), want.end());
    ASSERT_EQ(got, want);
    late_rows_ += want.size();
  }

  void CheckSteps(const Rows& rows, const SeriesSnapshot& snapshot, int64_t at, size_t n) {
    std::optional<Timestamp> back;
    const auto end = std::upper_bound(rows.begin(), rows.end(), at,
                                      [](int64_t ts, const ModelRow& r) { return ts < r.ts; });
    if (static_cast<size_t>(end - rows.begin()) >= n)
      back = Timestamp((end - static_cast<ptrdiff_t>(n))->ts);
    ASSERT_EQ(snapshot.StepBack(Timestamp(at), n), back);
    std::optional<Timestamp> forward;
    const auto begin = std::lower_bound(rows.begin(), rows.end(), at,
                                        [](const ModelRow& r, int64_t ts) { return r.ts < ts; });
    if (static_cast<size_t>(rows.end() - begin) >= n) {
      forward = Timestamp((begin + static_cast<ptrdiff_t>(n) - 1)->ts);
    }
    ASSERT_EQ(snapshot.StepForward(Timestamp(at), n), forward);
  }

  std::map<Name, SeriesSnapshot> Snapshots(const ReadGuard& guard) {
    std::map<Name, SeriesSnapshot> out;
    std::vector<uint32_t> symbols;
    guard.SymbolsOf(kTable, &symbols);
    for (const uint32_t symbol : symbols) {
      std::vector<SeriesSnapshot> list;
      guard.SeriesOf(kTable, symbol, &list);
      std::string before;
      for (const SeriesSnapshot& snapshot : list) {
        EXPECT_EQ(snapshot.symbol_code(), symbol);
        const std::string venue(store_->dictionary().At(snapshot.series_codes()[0]));
        EXPECT_LT(before, venue);
        before = venue;
        out.emplace(Name(store_->dictionary().At(symbol), venue), snapshot);
      }
    }
    return out;
  }

  void CheckLastRows(const ReadGuard& guard) {
    std::vector<uint32_t> symbols;
    guard.SymbolsOf(kTable, &symbols);
    const int64_t at =
        moments_() % 3 == 0
            ? INT64_MAX
            : static_cast<int64_t>(moments_() % static_cast<uint64_t>(clock_ + 10)) * kHour;
    std::vector<LastRow> last(symbols.size());
    guard.LastRows(kTable, symbols, Timestamp(at), last.data());
    for (size_t i = 0; i < symbols.size(); ++i) {
      std::vector<SeriesSnapshot> list;
      guard.SeriesOf(kTable, symbols[i], &list);
      bool known = true;
      std::optional<ModelRow> want;
      for (const SeriesSnapshot& snapshot : list) {
        const std::string venue(store_->dictionary().At(snapshot.series_codes()[0]));
        const Rows rows = Resolve(model_[Name(store_->dictionary().At(symbols[i]), venue)],
                                  guard.cut().value(), snapshot.floor().ns(), at);
        if (rows.empty()) {
          known = known && snapshot.floor() == Timestamp::Min();
        } else if (!want.has_value() ||
                   std::tie(rows.back().ts, rows.back().seq) >= std::tie(want->ts, want->seq)) {
          want = rows.back();
        }
      }
      LastRow alone;
      guard.LastRows(kTable, {&symbols[i], 1}, Timestamp(at), &alone);
      for (const LastRow& found : {last[i], alone}) {
        ASSERT_EQ(found.known, known);
        if (!known) continue;
        ASSERT_EQ(found.run.block != nullptr, want.has_value());
        if (!want.has_value()) continue;
        ASSERT_EQ(Flatten({found.run}), Rows{*want});
      }
    }
  }

  Held Hold() {
    ReadGuard guard = store_->Read();
    auto snapshots = Snapshots(guard);
    const Lsn persisted = guard.persisted();
    return {std::move(guard), std::move(snapshots), persisted};
  }

  void CheckHeld(const Held& held) {
    CheckLastRows(held.guard);
    if (HasFatalFailure()) return;
    for (const auto& [name, snapshot] : held.snapshots) {
      CheckSeries(name, snapshot, held.guard.cut().value(), held.persisted.value());
      if (HasFatalFailure()) return;
    }
    // A late snapshot under an old guard has the old cut, and may use the old persisted LSN for
    // rows that were late already.
    for (const auto& [name, snapshot] : Snapshots(held.guard)) {
      CheckSeries(name, snapshot, held.guard.cut().value(), held.guard.persisted().value());
      if (HasFatalFailure()) return;
    }
  }

  int64_t RandomTs() {
    return std::uniform_int_distribution<int64_t>(0, clock_ + 10)(random_) * kHour;
  }
  bool OneIn(int n) { return random_() % static_cast<uint64_t>(n) == 0; }

  void ScatterBatch() {
    column::BatchBuilder builder(schema_);
    const auto count = std::uniform_int_distribution<int>(1, 40)(random_);
    std::set<std::tuple<Name, int64_t, uint64_t>> keys;
    std::set<Day> rewritten;
    Rows added;
    const uint64_t first = lsn_ + 1;
    std::vector<std::pair<Name, ModelRow>> rows;
    for (int i = 0; i < count; ++i) {
      const Name name(OneIn(3) ? "B" : "A", OneIn(4) ? "y" : (OneIn(9) ? "a" : "x"));
      if (OneIn(5)) ++clock_;
      int64_t hour =
          clock_ - (OneIn(3) ? std::uniform_int_distribution<int64_t>(0, 6)(random_) : 0);
      if (OneIn(15)) hour = std::uniform_int_distribution<int64_t>(0, clock_)(random_);
      ModelRow row{std::max<int64_t>(0, hour) * kHour, random_() % 6 + (OneIn(2) ? lsn_ : 0),
                   lsn_ + 1, OneIn(8) ? column::Op::kCancel : column::Op::kPut};
      const Rows& all = model_[name];
      if (!all.empty() && OneIn(6)) {
        const ModelRow& known = all[random_() % all.size()];
        row.ts = known.ts;
        row.seq = known.seq;
      }
      if (!keys.insert({name, row.ts, row.seq}).second) continue;
      const bool existed = std::any_of(all.begin(), all.end(), [&](const ModelRow& r) {
        return r.ts == row.ts && r.seq == row.seq;
      });
      if (existed || row.op == column::Op::kCancel || row.ts <= floors_[name]) {
        rewritten.insert(DayOf(Timestamp(row.ts)));
      }
      builder.AddRow(name.first, Timestamp(row.ts), row.seq, row.op);
      builder.SetText(0, name.second);
      SetCells(*schema_, row.lsn, &builder);
      rows.emplace_back(name, row);
      ++lsn_;
    }
    batches_.push_back({builder.Build(), Lsn(first), Timestamp(clock_)});
    const ScatterResult result =
        store_->Scatter(batches_.back().batch, Lsn(first), Timestamp(clock_));
    for (const auto& [name, row] : rows) model_[name].push_back(row);
    EXPECT_TRUE(std::is_sorted(result.rewritten_days.begin(), result.rewritten_days.end()));
    for (const Day day : rewritten) {
      EXPECT_TRUE(
          std::binary_search(result.rewritten_days.begin(), result.rewritten_days.end(), day));
    }
  }

  void Evict() {
    const Timestamp before(
        OneIn(20) ? INT64_MAX
                  : std::max<int64_t>(0, clock_ - static_cast<int64_t>(random_() % 60)) * kHour);
    const auto plan = store_->PlanEviction(kTable, before, Timestamp::Max());
    for (const SeriesRecord& record : plan) {
      const Name name(record.symbol, record.series[0]);
      EXPECT_GT(record.floor.ns(), floors_[name]);
      EXPECT_LT(record.floor, before);
      for (const ModelRow& row : model_[name]) {
        if (row.ts > floors_[name]) {
          EXPECT_TRUE(row.lsn <= store_->persisted().value() || row.ts > record.floor.ns());
        }
      }
      floors_[name] = record.floor.ns();
    }
    EXPECT_EQ(store_->Evict(kTable, plan).series, plan.size());
  }

  /// Places what is new now and then, and spills some of what is placed.
  void Spill() {
    if (OneIn(2)) files_.Place(store_.get());
    spilled_ += files_.Spill(store_.get(), [&](const SealedChunk&) { return OneIn(2); }).chunks;
    if (OneIn(4)) files_.Move();
  }

  /// A snapshot's bytes as far as it has been read.
  struct Image {
    std::unique_ptr<StoreImage> reader;
    std::vector<std::vector<std::byte>> series;
    std::map<uint64_t, std::vector<std::byte>> chunks;  // by id; what a chunk file would hold
    size_t batches = 0;                                 // that the cut holds
  };
  std::unique_ptr<Image> BeginImage(const Image* previous) {
    auto image = std::make_unique<Image>();
    image->reader = std::make_unique<StoreImage>(store_.get());
    image->batches = batches_.size();
    if (previous != nullptr) image->chunks = previous->chunks;
    return image;
  }
  /// Reads one series; false at the end. A chunk that an earlier image held is not encoded again.
  bool ReadSome(Image* image) {
    StoredSeries* stored = image->reader->Next();
    if (stored == nullptr) return false;
    for (size_t i = 0; i < stored->chunks.size(); ++i) {
      std::vector<std::byte>& bytes = image->chunks[stored->chunks[i].id];
      if (!bytes.empty()) {
        ++chunks_known_;
        continue;
      }
      stored->chunks[i].place.checksum = image->reader->EncodeChunk(i, &bytes);
    }
    EncodeStoredSeries(*stored, &image->series.emplace_back());
    return true;
  }
  /// What a restart does: strings, floors as recorded, the image, then the batches above its cut.
  void Recover(const Image& image) {
    const Lsn persisted = store_->persisted();
    const Lsn published = store_->published();
    std::vector<std::string> strings;
    for (uint32_t i = 0; i < image.reader->strings(); ++i) {
      strings.emplace_back(image.reader->TextOf(i));
    }
    const std::vector<std::string_view> views(strings.begin(), strings.end());
    const uint64_t next_chunk = image.reader->next_chunk();
    const Timestamp max_ts = image.reader->tables()[0].max_ts;
    const Lsn cut = image.reader->cut();
    store_ = NewStore();
    files_ = {};  // a chunk made after the image may have another content now
    store_->SetSchema(schema_);
    ImageLoader loader(store_.get());
    ASSERT_TRUE(loader.AddStrings(views).ok());
    for (const auto& [name, floor] : floors_) {
      if (floor == INT64_MIN) continue;
      store_->RestoreSeries(kTable, {name.first, {name.second}, Timestamp(floor)});
    }
    store_->Publish(cut);
    store_->SetPersisted(persisted);
    loader.SetNextChunk(next_chunk);
    ASSERT_TRUE(loader.AddTable(*schema_, max_ts).ok());
    for (const auto& bytes : image.series) {
      ByteReader in(bytes, "series");
      const auto series = DecodeStoredSeries(&in);
      ASSERT_TRUE(series.ok()) << series.status();
      ASSERT_EQ(in.remaining(), 0U);
      const Status added =
          loader.AddSeries(*series, cut, [&](const StoredChunk& chunk) -> StatusOr<ChunkBytes> {
            const std::vector<std::byte>& bytes = image.chunks.at(chunk.id);
            if (OneIn(2)) return ChunkBytes(bytes);
            const auto file = std::make_shared<const env::CopiedFile>(bytes);
            return ChunkBytes(file->bytes(), file);
          });
      ASSERT_TRUE(added.ok()) << added;
    }
    for (size_t i = image.batches; i < batches_.size(); ++i) {
      store_->Scatter(batches_[i].batch, batches_[i].first, batches_[i].now);
      while (store_->Maintain()) {
      }
    }
    store_->Publish(published);
  }

  struct Floors : std::map<Name, int64_t> {
    int64_t& operator[](const Name& name) { return try_emplace(name, INT64_MIN).first->second; }
  };

  column::SchemaPtr schema_ = EveryType();
  static std::unique_ptr<Store> NewStore() {
    return std::make_unique<Store>(StoreOptions{.chunk_rows = GetParam() % 2 == 0 ? 5 : kChunkRows,
                                                .overlay_compact_rows = 6,
                                                .max_readers = 8,
                                                .huge_pages = false});
  }
  std::unique_ptr<Store> store_ = NewStore();
  std::map<Name, Rows> model_;
  Floors floors_;
  std::mt19937_64 random_{static_cast<uint64_t>(GetParam())};
  std::mt19937_64 moments_;  // to ask about; apart, so that they do not change what happens
  uint64_t lsn_ = 0;
  int64_t clock_ = 0;
  uint64_t known_boundaries_ = 0;
  uint64_t late_rows_ = 0;
  uint64_t step_ = 0;
  struct Batch {
    column::Batch batch;
    Lsn first;
    Timestamp now;
  };
  std::vector<Batch> batches_;  // all of them
  SpillFiles files_;
  uint64_t spilled_ = 0;
  uint64_t chunks_known_ = 0;
};

TEST_P(ModelTest, EveryReaderSeesItsCut) {
  store_->SetSchema(schema_);
  std::list<Held> held;
  for (int step = 0; step < 400; ++step) {
    ++step_;
    ScatterBatch();
    if (OneIn(3)) ScatterBatch();
    if (!OneIn(4)) store_->Publish(Lsn(lsn_));
    if (OneIn(3)) {
      const uint64_t from = store_->persisted().value();
      store_->SetPersisted(Lsn(from + random_() % (store_->published().value() - from + 1)));
    }
    if (OneIn(8)) Evict();
    if (OneIn(8)) Spill();
    if (OneIn(2)) {
      for (int i = 0; i < 100 && store_->Maintain(); ++i) {
      }
    }
    if (OneIn(6) && held.size() < 3) held.push_back(Hold());
    if (!held.empty() && OneIn(7))
      held.erase(std::next(held.begin(), static_cast<ptrdiff_t>(random_() % held.size())));
    if (step % 5 == 0) {
      CheckHeld(Hold());
      ASSERT_FALSE(HasFatalFailure()) << "step " << step;
      for (const Held& reader : held) {
        CheckHeld(reader);
        ASSERT_FALSE(HasFatalFailure()) << "step " << step << " held";
      }
    }
    ASSERT_FALSE(HasFailure()) << "step " << step;
  }
  EXPECT_GT(known_boundaries_, 100U);
  EXPECT_GT(late_rows_, 0U);
  EXPECT_GT(spilled_, 0U);
}

TEST_P(ModelTest, ARestartFromAnImageGoesOnAsIfNothingHadBeen) {
  store_->SetSchema(schema_);
  std::unique_ptr<Image> image;  // being read
  std::unique_ptr<Image> whole;  // the last one
  int restarts = 0;
  for (int step = 0; step < 400; ++step) {
    ++step_;
    ScatterBatch();
    store_->Publish(Lsn(lsn_));
    if (OneIn(3)) {
      const uint64_t from = store_->persisted().value();
      store_->SetPersisted(Lsn(from + random_() % (lsn_ - from + 1)));
    }
    if (OneIn(8)) Evict();
    if (OneIn(8)) Spill();
    for (int i = 0; OneIn(2) && i < 10 && store_->Maintain(); ++i) {
    }
    if (image == nullptr && OneIn(10)) image = BeginImage(whole.get());
    // The writer goes on between two series.
    if (image != nullptr && !ReadSome(image.get())) whole = std::move(image);
    if (whole != nullptr && OneIn(25)) {
      image = nullptr;
      Recover(*whole);
      whole = nullptr;
      ++restarts;
    }
    if (step % 5 == 0) CheckHeld(Hold());
    ASSERT_FALSE(HasFailure()) << "step " << step;
  }
  EXPECT_GT(restarts, 3);
  EXPECT_GT(known_boundaries_, 20U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ModelTest, testing::Range(1, 9));

}  // namespace
}  // namespace proxist::hot
