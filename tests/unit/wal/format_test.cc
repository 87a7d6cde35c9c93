// FORMAT.md says what the code does, and version 1 stays readable and writable byte for byte.
#include "proxist/wal/internal/format.h"

#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>

#include "proxist/env/file_system.h"
#include "tests/unit/wal/log_fixture.h"

namespace proxist::wal {
namespace {

std::string Source(const std::string& path) {
  const std::string file = __FILE__;
  return file.substr(0, file.rfind("/tests/")) + "/" + path;
}

/// "name offset size" for each row of the table that describes `kind`.
std::vector<std::string> Documented(const std::string& kind) {
  std::ifstream in(Source("src/proxist/wal/FORMAT.md"));
  EXPECT_TRUE(in.good());
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

TEST(FormatTest, TheDocumentAgreesWithTheCode) {
  EXPECT_EQ(Documented("segment"), Coded(segment_field::kAll, 72));
  EXPECT_EQ(Documented("frame"), Coded(frame_field::kAll, kFrameHeaderBytes));
  EXPECT_EQ(Documented("record"), Coded(record_field::kAll, kRecordHeaderBytes));
  std::ifstream in(Source("src/proxist/wal/FORMAT.md"));
  std::stringstream text;
  text << in.rdbuf();
  EXPECT_NE(text.str().find(fmt::format("version {}\n", kFormatVersion)), std::string::npos);
  EXPECT_NE(text.str().find(fmt::format("A block is {} bytes", env::kBlockBytes)),
            std::string::npos);
  EXPECT_NE(text.str().find(fmt::format("padded with zeros to {} bytes", kRecordAlignment)),
            std::string::npos);
  const auto magic = [](uint64_t value) {
    return fmt::format("`{}`", std::string_view(reinterpret_cast<const char*>(&value), 8));
  };
  EXPECT_NE(text.str().find(magic(kSegmentMagic)), std::string::npos);
  EXPECT_NE(text.str().find(magic(kFrameMagic)), std::string::npos);
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

/// The fixed input behind golden/v1.wal: two openings, frames of one and of two records.
std::vector<KnownRecord> WriteGolden(env::MemoryFileSystem* files) {
  LogOptions options = SmallLog();
  std::vector<KnownRecord> records{MakeRecord(1, 10, 100), MakeRecord(11, 1, 0),
                                   MakeRecord(12, 0, 5000), MakeRecord(1000, 2, 13, 2)};
  Opened opened = OpenLog(files, options);
  EXPECT_TRUE(Append(opened.log.get(), records[0]).ok());
  EXPECT_TRUE(Add(opened.log.get(), records[1]).ok());
  EXPECT_TRUE(Append(opened.log.get(), records[2]).ok());
  opened.log = nullptr;
  options.epoch = Epoch(2);
  opened = OpenLog(files, options);
  EXPECT_TRUE(Append(opened.log.get(), records[3]).ok());
  return records;
}

TEST(FormatTest, VersionOneStaysAsItIs) {
  const std::string path = Source("tests/unit/wal/golden/v1.wal");
  env::MemoryFileSystem written;
  const std::vector<KnownRecord> records = WriteGolden(&written);
  const auto& bytes = written.Content("log/0000000000000001.wal");
  if (std::getenv("PROXIST_WRITE_GOLDEN") != nullptr) {
    ASSERT_TRUE(env::PosixFileSystem().WriteAtomically(path, bytes).ok());
  }
  const auto golden = env::PosixFileSystem().ReadAll(path, 1 << 20);
  ASSERT_TRUE(golden.ok()) << golden.status();
  EXPECT_TRUE(*golden == bytes) << "the bytes written differ from " << path;
  env::MemoryFileSystem files;
  files.Put("log/0000000000000001.wal", *golden);
  const Opened read = ReadAll(&files, "log");
  ASSERT_TRUE(read.status.ok()) << read.status;
  EXPECT_EQ(read.records, records);
  EXPECT_EQ(read.report.frames, 3u);
  EXPECT_FALSE(read.report.torn_tail);
}

}  // namespace
}  // namespace proxist::wal
