// FORMAT.md says what the code does, version 2 stays as it is byte for byte and version 1
// stays readable.
#include "proxist/wal/internal/format.h"

#include <cstdlib>

#include "proxist/env/file_system.h"
#include "proxist/wal/internal/watermark.h"
#include "tests/unit/format_page.h"
#include "tests/unit/wal/log_fixture.h"

namespace proxist::wal {
namespace {

TEST(FormatTest, TheDocumentAgreesWithTheCode) {
  const std::string page = FormatPage("src/proxist/wal/FORMAT.md");
  EXPECT_EQ(Documented(page, "segment"), Coded(segment_field::kAll, 104));
  EXPECT_EQ(Documented(page, "frame"), Coded(frame_field::kAll, kFrameHeaderBytes));
  EXPECT_EQ(Documented(page, "record"), Coded(record_field::kAll, kRecordHeaderBytes));
  EXPECT_EQ(Documented(page, "watermark"), Coded(watermark_field::kAll, 64));
  EXPECT_NE(page.find(fmt::format("versions {} and {}\n", kFormatVersion, kEncryptedVersion)),
            std::string::npos);
  EXPECT_NE(page.find(fmt::format("A block is {} bytes", env::kBlockBytes)), std::string::npos);
  EXPECT_NE(page.find(fmt::format("padded with zeros to {} bytes", kRecordAlignment)),
            std::string::npos);
  const auto magic = [](uint64_t value) {
    return fmt::format("`{}`", std::string_view(reinterpret_cast<const char*>(&value), 8));
  };
  EXPECT_NE(page.find(magic(kSegmentMagic)), std::string::npos);
  EXPECT_NE(page.find(magic(kFrameMagic)), std::string::npos);
  EXPECT_NE(page.find(magic(kWatermarkMagic)), std::string::npos);
  EXPECT_NE(page.find(fmt::format("## Watermark, version {}\n", kWatermarkVersion)),
            std::string::npos);
}

TEST(FormatTest, FileNames) {
  uint64_t number = 0;
  EXPECT_EQ(SegmentFileName(0x1f), "000000000000001f.wal");
  EXPECT_TRUE(ParseSegmentFileName("00000000000000ff.wal", &number));
  EXPECT_EQ(number, 255u);
  EXPECT_TRUE(ParseFreeFileName("free-0000000000000010.wal", &number));
  EXPECT_EQ(number, 16u);
  for (const char* name : {"", ".wal", "1.wal", "00000000000000FF.wal", "000000000000001f.wal.tmp",
                           "x00000000000001f.wal", "free-0000000000000010.wal"}) {
    EXPECT_FALSE(ParseSegmentFileName(name, &number)) << name;
  }
}

/// The fixed input behind the golden files: two openings, frames of one and of two records; from
/// version 2 on also unsynced frames before a synced one.
std::vector<KnownRecord> GoldenRecords() {
  return {MakeRecord(1, 10, 100),     MakeRecord(11, 1, 0),         MakeRecord(12, 0, 5000),
          MakeRecord(1000, 2, 13, 2), MakeRecord(1002, 1, 4000, 2), MakeRecord(1003, 1, 7, 2)};
}
constexpr size_t kGoldenRecordsV1 = 4;

std::vector<std::byte> WriteGolden() {
  env::MemoryFileSystem files;
  LogOptions options = SmallLog();
  const std::vector<KnownRecord> records = GoldenRecords();
  Opened opened = OpenLog(&files, options);
  EXPECT_TRUE(Append(opened.log.get(), records[0]).ok());
  EXPECT_TRUE(Add(opened.log.get(), records[1]).ok());
  EXPECT_TRUE(Append(opened.log.get(), records[2]).ok());
  opened.log = nullptr;
  options.epoch = Epoch(2);
  opened = OpenLog(&files, options);
  EXPECT_TRUE(Append(opened.log.get(), records[3]).ok());
  EXPECT_TRUE(Append(opened.log.get(), records[4], FrameLevel::kUnsynced).ok());
  EXPECT_TRUE(Append(opened.log.get(), records[5], FrameLevel::kUnsynced).ok());
  return files.Content("log/0000000000000001.wal");
}

std::vector<std::byte> Golden(uint32_t version) {
  const std::string path = Source(fmt::format("tests/unit/wal/golden/v{}.wal", version));
  if (version == kFormatVersion && std::getenv("PROXIST_WRITE_GOLDEN") != nullptr) {
    EXPECT_TRUE(env::PosixFileSystem().WriteAtomically(path, WriteGolden()).ok());
  }
  auto golden = env::PosixFileSystem().ReadAll(path, 1 << 20);
  EXPECT_TRUE(golden.ok()) << golden.status();
  return golden.ok() ? *std::move(golden) : std::vector<std::byte>();
}

TEST(FormatTest, TheVersionThatIsWrittenStaysAsItIs) {
  const std::vector<std::byte> golden = Golden(kFormatVersion);
  EXPECT_TRUE(golden == WriteGolden()) << "the bytes written differ";
  env::MemoryFileSystem files;
  files.Put("log/0000000000000001.wal", golden);
  const Opened read = ReadAll(&files, "log");
  ASSERT_TRUE(read.status.ok()) << read.status;
  EXPECT_EQ(read.records, GoldenRecords());
  EXPECT_EQ(read.report.frames, 5u);
  EXPECT_FALSE(read.report.torn_tail);
}

TEST(FormatTest, TheWatermarkStaysAsItIs) {
  std::vector<std::byte> bytes(env::kBlockBytes);
  EncodeWatermark({0x1122334455667788, ShardId(3)},
                  {.segment = 7, .offset = 8192, .chain = 0x99aabbccddeeff00, .last = Lsn(1234)},
                  bytes.data());
  const std::string path = Source("tests/unit/wal/golden/watermark_v1");
  if (std::getenv("PROXIST_WRITE_GOLDEN") != nullptr) {
    EXPECT_TRUE(env::PosixFileSystem().WriteAtomically(path, bytes).ok());
  }
  const auto golden = env::PosixFileSystem().ReadAll(path, 1 << 20);
  ASSERT_TRUE(golden.ok()) << golden.status();
  EXPECT_TRUE(*golden == bytes);
}

TEST(FormatTest, VersionOneIsReadAndAppendsGoToANewSegment) {
  const std::vector<std::byte> golden = Golden(1);
  std::vector<KnownRecord> records = GoldenRecords();
  records.resize(kGoldenRecordsV1);
  for (const bool torn : {false, true}) {
    env::MemoryFileSystem files;
    files.Put("log/0000000000000001.wal", golden);
    std::vector<KnownRecord> expected = records;
    if (torn) {
      files.Content("log/0000000000000001.wal")[4096 * 4 + 100] ^= std::byte{1};
      expected.pop_back();
    }
    EXPECT_EQ(ReadAll(&files, "log").records, expected);
    EXPECT_EQ(ReadAll(&files, "log").report.torn_tail, torn);
    LogOptions options = SmallLog();
    options.epoch = Epoch(3);
    Opened opened = OpenLog(&files, options);
    ASSERT_TRUE(opened.status.ok()) << opened.status;
    EXPECT_EQ(opened.records, expected);
    EXPECT_EQ(files.Content("log/0000000000000001.wal") == golden, !torn);
    expected.push_back(MakeRecord(2000, 1, 50, 3));
    ASSERT_TRUE(Append(opened.log.get(), expected.back()).ok());
    EXPECT_TRUE(files.contents().contains("log/0000000000000002.wal"));
    const Opened again = ReadAll(&files, "log");
    ASSERT_TRUE(again.status.ok()) << again.status;
    EXPECT_EQ(again.records, expected);
    EXPECT_FALSE(again.report.torn_tail);
  }
}

TEST(FormatTest, DamageInVersionOneIsStillSeen) {
  const std::vector<std::byte> golden = Golden(1);
  for (const size_t place : {4096, 4096 + 81, 4096 + 120, 8192, 8192 + 4000}) {
    env::MemoryFileSystem files;
    files.Put("log/0000000000000001.wal", golden);
    files.Content("log/0000000000000001.wal")[place] ^= std::byte{2};
    EXPECT_EQ(ReadAll(&files, "log").status.code(), absl::StatusCode::kDataLoss) << place;
  }
}

TEST(FormatTest, ALaterVersionIsRefused) {
  SegmentHeader header{.version = kEncryptedVersion + 1, .number = 1, .segment_bytes = 64 << 10};
  std::vector<std::byte> bytes(64 << 10);
  EncodeSegmentHeader(&header, bytes.data());
  env::MemoryFileSystem files;
  files.Put("log/0000000000000001.wal", bytes);
  EXPECT_EQ(ReadAll(&files, "log").status.code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace proxist::wal
