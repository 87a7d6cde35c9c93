// FORMAT.md says what the code does, and version 1 of a snapshot stays as it is.
#include "proxist/shard/internal/snapshot_format.h"

#include <gmock/gmock.h>

#include "tests/unit/format_page.h"
#include "tests/unit/shard/snapshot_fixture.h"

namespace proxist::shard {
namespace {

using ::testing::HasSubstr;

TEST(SnapshotFormatTest, TheDocumentAgreesWithTheCode) {
  const std::string page = FormatPage("src/proxist/shard/FORMAT.md");
  EXPECT_EQ(Documented(page, "snapshot"),
            Coded(internal::snapshot_field::kAll, kSnapshotHeaderBytes));
  EXPECT_EQ(Documented(page, "encrypted"), Coded(internal::snapshot_field::kEncrypted, 96, 64));
  EXPECT_THAT(page, HasSubstr(fmt::format("Version {} is an encrypted manifest",
                                          kEncryptedSnapshotVersion)));
  EXPECT_EQ(Documented(page, "section"), Coded(internal::section_field::kAll, kSectionHeaderBytes));
  EXPECT_THAT(page, HasSubstr(fmt::format("Snapshot, version {}\n", kSnapshotVersion)));
  EXPECT_THAT(page,
              HasSubstr(fmt::format(
                  "`{}`", std::string_view(reinterpret_cast<const char*>(&kSnapshotMagic), 8))));
  const std::pair<SectionKind, const char*> kinds[] = {
      {SectionKind::kState, "state"},         {SectionKind::kStrings, "strings"},
      {SectionKind::kTable, "table"},         {SectionKind::kSeries, "series"},
      {SectionKind::kProducers, "producers"}, {SectionKind::kBacklog, "backlog"},
      {SectionKind::kFiles, "files"},         {SectionKind::kEnd, "end"}};
  for (const auto& [kind, name] : kinds) {
    EXPECT_THAT(page, HasSubstr(fmt::format("\n| {} {}", static_cast<uint32_t>(kind), name)));
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
  CompareWithGolden("tests/unit/shard/golden/v1");
  RecoverFromGolden("tests/unit/shard/golden/earlier/v1");
}

}  // namespace
}  // namespace proxist::shard
