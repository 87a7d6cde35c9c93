// Tables that several threads declare at once.
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "proxist/meta/catalog.h"
#include "tests/unit/meta/scratch_directory.h"

namespace proxist::meta {
namespace {

using column::SchemaPtr;

column::TableSchema Table(std::string name) {
  column::TableSchema schema;
  schema.name = std::move(name);
  schema.columns.push_back({ColumnId(), "c0", {column::TypeKind::kInt64}, true});
  return schema;
}

TEST(CatalogConcurrentTest, EachTableGetsOneId) {
  const ScratchDirectory directory;
  const std::string path = directory.File("meta.db");
  auto store = OpenSqliteStore(path).value();
  auto first = Catalog::Open(store.get()).value();
  auto second = Catalog::Open(store.get()).value();
  const std::vector<Catalog*> catalogs{first.get(), first.get(), second.get()};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < catalogs.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 8; ++i) {
        const auto shared = catalogs[t]->Apply(Table(fmt::format("shared{}", i)), "ann");
        EXPECT_TRUE(shared.ok()) << shared.status();
        const auto own = catalogs[t]->Apply(Table(fmt::format("own{}_{}", t, i)), "ann");
        EXPECT_TRUE(own.ok()) << own.status();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  first.reset();
  second.reset();
  store.reset();
  store = OpenSqliteStore(path).value();
  first = Catalog::Open(store.get()).value();
  std::set<TableId> ids;
  for (const SchemaPtr& table : first->Tables()) {
    ids.insert(table->id);
    EXPECT_EQ(table->version, SchemaVersion(1)) << table->name;
  }
  EXPECT_EQ(ids.size(), 8u + 24u);
  EXPECT_EQ(ids.rbegin()->value(), 32u);
}

}  // namespace
}  // namespace proxist::meta
