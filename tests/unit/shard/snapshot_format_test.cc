// FORMAT.md says what the code does, and version 1 of a snapshot stays as it is.
#include "proxist/shard/internal/snapshot_format.h"

#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>

#include <gmock/gmock.h>

#include "tests/unit/shard/snapshot_fixture.h"

namespace proxist::shard {
namespace {

using internal::Field;
using ::testing::HasSubstr;

std::string Source(const std::string& path) {
  const std::string file = __FILE__;
  return file.substr(0, file.rfind("/tests/")) + "/" + path;
}

std::string Document() {
  std::ifstream in(Source("src/proxist/shard/FORMAT.md"));
  EXPECT_TRUE(in.good());
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// "name offset size" for each row of the table that describes `kind`.
std::vector<std::string> Documented(const std::string& kind) {
  std::istringstream in(Document());
  const std::regex heading("\\| offset \\| bytes \\| (\\w+) field \\| meaning \\|");
  const std::regex row("\\| (\\d+) \\| (\\d+) \\| (\\w+) \\|.*");
  std::vector<std::string> fields;
  std::string current;
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    if (std::regex_match(line, match, heading)) current = match[1];
    if (current == kind && std::regex_match(line, match, row)) {
      fields.push_back(fmt::format("{} {} {}", match[3].str(), match[1].str(), match[2].str()));
    }
    if (line.empty()) current.clear();
  }
  return fields;
}

template <size_t N>
std::vector<std::string> Coded(const std::array<Field, N>& fields, size_t total) {
  std::vector<std::string> lines;
  size_t next = 0;
  for (const Field& field : fields) {
    EXPECT_EQ(field.offset, next) << field.name;
    next = field.offset + field.size;
    lines.push_back(fmt::format("{} {} {}", field.name, field.offset, field.size));
  }
  EXPECT_EQ(next, total);
  return lines;
}

TEST(SnapshotFormatTest, TheDocumentAgreesWithTheCode) {
  EXPECT_EQ(Documented("snapshot"), Coded(internal::snapshot_field::kAll, kSnapshotHeaderBytes));
  EXPECT_EQ(Documented("section"), Coded(internal::section_field::kAll, kSectionHeaderBytes));
  const std::string text = Document();
  EXPECT_THAT(text, HasSubstr(fmt::format("Snapshot, version {}\n", kSnapshotVersion)));
  EXPECT_THAT(text,
              HasSubstr(fmt::format(
                  "`{}`", std::string_view(reinterpret_cast<const char*>(&kSnapshotMagic), 8))));
  const std::pair<SectionKind, const char*> kinds[] = {
      {SectionKind::kState, "state"},         {SectionKind::kStrings, "strings"},
      {SectionKind::kTable, "table"},         {SectionKind::kSeries, "series"},
      {SectionKind::kProducers, "producers"}, {SectionKind::kBacklog, "backlog"},
      {SectionKind::kFiles, "files"},         {SectionKind::kEnd, "end"}};
  for (const auto& [kind, name] : kinds) {
    EXPECT_THAT(text, HasSubstr(fmt::format("\n| {} {}", static_cast<uint32_t>(kind), name)));
  }
}

TEST(SnapshotFormatTest, FileNames) {
  EXPECT_EQ(SnapshotFileName(Lsn(0x1f)), "snapshot-000000000000001f");
  EXPECT_EQ(ParseSnapshotFileName("snapshot-000000000000001f"), Lsn(0x1f));
  for (const char* name : {"", "snapshot-", "snapshot-1f", "snapshot-000000000000001F",
                           "snapshot-000000000000001f.tmp"}) {
    EXPECT_FALSE(ParseSnapshotFileName(name).has_value()) << name;
  }
}

class SnapshotGoldenTest : public SnapshotFixture {};

/// Batches written with the fixture's fixed random numbers, some of them persisted.
TEST_F(SnapshotGoldenTest, VersionOneStaysAsItIs) {
  for (int i = 0; i < 25; ++i) {
    WriteRandom();
    if (i % 7 == 0) FlushSome();
  }
  ASSERT_TRUE(TakeSnapshot().ok());
  const std::string described = Describe();
  for (const char* name : {"snapshot-", ".chunks"}) {
    const auto file = std::ranges::find_if(memory_.contents(), [&](const auto& one) {
      return one.first.starts_with("snap/") && one.first.find(name) != std::string::npos;
    });
    ASSERT_NE(file, memory_.contents().end());
    const std::string path =
        Source(fmt::format("tests/unit/shard/golden/v1{}", *name == '.' ? ".chunks" : ".snapshot"));
    if (std::getenv("PROXIST_WRITE_GOLDEN") != nullptr) {
      ASSERT_TRUE(env::PosixFileSystem().WriteAtomically(path, file->second).ok());
    }
    const auto golden = env::PosixFileSystem().ReadAll(path, 1 << 20);
    ASSERT_TRUE(golden.ok()) << golden.status();
    EXPECT_TRUE(*golden == file->second) << "the bytes written differ from " << path;
    memory_.Put(file->first, *golden);
  }
  ASSERT_TRUE(OpenOver(&memory_).ok());
  EXPECT_GT(report_.snapshot_rows, 0u);
  EXPECT_EQ(report_.rows, 0u);
  EXPECT_EQ(Describe(), described);
}

}  // namespace
}  // namespace proxist::shard
