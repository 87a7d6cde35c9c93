// Chunks of a file and the identity of an import.
#include "proxist/client/importer.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

namespace proxist::client {
namespace {

using ::testing::ElementsAre;

struct Taken {
  std::vector<int64_t> values;
  uint64_t first;
  uint64_t last;
  bool operator==(const Taken&) const = default;
};

class ImporterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "proxist_importer_XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    column::TableSchema schema;
    schema.name = "t";
    schema.columns = {{ColumnId(1), "v", {column::TypeKind::kInt64}}};
    schema_ = std::make_shared<const column::TableSchema>(schema);
    map_ = MapOf("header: true\n", "value");
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  static ImportMap MapOf(const std::string& options, const std::string& column) {
    auto map = ParseImportMap("map: t\n" + options +
                                  "columns:\n  symbol: {const: A}\n  ts: {const: 0, unit: ns}\n"
                                  "  seq: {line: true}\n  v: {column: " +
                                  column + "}\n",
                              "m.yaml", "t");
    EXPECT_TRUE(map.ok()) << map.status();
    return *map;
  }

  Status Read(const std::string& content, uint64_t chunk_rows, uint64_t from_line = 1) {
    taken_.clear();
    const std::string path = directory_ + "/data.csv";
    std::ofstream(path, std::ios::binary) << content;
    uint64_t bytes = 0;
    const Status status =
        ReadChunks({.file = path, .chunk_rows = chunk_rows, .from_line = from_line}, map_, schema_,
                   &bytes, [&](const column::Batch& batch, ChunkLines lines) {
                     Taken chunk{{}, lines.first, lines.last};
                     for (size_t row = 0; row < batch.rows; ++row) {
                       chunk.values.push_back(batch.columns[0].At<int64_t>(row));
                     }
                     EXPECT_TRUE(column::ValidateBatch(batch).ok()) << column::ValidateBatch(batch);
                     taken_.push_back(std::move(chunk));
                     return taken_.size() == stop_after_ ? Aborted("enough") : OkStatus();
                   });
    EXPECT_TRUE(!status.ok() || bytes == content.size()) << bytes;
    return status;
  }

  std::string directory_;
  column::SchemaPtr schema_;
  ImportMap map_;
  std::vector<Taken> taken_;
  size_t stop_after_ = 0;
};

TEST_F(ImporterTest, ChunksInOrder) {
  EXPECT_TRUE(Read("x,value\n,1\n,2\n\n,3\n,4\n,5", 2).ok());
  EXPECT_THAT(taken_, ElementsAre(Taken{{1, 2}, 2, 3}, Taken{{3, 4}, 5, 6}, Taken{{5}, 7, 7}));
  EXPECT_TRUE(Read("x,value\n,1\n,2\n", 2).ok());
  EXPECT_THAT(taken_, ElementsAre(Taken{{1, 2}, 2, 3}));
  EXPECT_TRUE(Read("x,value\n", 2).ok());
  EXPECT_TRUE(taken_.empty());
}

TEST_F(ImporterTest, StartsAtALine) {
  EXPECT_TRUE(Read("x,value\n,1\n,2\n,3\n,4\n", 2, 3).ok());
  EXPECT_THAT(taken_, ElementsAre(Taken{{2, 3}, 3, 4}, Taken{{4}, 5, 5}));
  EXPECT_TRUE(Read("x,value\n,1\n", 2, 99).ok());
  EXPECT_TRUE(taken_.empty());
}

TEST_F(ImporterTest, ABadLineStopsAfterTheChunksBeforeIt) {
  const Status status = Read("x,value\n,1\n,2\n,3\n,4x\n,5\n", 2);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Message(status), directory_ +
                                 "/data.csv line 5, column 2 (v): '4x' is not an integer that fits "
                                 "int64");
  EXPECT_THAT(taken_, ElementsAre(Taken{{1, 2}, 2, 3}));
}

TEST_F(ImporterTest, NamesTheFileInErrorsOfItsFormOnce) {
  EXPECT_EQ(Message(Read("x,value\n,\"1\n", 2)),
            directory_ + "/data.csv line 2, column 2: the quote is never closed");
  EXPECT_EQ(Message(Read("", 2)),
            directory_ + "/data.csv is empty, but the map says 'header: true'");
  EXPECT_EQ(Message(Read("x,y\n,1\n", 2)),
            "m.yaml line 7: the header in line 1 has no column 'value', only: x, y");
}

TEST_F(ImporterTest, StopsWhenAChunkIsNotTaken) {
  stop_after_ = 1;
  EXPECT_EQ(Read("x,value\n,1\n,2\n,3\n", 1).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(taken_.size(), 1U);
}

TEST_F(ImporterTest, TheProducerIsTheImport) {
  const FileSummary file{.digest = "00112233445566778899aabbccddeeff"};
  const auto producer = [&](const ImportMap& map, uint64_t chunk_rows, uint64_t from_line) {
    return ImportProducer(*schema_, file, map, chunk_rows, from_line);
  };
  const std::string id = producer(map_, 10'000, 1);
  EXPECT_EQ(id, producer(MapOf("header: true\nskip_lines: 0\n", "value"), 10'000, 1));
  EXPECT_EQ(id.size(), std::string("import-").size() + 32);
  EXPECT_NE(id, producer(MapOf("header: true\n", "other"), 10'000, 1));
  EXPECT_NE(id, producer(map_, 9'999, 1));
  EXPECT_NE(id, producer(map_, 10'000, 2));
  column::TableSchema other = *schema_;
  other.name = "u";
  EXPECT_NE(id, ImportProducer(other, file, map_, 10'000, 1));
  other.name = "t";
  other.tenant = "x";
  EXPECT_NE(id, ImportProducer(other, file, map_, 10'000, 1));
  EXPECT_NE(id, ImportProducer(*schema_, {.digest = "0"}, map_, 10'000, 1));
  // Imports that ran before an upgrade are recognised after it.
  EXPECT_EQ(id, "import-ab5566147c7646b7b73b59db00125742");
}

}  // namespace
}  // namespace proxist::client
