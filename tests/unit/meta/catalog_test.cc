// Tables through the catalog: versions, names, restarts.
#include "proxist/meta/catalog.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/base/bytes.h"
#include "tests/unit/meta/scratch_directory.h"

namespace proxist::meta {
namespace {

using column::SchemaPtr;
using column::TableSchema;
using ::testing::HasSubstr;

TableSchema Table(std::string name, int columns = 1) {
  TableSchema schema;
  schema.name = std::move(name);
  for (int i = 0; i < columns; ++i) {
    schema.columns.push_back({ColumnId(), fmt::format("c{}", i), {column::TypeKind::kInt64}, true});
  }
  return schema;
}

class CatalogTest : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen() {
    catalog_.reset();
    store_.reset();
    store_ = OpenSqliteStore(directory_.File("meta.db")).value();
    auto catalog = Catalog::Open(store_.get());
    ASSERT_TRUE(catalog.ok()) << catalog.status();
    catalog_ = *std::move(catalog);
  }

  ScratchDirectory directory_;
  std::unique_ptr<MetadataStore> store_;
  std::unique_ptr<Catalog> catalog_;
};

TEST_F(CatalogTest, CreatesEvolvesAndSurvivesReopen) {
  const SchemaPtr first = catalog_->Apply(Table("trades", 1), "ann").value();
  EXPECT_EQ(first->id, TableId(1));
  EXPECT_EQ(first->version, SchemaVersion(1));
  const SchemaPtr other = catalog_->Apply(Table("quotes", 1), "ann").value();
  EXPECT_EQ(other->id, TableId(2));
  const SchemaPtr second = catalog_->Apply(Table("trades", 2), "bob").value();
  EXPECT_EQ(second->id, TableId(1));
  EXPECT_EQ(second->version, SchemaVersion(2));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(*catalog_->Find("default", "trades").value(), *second);
    EXPECT_EQ(*catalog_->Find(TableId(1)), *second);
    EXPECT_EQ(*catalog_->Find(TableId(1), SchemaVersion(1)).value(), *first);
    EXPECT_EQ(*catalog_->Find(TableId(1), SchemaVersion(2)).value(), *second);
    EXPECT_EQ(catalog_->Find(TableId(3)), nullptr);
    const auto tables = catalog_->Tables();
    ASSERT_EQ(tables.size(), 2u);
    EXPECT_EQ(tables[0]->name, "quotes");
    EXPECT_EQ(tables[1]->name, "trades");
    Reopen();
  }
  EXPECT_EQ(catalog_->Apply(Table("third"), "ann").value()->id, TableId(3));
}

TEST_F(CatalogTest, UnchangedContentMakesNoRevision) {
  const SchemaPtr first = catalog_->Apply(Table("trades"), "ann").value();
  const std::vector<Mutation> probe{{"probe", "x", {}}};
  const Revision before = store_->Apply(probe, "test", "").value();
  EXPECT_EQ(*catalog_->Apply(Table("trades"), "bob").value(), *first);
  EXPECT_EQ(store_->Apply(probe, "test", "").value(), before.Next());
}

TEST_F(CatalogTest, RefusedChangesLeaveTheTable) {
  const SchemaPtr first = catalog_->Apply(Table("trades", 2), "ann").value();
  EXPECT_EQ(catalog_->Apply(Table("trades", 1), "ann").status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(catalog_->Apply(Table("Trades"), "ann").status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(*catalog_->Find("default", "trades").value(), *first);
  EXPECT_EQ(catalog_->Tables().size(), 1u);
}

TEST_F(CatalogTest, MissingTablesNameTheOthers) {
  EXPECT_EQ(Message(catalog_->Find("default", "x").status()),
            "table 'x' does not exist in tenant 'default'; tables: none");
  TableSchema foreign = Table("secret");
  foreign.tenant = "desk";
  ASSERT_TRUE(catalog_->Apply(foreign, "ann").ok());
  for (int i = 0; i < 22; ++i) {
    ASSERT_TRUE(catalog_->Apply(Table(fmt::format("t{:02}", i)), "ann").ok());
  }
  const Status missing = catalog_->Find("default", "x").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(Message(missing)), HasSubstr("tables: t00, t01"));
  EXPECT_THAT(std::string(Message(missing)), HasSubstr("t19 and 2 more"));
  EXPECT_THAT(std::string(Message(missing)), Not(HasSubstr("secret")));
  EXPECT_EQ(Message(catalog_->Find(TableId(9), SchemaVersion(4)).status()),
            "metadata has no version 4 of the table with id 9");
}

TEST_F(CatalogTest, DamagedSchemaIsReportedAtOpen) {
  ASSERT_TRUE(catalog_->Apply(Table("trades"), "ann").ok());
  const std::vector<Mutation> damage{{"resource/table/default/trades", "junk", {}}};
  ASSERT_TRUE(store_->Apply(damage, "test", "").ok());
  EXPECT_TRUE(catalog_->Find("default", "trades").ok());
  const Status status = Catalog::Open(store_.get()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(Message(status)), HasSubstr("resource/table/default/trades"));
}

}  // namespace
}  // namespace proxist::meta
