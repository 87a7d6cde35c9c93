// A lookup answers as the engine does, whatever memory holds by then.
#include "proxist/query/lookup.h"

#include <map>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/query/random_plan.h"
#include "tests/unit/query/world.h"

namespace proxist::query {
namespace {

column::SchemaPtr Quotes() {
  static const column::SchemaPtr schema = ApplyTable(RandomQuotesTable());
  return schema;
}

/// A world that goes on while lookups stay open.
class LookupWorld {
 public:
  explicit LookupWorld(uint64_t seed)
      : random_(seed), plans_(&random_, Quotes(), Quotes()), world_(1 + seed % 2) {
    world_.AddTable(Quotes());
  }

  void Run() {
    std::vector<std::string> fixed;
    for (const column::ColumnDef& def : Quotes()->columns) {
      if (def.type.kind != column::TypeKind::kString) fixed.push_back(def.name);
    }
    Open(fixed);
    Open({});
    for (int step = 0; step < 12; ++step) {
      const std::vector<ModelRow> rows = plans_.Rows(Quotes(), 1 + plans_.Below(12));
      for (const ModelRow& row : rows) symbols_.push_back(row.symbol);
      world_.Publish(Quotes(), rows);
      if (plans_.Below(3) == 0) world_.PersistAll();
      if (plans_.Below(4) == 0) world_.Evict(Quotes(), plans_.Bound());
      for (Lookup& lookup : lookups_) CheckSome(&lookup);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }

 private:
  void Open(const std::vector<std::string>& columns) {
    LastBy op;
    op.from.table = Quotes()->name;
    op.columns = columns;
    StatusOr<Lookup> lookup = Lookup::Make(&world_.engine(), op, {});
    ASSERT_TRUE(lookup.ok()) << lookup.status();
    lookups_.push_back(*std::move(lookup));
    plans_of_.push_back(op);
  }

  void CheckSome(Lookup* lookup) {
    for (int i = 0; i < 8; ++i) {
      LastBy op = plans_of_[static_cast<size_t>(lookup - lookups_.data())];
      op.from.symbols = {i == 0 ? "absent" : symbols_[plans_.Below(symbols_.size())]};
      op.at = i == 1 ? Timestamp::Max() : Timestamp(plans_.Time());
      const StatusOr<Answer> expected = world_.Ask({op, std::nullopt});
      ASSERT_TRUE(expected.ok()) << expected.status();
      auto& resolved = resolved_.try_emplace(op.from.symbols[0], op.from.symbols[0]).first->second;
      const StatusOr<const ResultBatch*> found =
          i % 2 == 0 ? lookup->Find(op.from.symbols[0], op.at) : lookup->Find(&resolved, op.at);
      ASSERT_TRUE(found.ok()) << found.status();
      Answer answer;
      AppendBatch(**found, &answer);
      ASSERT_EQ(FormatAnswer(answer), FormatAnswer(*expected)) << op.from.symbols[0];
    }
  }

  std::mt19937_64 random_;
  RandomPlans plans_;
  World world_;
  std::vector<Lookup> lookups_;
  std::vector<LastBy> plans_of_;
  std::vector<std::string> symbols_;
  std::map<std::string, Lookup::Symbol> resolved_;
};

TEST(LookupTest, AnswersAsTheEngineDoes) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    LookupWorld(seed).Run();
    if (HasFatalFailure()) return;
  }
}

TEST(LookupTest, SaysWhatIsWrongWithThePlan) {
  World world;
  world.AddTable(Quotes());
  LastBy op;
  op.from.table = "no_such_table";
  EXPECT_EQ(Lookup::Make(&world.engine(), op, {}).status().code(), absl::StatusCode::kNotFound);
  op.from.table = Quotes()->name;
  op.columns = {"no_such_column"};
  EXPECT_EQ(Lookup::Make(&world.engine(), op, {}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace proxist::query
