// Retention floors over a metadata store whose writes fail now and then.
#include "proxist/server/history_floors.h"

#include <gtest/gtest.h>

#include "tests/unit/meta/scratch_directory.h"

namespace proxist::server {
namespace {

constexpr Timestamp kNoon{1'700'000'000'000'000'000};

class SetClock final : public env::Clock {
 public:
  [[nodiscard]] Timestamp Now() const override { return now; }
  [[nodiscard]] Duration Monotonic() const override { return Duration(now.ns()); }
  Timestamp now = kNoon;
};

/// The real store, but for writes that change a key which contains `failing`.
class FailingStore final : public meta::MetadataStore {
 public:
  explicit FailingStore(const std::string& path) : store_(*meta::OpenSqliteStore(path)) {}
  StatusOr<meta::Entry> Get(std::string_view key) override { return store_->Get(key); }
  StatusOr<std::vector<meta::Entry>> List(std::string_view prefix) override {
    return store_->List(prefix);
  }
  StatusOr<Revision> Apply(std::span<const meta::Mutation> mutations, std::string_view author,
                           std::string_view reason) override {
    for (const meta::Mutation& mutation : mutations) {
      if (!failing.empty() && mutation.key.find(failing) != std::string::npos) {
        return Unavailable("disk I/O error");
      }
    }
    return store_->Apply(mutations, author, reason);
  }
  StatusOr<std::unique_ptr<meta::Watch>> Subscribe(
      std::string_view prefix, std::function<void(const meta::Event&)> on_event) override {
    return store_->Subscribe(prefix, std::move(on_event));
  }
  std::string failing;

 private:
  const std::unique_ptr<meta::MetadataStore> store_;
};

class HistoryFloorsTest : public ::testing::Test {
 protected:
  HistoryFloorsTest() : store_(scratch_.File("meta.db")) { Open(); }
  void Open() {
    floors_.reset();
    catalog_ = *meta::Catalog::Open(&store_);
    auto opened = HistoryFloors::Open(&store_, catalog_.get(), &clock_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    floors_ = std::move(*opened);
  }
  StatusOr<column::SchemaPtr> Declare(const std::string& name, int64_t days) {
    column::TableSchema table;
    table.name = name;
    table.columns = {{ColumnId(1), "price", {column::TypeKind::kFloat64, 0}, false}};
    table.history_retain = Duration::Days(days);
    return floors_->Declare(catalog_.get(), table, "ann", column::Drops::kRefused);
  }
  [[nodiscard]] Timestamp DaysAgo(int64_t days) const {
    return StartOf(DayOf(clock_.now.Minus(Duration::Days(days))));
  }

  meta::ScratchDirectory scratch_;
  FailingStore store_;
  SetClock clock_;
  std::unique_ptr<meta::Catalog> catalog_;
  std::unique_ptr<HistoryFloors> floors_;
};

TEST_F(HistoryFloorsTest, ADeclarationStandsOrFallsWithItsFloor) {
  store_.failing = "retention/";
  EXPECT_TRUE(absl::IsUnavailable(Declare("ticks", 3).status()));
  EXPECT_TRUE(catalog_->Tables().empty());
  EXPECT_TRUE(floors_->All().empty());
  store_.failing.clear();
  const TableId ticks = (*Declare("ticks", 3))->id;
  EXPECT_EQ(floors_->Of(ticks), DaysAgo(3));

  // The same of a shorter retention: the table keeps the old one, and its floor.
  store_.failing = "retention/";
  EXPECT_TRUE(absl::IsUnavailable(Declare("ticks", 1).status()));
  EXPECT_EQ(catalog_->Find(ticks)->history_retain, Duration::Days(3));
  EXPECT_EQ(floors_->Of(ticks), DaysAgo(3));
  store_.failing.clear();
  Open();
  EXPECT_EQ(floors_->Of(ticks), DaysAgo(3));
  ASSERT_TRUE(Declare("ticks", 1).ok());
  EXPECT_EQ(floors_->Of(ticks), DaysAgo(1));

  // A floor that a refused write asked for is nobody's.
  store_.failing = "resource/table/";
  EXPECT_TRUE(absl::IsUnavailable(Declare("trades", 1).status()));
  store_.failing.clear();
  Open();
  EXPECT_EQ(floors_->All().size(), 1U);
}

TEST_F(HistoryFloorsTest, FloorsNeverGoDown) {
  const TableId ticks = (*Declare("ticks", 2))->id;
  const Timestamp reached = floors_->Of(ticks);
  ASSERT_TRUE(Declare("ticks", 9).ok());
  clock_.now = clock_.now.Minus(Duration::Days(5));
  EXPECT_TRUE(floors_->Advance().ok());
  EXPECT_EQ(floors_->Of(ticks), reached);
  ASSERT_TRUE(Declare("ticks", 0).ok());
  Open();
  EXPECT_EQ(floors_->Of(ticks), reached);
}

TEST_F(HistoryFloorsTest, OneThatFailsKeepsNoOtherBackAndIsTriedAgain) {
  const TableId first = (*Declare("first", 2))->id;
  const TableId second = (*Declare("second", 4))->id;
  clock_.now = clock_.now.Plus(Duration::Days(1));
  store_.failing = fmt::format("retention/{}", first.value());
  EXPECT_FALSE(floors_->Advance().ok());
  EXPECT_NE(floors_->last_error().find("disk I/O error"), std::string::npos);
  EXPECT_EQ(floors_->Of(first), DaysAgo(3));
  EXPECT_EQ(floors_->Of(second), DaysAgo(4));
  store_.failing.clear();
  EXPECT_TRUE(floors_->Advance().ok());
  EXPECT_EQ(floors_->last_error(), "");
  EXPECT_EQ(floors_->Of(first), DaysAgo(2));
}

}  // namespace
}  // namespace proxist::server
