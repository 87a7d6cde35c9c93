// Keys, revisions and compare-and-set of the SQLite store.
#include <map>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "proxist/meta/store.h"
#include "tests/unit/meta/scratch_directory.h"

namespace proxist::meta {
namespace {

using ::testing::HasSubstr;

class SqliteStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen() {
    store_.reset();
    auto opened = OpenSqliteStore(path());
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
  }
  std::string path() const { return directory_.File("meta.db"); }
  StatusOr<Revision> Put(std::string key, std::string value,
                         std::optional<Revision> expected = std::nullopt) {
    const std::vector<Mutation> one{{std::move(key), std::move(value), expected}};
    return store_->Apply(one, "test", "put");
  }
  StatusOr<Revision> Delete(std::string key, std::optional<Revision> expected = std::nullopt) {
    const std::vector<Mutation> one{{std::move(key), std::nullopt, expected}};
    return store_->Apply(one, "test", "delete");
  }
  std::vector<std::string> Keys(std::string_view prefix) {
    std::vector<std::string> keys;
    const std::vector<Entry> entries = store_->List(prefix).value();
    for (const Entry& entry : entries) keys.push_back(entry.key);
    return keys;
  }
  // One integer or text out of the closed file.
  std::string Query(const std::string& sql) {
    store_.reset();
    sqlite3* db = nullptr;
    EXPECT_EQ(sqlite3_open(path().c_str(), &db), SQLITE_OK);
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(db, sql.c_str(), -1, &statement, nullptr), SQLITE_OK)
        << sqlite3_errmsg(db);
    std::string text;
    while (sqlite3_step(statement) == SQLITE_ROW) {
      const unsigned char* cell = sqlite3_column_text(statement, 0);
      text += (text.empty() ? "" : "|") +
              std::string(cell == nullptr ? "null" : reinterpret_cast<const char*>(cell));
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return text;
  }

  ScratchDirectory directory_;
  std::unique_ptr<MetadataStore> store_;
};

TEST_F(SqliteStoreTest, PutGetDelete) {
  const Status missing = store_->Get("a").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(Message(missing)), HasSubstr("'a'"));
  EXPECT_EQ(Put("a", "1").value(), Revision(1));
  EXPECT_EQ(Put("a", std::string("\0x\xff", 3)).value(), Revision(2));
  Entry entry = store_->Get("a").value();
  EXPECT_EQ(entry.value, std::string("\0x\xff", 3));
  EXPECT_EQ(entry.created, Revision(1));
  EXPECT_EQ(entry.modified, Revision(2));
  EXPECT_EQ(Delete("a").value(), Revision(3));
  EXPECT_EQ(store_->Get("a").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Put("a", "").value(), Revision(4));
  entry = store_->Get("a").value();
  EXPECT_EQ(entry.value, "");
  EXPECT_EQ(entry.created, Revision(4));
  EXPECT_EQ(Delete("never there").value(), Revision(5));
}

TEST_F(SqliteStoreTest, CompareAndSet) {
  const Status absent = Put("a", "1", Revision(7)).status();
  EXPECT_EQ(absent.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Message(absent), "metadata key 'a' is at revision 0, expected 7");
  EXPECT_EQ(Put("a", "1", Revision(0)).value(), Revision(1));
  EXPECT_EQ(Put("a", "2", Revision(0)).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Put("a", "2", Revision(1)).value(), Revision(2));
  EXPECT_EQ(Put("a", "3", Revision(1)).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Delete("a", Revision(1)).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(store_->Get("a").value().value, "2");
  EXPECT_EQ(Delete("a", Revision(2)).value(), Revision(3));
  EXPECT_EQ(Delete("a", Revision(0)).value(), Revision(4));
}

TEST_F(SqliteStoreTest, AllOrNothing) {
  ASSERT_TRUE(Put("b", "old").ok());
  const std::vector<Mutation> mutations{
      {"a", "1", std::nullopt}, {"b", std::nullopt, std::nullopt}, {"c", "1", Revision(9)}};
  EXPECT_EQ(store_->Apply(mutations, "test", "").status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Keys(""), std::vector<std::string>{"b"});
  EXPECT_EQ(Put("c", "1").value(), Revision(2));
  const std::vector<Mutation> right{{"a", "1", Revision(0)}, {"b", std::nullopt, Revision(1)}};
  EXPECT_EQ(store_->Apply(right, "test", "").value(), Revision(3));
  EXPECT_EQ(Keys(""), (std::vector<std::string>{"a", "c"}));
}

TEST_F(SqliteStoreTest, RefusesWhatIsOutOfBounds) {
  const auto code = [&](const std::vector<Mutation>& mutations) {
    return store_->Apply(mutations, "test", "").status().code();
  };
  EXPECT_EQ(code({}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({{"", "x", {}}}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({{std::string(kMaxKeyBytes, 'k'), "x", {}}}), absl::StatusCode::kOk);
  EXPECT_EQ(code({{std::string(kMaxKeyBytes + 1, 'k'), "x", {}}}),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({{"a", "1", {}}, {"a", "2", {}}}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({{"a", std::string(kMaxValueBytes + 1, 'v'), {}}}),
            absl::StatusCode::kInvalidArgument);
  const std::vector<Mutation> one{{"a", "1", {}}};
  EXPECT_EQ(store_->Apply(one, std::string(5000, 'a'), "").status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->Get("a").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(SqliteStoreTest, ListsByPrefixInByteOrder) {
  for (const char* key : {"b", "a/2", "a/10", "a/", "a0", "a", "\xff", "\xff\xff", "a/\xff", "A"}) {
    ASSERT_TRUE(Put(key, "v").ok());
  }
  EXPECT_EQ(Keys("a/"), (std::vector<std::string>{"a/", "a/10", "a/2", "a/\xff"}));
  EXPECT_EQ(Keys("\xff"), (std::vector<std::string>{"\xff", "\xff\xff"}));
  EXPECT_EQ(Keys("c"), std::vector<std::string>{});
  EXPECT_EQ(Keys("").size(), 10u);
  EXPECT_EQ(Keys("").front(), "A");
}

TEST_F(SqliteStoreTest, RevisionsGoOnAfterReopen) {
  ASSERT_TRUE(Put("a", "1").ok());
  ASSERT_TRUE(Put("a", "2").ok());
  ASSERT_TRUE(Put("b", "3").ok());
  ASSERT_TRUE(Delete("b").ok());
  Reopen();
  const Entry entry = store_->Get("a").value();
  EXPECT_EQ(entry.value, "2");
  EXPECT_EQ(entry.created, Revision(1));
  EXPECT_EQ(entry.modified, Revision(2));
  EXPECT_EQ(Put("a", "4", Revision(2)).value(), Revision(5));
}

TEST_F(SqliteStoreTest, AuditsResourcesAndCountsTheRest) {
  const auto apply = [&](const std::vector<Mutation>& m, std::string_view reason) {
    ASSERT_TRUE(store_->Apply(m, "ann", reason).ok());
  };
  apply({{"resource/x", "one", {}}, {"shard/0/persisted", "1", {}}}, "create");
  apply({{"shard/0/persisted", "2", {}}}, "watermark");
  apply({{"resource/x", "two", {}}}, "change");
  apply({{"resource/x", std::nullopt, {}}}, "drop");
  EXPECT_EQ(Query("SELECT revision || ' ' || author || ' ' || reason FROM revisions"),
            "1 ann create|3 ann change|4 ann drop");
  EXPECT_EQ(Query("SELECT revision || ' ' || key || ' ' || coalesce(old, '-') || ' ' || "
                  "coalesce(new, '-') FROM history"),
            "1 resource/x - one|3 resource/x one two|4 resource/x two -");
  EXPECT_EQ(Query("SELECT value FROM meta WHERE name = 'unaudited'"), "1");
  EXPECT_NE(Query("SELECT min(at_ns) > 1000000000000000000 FROM revisions"), "0");
}

TEST_F(SqliteStoreTest, RandomChangesMatchAModel) {
  std::mt19937_64 random(5);
  std::map<std::string, std::pair<std::string, int64_t>> model;
  int64_t revision = 0;
  for (int i = 0; i < 400; ++i) {
    std::map<std::string, Mutation> mutations;
    bool holds = true;
    for (uint64_t k = 0; k < 1 + random() % 3; ++k) {
      const std::string key = fmt::format("k{}", random() % 8);
      Mutation mutation{key, std::nullopt, std::nullopt};
      if (random() % 3 != 0) mutation.value = std::to_string(random());
      if (random() % 2 == 0) {
        const auto found = model.find(key);
        const int64_t modified = found == model.end() ? 0 : found->second.second;
        mutation.expected = Revision(random() % 4 == 0 ? modified + 1 : modified);
      }
      mutations[key] = mutation;
    }
    std::vector<Mutation> list;
    for (const auto& [key, mutation] : mutations) {
      const auto found = model.find(key);
      const int64_t modified = found == model.end() ? 0 : found->second.second;
      holds = holds && (!mutation.expected || mutation.expected->value() == modified);
      list.push_back(mutation);
    }
    const auto applied = store_->Apply(list, "test", "random");
    ASSERT_EQ(applied.ok(), holds) << applied.status();
    if (holds) {
      ASSERT_EQ(applied->value(), ++revision);
      for (const Mutation& mutation : list) {
        if (mutation.value) {
          model[mutation.key] = {*mutation.value, revision};
        } else {
          model.erase(mutation.key);
        }
      }
    }
    if (i % 100 == 99) Reopen();
  }
  std::map<std::string, std::pair<std::string, int64_t>> stored;
  const std::vector<Entry> entries = store_->List("").value();
  for (const Entry& e : entries) stored[e.key] = {e.value, e.modified.value()};
  EXPECT_EQ(stored, model);
}

}  // namespace
}  // namespace proxist::meta
