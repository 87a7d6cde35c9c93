// Files that are damaged, foreign, newer, in use, or were left by a killed process.
#include <csignal>
#include <fstream>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxist/base/bytes.h"
#include "proxist/meta/store.h"
#include "tests/unit/meta/scratch_directory.h"

namespace proxist::meta {
namespace {

using ::testing::HasSubstr;

void Write(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

std::string Read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void RunSql(const std::string& path, const std::string& sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
      << sqlite3_errmsg(db);
  sqlite3_close(db);
}

StatusOr<Revision> Put(MetadataStore* store, std::string key, std::string value) {
  const std::vector<Mutation> one{{std::move(key), std::move(value), std::nullopt}};
  return store->Apply(one, "test", "put");
}

void Fill(const std::string& path, int keys) {
  const auto store = OpenSqliteStore(path).value();
  std::vector<Mutation> mutations;
  for (int i = 0; i < keys; ++i) {
    mutations.push_back({fmt::format("k{:05}", i), std::string(300, char('a' + i % 26)), {}});
  }
  ASSERT_TRUE(store->Apply(mutations, "test", "fill").ok());
}

void ExpectOpenFails(const std::string& path, absl::StatusCode code, const std::string& reason) {
  const auto store = OpenSqliteStore(path);
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.status().code(), code) << store.status();
  EXPECT_THAT(std::string(Message(store.status())), HasSubstr(reason));
  EXPECT_THAT(std::string(Message(store.status())), HasSubstr(path));
}

TEST(MetadataFile, NoDatabase) {
  const ScratchDirectory directory;
  const std::string path = directory.File("meta.db");
  Write(path, std::string(5000, 'x'));
  ExpectOpenFails(path, absl::StatusCode::kDataLoss, "damaged");
  EXPECT_EQ(Read(path), std::string(5000, 'x'));
  ExpectOpenFails(directory.File("none/meta.db"), absl::StatusCode::kNotFound, "No such file");
  EXPECT_FALSE(OpenSqliteStore(directory.File("")).ok());
  Write(path, "");  // what a crash in the first moment leaves
  EXPECT_TRUE(OpenSqliteStore(path).ok());
}

TEST(MetadataFile, NewerLayoutAndForeignDatabase) {
  const ScratchDirectory directory;
  const std::string path = directory.File("meta.db");
  Fill(path, 1);
  RunSql(path, "UPDATE meta SET value = 2 WHERE name = 'layout'");
  ExpectOpenFails(path, absl::StatusCode::kFailedPrecondition,
                  "has layout 2, this program knows layout 1");
  const std::string foreign = directory.File("foreign.db");
  RunSql(foreign, "CREATE TABLE t(x)");
  const std::string before = Read(foreign);
  ExpectOpenFails(foreign, absl::StatusCode::kFailedPrecondition, "no Proxist metadata");
  EXPECT_EQ(Read(foreign), before);
  const std::string missing = directory.File("missing.db");
  Fill(missing, 1);
  RunSql(missing, "DROP TABLE entries");
  ExpectOpenFails(missing, absl::StatusCode::kDataLoss, "no such table");
}

TEST(MetadataFile, OverwrittenPagesAndTruncation) {
  const ScratchDirectory directory;
  const std::string path = directory.File("meta.db");
  Fill(path, 2000);
  const std::string good = Read(path);
  ASSERT_GT(good.size(), 100u * 4096);
  std::string damaged = good;
  for (size_t page = 3; page < 60; ++page)
    damaged.replace(page * 4096, 64, std::string(64, '\xaa'));
  Write(path, damaged);
  ExpectOpenFails(path, absl::StatusCode::kDataLoss, "damaged");
  Write(path, good.substr(0, good.size() / 2));
  ExpectOpenFails(path, absl::StatusCode::kDataLoss, "damaged");
}

// SQLite sees no fault in a value whose bytes changed; the entry's checksum does.
TEST(MetadataFile, ChangedValue) {
  const ScratchDirectory directory;
  const std::string path = directory.File("meta.db");
  Fill(path, 100);
  std::string bytes = Read(path);
  const size_t at = bytes.find(std::string(300, 'c'));
  ASSERT_NE(at, std::string::npos);
  bytes[at + 100] = 'C';
  Write(path, bytes);
  const auto store = OpenSqliteStore(path);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->List("").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE((*store)->Get("k00001").ok());
}

TEST(MetadataFile, OneProcessAtATime) {
  const ScratchDirectory directory;
  const std::string path = directory.File("meta.db");
  auto store = OpenSqliteStore(path).value();
  ASSERT_TRUE(Put(store.get(), "k", "v").ok());
  ExpectOpenFails(path, absl::StatusCode::kFailedPrecondition, "in use");
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto second = OpenSqliteStore(path);
    _exit(second.status().code() == absl::StatusCode::kFailedPrecondition ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  ASSERT_TRUE(Put(store.get(), "k", "w").ok());
  store.reset();
  EXPECT_EQ(OpenSqliteStore(path).value()->Get("k").value().value, "w");
}

// The child reports each Apply that returned through a pipe, and is killed in the middle.
TEST(MetadataFile, KilledWritersLoseNothingThatReturned) {
  const ScratchDirectory directory;
  const std::string path = directory.File("meta.db");
  int64_t total = 0;
  for (int round = 0; round < 6; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto store = OpenSqliteStore(path);
      if (!store.ok()) _exit(1);
      for (;;) {
        const std::vector<Mutation> pair{{"a", std::to_string(getpid()), {}},
                                         {"resource/b", std::to_string(getpid()), {}}};
        const auto revision = (*store)->Apply(pair, "child", "loop");
        if (!revision.ok()) _exit(2);
        const int64_t number = revision->value();
        if (write(ends[1], &number, sizeof number) != sizeof number) _exit(3);
      }
    }
    close(ends[1]);
    int64_t last = 0;
    for (int i = 0; i < 5 + round * 7; ++i) {
      ASSERT_EQ(read(ends[0], &last, sizeof last), ssize_t{sizeof last});
    }
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    for (int64_t number = 0; read(ends[0], &number, sizeof number) == ssize_t{sizeof number};) {
      last = number;
    }
    close(ends[0]);
    auto store = OpenSqliteStore(path);
    ASSERT_TRUE(store.ok()) << store.status();
    const Entry a = (*store)->Get("a").value();
    const Entry b = (*store)->Get("resource/b").value();
    EXPECT_EQ(a.value, std::to_string(child));
    EXPECT_EQ(a.value, b.value);
    EXPECT_EQ(a.modified, b.modified);
    EXPECT_GE(a.modified.value(), last);
    EXPECT_LE(a.modified.value(), last + 1);
    EXPECT_GT(last, total);
    total = a.modified.value();
    EXPECT_EQ(Put(store->get(), "c", "x").value().value(), ++total);
  }
}

}  // namespace
}  // namespace proxist::meta
