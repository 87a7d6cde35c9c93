// Files as they come: plain, gzip, zip, damaged.
#include "proxist/client/data_file.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

namespace proxist::client {
namespace {

using ::testing::HasSubstr;

class DataFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "proxist_data_file_XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string PathOf(const std::string& name) const { return directory_ + "/" + name; }
  std::string Store(const std::string& name, const std::string& bytes) const {
    std::ofstream(PathOf(name), std::ios::binary) << bytes;
    return PathOf(name);
  }
  static std::string Bytes(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::string StoreGzip(const std::string& name, const std::string& content) const {
    gzFile file = gzopen(PathOf(name).c_str(), "wb");
    EXPECT_EQ(gzwrite(file, content.data(), static_cast<unsigned>(content.size())),
              static_cast<int>(content.size()));
    EXPECT_EQ(gzclose(file), Z_OK);
    return PathOf(name);
  }
  std::string StoreZip(const std::string& name,
                       const std::vector<std::pair<std::string, std::string>>& entries) const {
    archive* a = archive_write_new();
    archive_write_set_format_zip(a);
    EXPECT_EQ(archive_write_open_filename(a, PathOf(name).c_str()), ARCHIVE_OK);
    for (const auto& [path, content] : entries) {
      archive_entry* entry = archive_entry_new();
      archive_entry_set_pathname(entry, path.c_str());
      const bool folder = path.ends_with('/');
      archive_entry_set_filetype(entry, folder ? AE_IFDIR : AE_IFREG);
      archive_entry_set_perm(entry, 0644);
      archive_entry_set_size(entry, static_cast<int64_t>(content.size()));
      EXPECT_EQ(archive_write_header(a, entry), ARCHIVE_OK);
      archive_write_data(a, content.data(), content.size());
      archive_entry_free(entry);
    }
    archive_write_close(a);
    archive_write_free(a);
    return PathOf(name);
  }

  static StatusOr<std::string> ReadAll(const std::string& path, size_t piece = 1000) {
    PX_ASSIGN_OR_RETURN(const std::unique_ptr<DataFile> file, DataFile::Open(path));
    std::string out;
    std::string block(piece, '\0');
    while (true) {
      PX_ASSIGN_OR_RETURN(const size_t got, file->Read({block.data(), block.size()}));
      if (got == 0) return out;
      out += block.substr(0, got);
    }
  }

  std::string directory_;
};

std::string Content() {
  std::string text;
  for (int i = 0; i < 50'000; ++i) text += std::to_string(i * 7919) + ",x\n";
  return text;
}

TEST_F(DataFileTest, PlainGzipAndZipGiveTheSame) {
  const std::string content = Content();
  EXPECT_EQ(ReadAll(Store("plain.gz", content)).value(), content);  // the name does not matter
  EXPECT_EQ(ReadAll(StoreGzip("a", content)).value(), content);
  EXPECT_EQ(ReadAll(StoreZip("b", {{"dir/", ""}, {"dir/q.csv", content}})).value(), content);
  EXPECT_EQ(ReadAll(Store("empty", "")).value(), "");
  EXPECT_EQ(ReadAll(StoreGzip("emptygz", "")).value(), "");
  EXPECT_EQ(ReadAll(Store("short", "P")).value(), "P");
}

TEST_F(DataFileTest, GzipMembersFollowEachOther) {
  const std::string one = Bytes(StoreGzip("one", "a,1\n"));
  const std::string two = Bytes(StoreGzip("two", "b,2\n"));
  EXPECT_EQ(ReadAll(Store("both", one + two), 1).value(), "a,1\nb,2\n");
}

TEST_F(DataFileTest, ZipMustHoldOneFile) {
  EXPECT_THAT(Message(ReadAll(StoreZip("two", {{"a.csv", "1"}, {"b.csv", "2"}})).status()),
              HasSubstr("holds 2 files (a.csv, b.csv), expected one"));
  EXPECT_THAT(Message(ReadAll(StoreZip("none", {{"d/", ""}})).status()),
              HasSubstr("holds no file"));
  EXPECT_THAT(Message(ReadAll(StoreZip("nothing", {})).status()), HasSubstr("holds no file"));
}

TEST_F(DataFileTest, EveryDamageOfAGzipIsFound) {
  const std::string content = Content().substr(0, 300);
  const std::string bytes = Bytes(StoreGzip("a", content));
  for (size_t cut = 2; cut < bytes.size(); cut += 3) {
    const auto read = ReadAll(Store("cut", bytes.substr(0, cut)));
    EXPECT_EQ(read.status().code(), absl::StatusCode::kDataLoss) << cut;
  }
  // Behind the header (10 bytes), whose time and system fields mean nothing. A flip may hit bits
  // that only fill up the last byte before the trailer; then nothing is damaged.
  size_t found = 0;
  for (size_t at = 10; at < bytes.size(); ++at) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    const auto read = ReadAll(Store("flipped", flipped));
    EXPECT_TRUE(read.status().code() == absl::StatusCode::kDataLoss ||
                (read.ok() && *read == content))
        << at;
    found += read.ok() ? 0 : 1;
  }
  EXPECT_GE(found, bytes.size() - 11);
  EXPECT_THAT(Message(ReadAll(Store("tail", bytes + "rubbish")).status()),
              HasSubstr("damaged gzip file"));
}

TEST_F(DataFileTest, DamagedZipIsFound) {
  const std::string content = Content();
  const std::string bytes = Bytes(StoreZip("a", {{"q.csv", content}}));
  EXPECT_EQ(ReadAll(Store("cut", bytes.substr(0, bytes.size() / 2))).status().code(),
            absl::StatusCode::kDataLoss);
  std::string flipped = bytes;
  flipped[bytes.size() / 2] = static_cast<char>(flipped[bytes.size() / 2] ^ 0x10);
  EXPECT_EQ(ReadAll(Store("flipped", flipped)).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(DataFileTest, PathsThatCannotBeRead) {
  EXPECT_EQ(ReadAll(PathOf("missing")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadAll(directory_).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Summarize(PathOf("missing")).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(DataFileTest, SummaryHashesTheFileAndMeasuresItsContent) {
  const std::string content = Content();
  const auto plain = Summarize(Store("plain", content));
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(plain->stored_bytes, content.size());
  EXPECT_EQ(plain->content_bytes, content.size());
  EXPECT_EQ(plain->digest.size(), 32U);
  EXPECT_EQ(plain->digest, Summarize(Store("again", content))->digest);
  EXPECT_NE(plain->digest, Summarize(Store("other", content + "1"))->digest);
  // XXH3-128 of nothing, from the specification's reference implementation.
  EXPECT_EQ(Summarize(Store("empty", ""))->digest, "99aa06d3014798d86001c324468d497f");

  const auto gzip = Summarize(StoreGzip("gzip", content));
  ASSERT_TRUE(gzip.ok()) << gzip.status();
  EXPECT_EQ(gzip->content_bytes, content.size());
  EXPECT_LT(gzip->stored_bytes, content.size());
  EXPECT_NE(gzip->digest, plain->digest);

  const std::string bytes = Bytes(PathOf("gzip"));
  EXPECT_EQ(Summarize(Store("cut", bytes.substr(0, bytes.size() - 1))).status().code(),
            absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace proxist::client
