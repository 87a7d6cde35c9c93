// The block of an insert against rows that are selected and sorted one by one.
#include "proxist/history/insert_block.h"

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "proxist/history/internal/native_reader.h"
#include "proxist/history/internal/row_selection.h"
#include "tests/unit/history/shared_server.h"

namespace proxist::history {
namespace {

using column::Op;
using column::TypeKind;

// In the order of the columns of Versions::after.
constexpr size_t kLots = 0;
constexpr size_t kVenue = 1;
constexpr size_t kNote = 2;
constexpr size_t kTag = 3;
constexpr size_t kFlag = 4;

/// What a row must look like in the block.
struct Row {
  std::string symbol;
  int64_t ts;
  uint64_t seq;
  std::string venue;
  uint64_t version;
  int64_t lots;
  std::optional<std::string> note;
  std::optional<std::string> tag;
  std::optional<bool> flag;
  uint16_t shard;
  bool deleted;
  int64_t published;
  bool operator==(const Row&) const = default;
};

bool Before(const Row& a, const Row& b) {
  return std::tie(a.symbol, a.ts, a.seq, a.venue, a.version) <
         std::tie(b.symbol, b.ts, b.seq, b.venue, b.version);
}

/// A table before and after columns were added and one was widened.
struct Versions {
  column::SchemaPtr before;
  column::SchemaPtr after;
};

Versions MakeVersions(column::SeqMode seq, column::Versions kept) {
  column::TableSchema first = *MakeSchema("blocks",
                                          {{ColumnId(), "lots", {TypeKind::kInt16}, false},
                                           {ColumnId(), "venue", {TypeKind::kSymbol}, false}},
                                          {kVenue}, seq);
  first.versions = kept;
  const auto before = std::make_shared<const column::TableSchema>(first);
  column::TableSchema declared = *before;
  declared.columns[kLots].type = {TypeKind::kInt64};
  declared.columns.push_back({ColumnId(), "note", {TypeKind::kString}, true});
  declared.columns.push_back({ColumnId(), "tag", {TypeKind::kSymbol}, true});
  declared.columns.push_back({ColumnId(), "flag", {TypeKind::kBool}, true});
  return {before, column::Evolve(before, declared, before->id).value()};
}

/// Sources with random rows, an intent for some of them, and what its block must hold.
class Case {
 public:
  Case(uint64_t seed, column::SeqMode seq, column::Versions kept)
      : random_(seed), versions_(MakeVersions(seq, kept)), late_(Chance(2)) {
    intent_.schema = versions_.after;
    intent_.day = DayOf(kDayStart);
    std::vector<uint64_t> next = {1, 1000};
    const size_t batches = 1 + Below(6);
    for (size_t i = 0; i < batches; ++i) AddBatch(&next);
    std::stable_sort(expected_.begin(), expected_.end(), Before);
  }

  [[nodiscard]] const InsertIntent& intent() const { return intent_; }
  [[nodiscard]] const std::vector<SourceBatch>& sources() const { return sources_; }
  [[nodiscard]] const std::vector<Row>& expected() const { return expected_; }

 private:
  uint64_t Below(uint64_t end) { return random_() % end; }
  bool Chance(uint64_t of) { return Below(of) == 0; }

  /// All rows of a batch, or those between two, or every second one.
  std::vector<bool> Choose(size_t rows) {
    std::vector<bool> chosen(rows, true);
    const uint64_t how = Below(4);
    const size_t from = Below(rows);
    for (size_t i = 0; i < rows; ++i) {
      if (how == 0) chosen[i] = i >= from && i < from + 10;
      if (how == 1) chosen[i] = i % 2 == 0;
    }
    return chosen;
  }

  void AddBatch(std::vector<uint64_t>* next) {
    const bool old = Chance(3);
    const auto shard = static_cast<uint16_t>(Below(2));
    const bool assigned = versions_.after->seq == column::SeqMode::kAssigned;
    const size_t rows = 1 + Below(40);
    const uint64_t first = (*next)[shard];
    (*next)[shard] += rows + Below(3);
    const auto published = static_cast<int64_t>(1000 + sources_.size());
    const std::vector<bool> chosen = Choose(rows);
    column::BatchBuilder builder(old ? versions_.before : versions_.after);
    for (size_t i = 0; i < rows; ++i) {
      Row row;
      row.symbol = "S" + std::to_string(Below(4));
      clock_ += static_cast<int64_t>(Below(3));
      row.ts = kDayStart.ns() + (late_ ? static_cast<int64_t>(Below(20)) : clock_);
      if (Chance(20)) row.ts += int64_t{86'400} * 1'000'000'000;  // the next day's
      row.version = first + i;
      row.seq = assigned ? row.version : late_ ? Below(3) : ++seq_;
      row.venue = std::string(Below(3), 'v');  // one is empty
      row.shard = shard;
      row.deleted = !assigned && Chance(10);
      row.published = published;
      builder.AddRow(row.symbol, Timestamp(row.ts), row.seq, row.deleted ? Op::kCancel : Op::kPut);
      if (!row.venue.empty() || Chance(2)) builder.SetText(kVenue, row.venue);
      Fill(&row, old, &builder);
      const bool in_day = DayOf(Timestamp(row.ts)) == intent_.day;
      if (chosen[i]) intent_.ranges.push_back({ShardId(shard), Lsn(first + i), Lsn(first + i)});
      if (chosen[i] && in_day) expected_.push_back(row);
    }
    sources_.push_back({ShardId(shard), builder.Build(), Lsn(first), Timestamp(published)});
  }

  void Fill(Row* row, bool old, column::BatchBuilder* builder) {
    row->lots = 0;
    if (row->deleted) return;
    row->lots = static_cast<int64_t>(Below(100)) - 50;
    builder->SetInt(kLots, row->lots);
    if (old) return;
    if (Chance(2)) builder->SetText(kNote, *(row->note = std::string(Below(4), 'n')));
    if (Chance(2)) builder->SetText(kTag, *(row->tag = std::string(Below(3), 't')));
    if (Chance(2)) builder->SetInt(kFlag, *(row->flag = Chance(2)) ? 1 : 0);
  }

  std::mt19937_64 random_;
  Versions versions_;
  const bool late_;  // rows come in no order
  int64_t clock_ = 0;
  uint64_t seq_ = 0;
  InsertIntent intent_;
  std::vector<SourceBatch> sources_;
  std::vector<Row> expected_;
};

std::vector<Row> Decode(const column::TableSchema& schema, const std::vector<std::byte>& block) {
  NativeReader reader(HistoryColumns(schema));
  const Status status = reader.Append(block, 1'000'000);
  EXPECT_EQ(status, OkStatus());
  std::vector<column::ColumnView> views;
  for (const NativeColumn& column : reader.columns()) views.push_back(column.View());
  const auto declared = [&](size_t column) -> const column::ColumnView& {
    return views[3 + column];
  };
  const size_t behind = 3 + schema.columns.size();
  std::vector<Row> rows;
  for (size_t i = 0; i < reader.rows(); ++i) {
    Row row;
    row.symbol = views[0].TextAt(i);
    row.ts = views[1].At<int64_t>(i);
    row.seq = views[2].At<uint64_t>(i);
    row.lots = declared(kLots).At<int64_t>(i);
    row.venue = declared(kVenue).TextAt(i);
    if (declared(kNote).IsValid(i)) row.note = declared(kNote).TextAt(i);
    if (declared(kTag).IsValid(i)) row.tag = declared(kTag).TextAt(i);
    const auto flag = declared(kFlag).At<uint8_t>(i);
    if (declared(kFlag).IsValid(i)) {
      row.flag = flag != 0;
    } else {
      EXPECT_EQ(flag, 0) << "what stands in the place of a null is zero";
    }
    row.version = views[behind].At<uint64_t>(i);
    row.shard = views[behind + 1].At<uint16_t>(i);
    row.deleted = views[behind + 2].At<uint8_t>(i) != 0;
    row.published =
        schema.versions == column::Versions::kAll ? views[behind + 3].At<int64_t>(i) : 0;
    rows.push_back(std::move(row));
  }
  return rows;
}

TEST(InsertBlock, HoldsTheRowsOfItsIntentInOrder) {
  size_t compared = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    const auto seq = seed % 3 == 0 ? column::SeqMode::kAssigned : column::SeqMode::kProducer;
    const auto kept = seed % 2 == 0 ? column::Versions::kAll : column::Versions::kLatest;
    const Case made(seed, seq, kept);
    // Memory of an earlier block, smaller or larger, of which nothing may be left.
    std::vector<std::byte> reused(seed % 5 * 2000, std::byte{0xab});
    const std::vector<std::byte> block =
        EncodeInsertBlock(made.intent(), made.sources(), std::move(reused));
    EXPECT_EQ(CountRows(made.intent(), made.sources()), made.expected().size());
    ASSERT_EQ(block.empty(), made.expected().empty());
    if (block.empty()) continue;
    std::vector<Row> expected = made.expected();
    if (kept != column::Versions::kAll) {
      for (Row& row : expected) row.published = 0;
    }
    const std::vector<Row> rows = Decode(*made.intent().schema, block);
    ASSERT_EQ(rows.size(), expected.size());
    for (size_t i = 0; i < rows.size(); ++i) ASSERT_TRUE(rows[i] == expected[i]) << "row " << i;
    compared += rows.size();
  }
  EXPECT_GT(compared, 10'000U);
}

TEST(InsertBlock, IsEmptyWithoutRows) {
  const Case made(1, column::SeqMode::kProducer, column::Versions::kLatest);
  const SelectedRows none{&made.sources().front(), {}, 0};
  EXPECT_TRUE(EncodeSelectedRows(*made.intent().schema, {&none, 1}).empty());
  EXPECT_TRUE(EncodeSelectedRows(*made.intent().schema, {}).empty());
}

}  // namespace
}  // namespace proxist::history
