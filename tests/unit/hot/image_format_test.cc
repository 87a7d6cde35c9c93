// FORMAT.md says what the code does, version 1 stays as it is, and damage is told from content.
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/hot/chunk_file.h"
#include "proxist/hot/image.h"
#include "proxist/hot/internal/chunk_file_format.h"
#include "tests/unit/format_page.h"
#include "tests/unit/hot/rows.h"
#include "tests/unit/wal/memory_file_system.h"

namespace proxist::hot {
namespace {

using ::testing::HasSubstr;

constexpr FileIdentity kIdentity{42, ShardId(3)};

/// 40 rows of every type in one series: two sealed chunks of 16 and less, an overlay with a cancel.
void Fill(Store* store) {
  const auto schema = EveryType();
  store->SetSchema(schema);
  for (uint64_t lsn = 1; lsn <= 40; ++lsn) {
    column::BatchBuilder builder(schema);
    const bool back = lsn % 9 == 0;
    builder.AddRow("A", Timestamp(static_cast<int64_t>(back ? lsn - 5 : lsn) * 1000), back ? 1 : 0,
                   lsn == 36 ? column::Op::kCancel : column::Op::kPut);
    builder.SetText(0, "x");
    SetCells(*schema, lsn, &builder);
    store->Scatter(builder.Build(), Lsn(lsn), Timestamp(7));
  }
  store->Publish(Lsn(40));
}

struct Written {
  env::MemoryFileSystem files;
  std::vector<ChunkPlace> places;
  std::vector<std::byte> series;
};

void Write(const Store& store, Written* out) {
  auto writer = ChunkFileWriter::Create(&out->files, "snap", 5, Epoch(2), kIdentity);
  ASSERT_TRUE(writer.ok()) << writer.status();
  StoreImage image(&store);
  while (StoredSeries* series = image.Next()) {
    for (size_t i = 0; i < series->chunks.size(); ++i) {
      const auto place = (*writer)->Add(
          [&](std::vector<std::byte>* bytes) { return image.EncodeChunk(i, bytes); });
      ASSERT_TRUE(place.ok());
      series->chunks[i].place = *place;
      out->places.push_back(*place);
    }
    EncodeStoredSeries(*series, &out->series);
  }
  ASSERT_TRUE((*writer)->Finish().ok());
}

TEST(ImageFormatTest, TheDocumentAgreesWithTheCode) {
  const std::string page = FormatPage("src/proxist/hot/FORMAT.md");
  EXPECT_EQ(Documented(page, "file"),
            Coded(internal::chunk_file_field::kAll, kChunkFileHeaderBytes));
  EXPECT_EQ(Documented(page, "encrypted"), Coded(internal::chunk_file_field::kEncrypted, 96, 64));
  EXPECT_EQ(Documented(page, "envelope"),
            Coded(internal::envelope_field::kAll, internal::envelope_field::kBytes));
  EXPECT_THAT(page, HasSubstr(fmt::format("Chunk file, version {}\n", kEncryptedChunkFileVersion)));
  EXPECT_EQ(Documented(page, "block"),
            Coded(internal::block_field::kAll, internal::kBlockHeaderBytes));
  EXPECT_EQ(Documented(page, "column"),
            Coded(internal::column_field::kAll, internal::kBlockColumnBytes));
  EXPECT_THAT(page, HasSubstr(fmt::format("Chunk file, version {}\n", kChunkFileVersion)));
  EXPECT_THAT(page, HasSubstr(fmt::format("multiple of {} bytes from the block's start",
                                          internal::kFileAlignment)));
  const auto magic = [](auto value) {
    return fmt::format("`{}`",
                       std::string_view(reinterpret_cast<const char*>(&value), sizeof value));
  };
  EXPECT_THAT(page, HasSubstr(magic(kChunkFileMagic)));
  EXPECT_THAT(page, HasSubstr(magic(kEnvelopeMagic)));
  EXPECT_THAT(page, HasSubstr(magic(internal::kBlockMagic)));
}

TEST(ImageFormatTest, FileNames) {
  EXPECT_EQ(ChunkFileName(0x1f), "000000000000001f.chunks");
  EXPECT_EQ(ParseChunkFileName("000000000000001f.chunks"), 0x1f);
  for (const char* name : {"", ".chunks", "1.chunks", "000000000000001F.chunks",
                           "0000000000000000.chunks", "000000000000001f.chunks.tmp"}) {
    EXPECT_FALSE(ParseChunkFileName(name).has_value()) << name;
  }
}

TEST(ImageFormatTest, VersionOneStaysAsItIs) {
  Store store({.huge_pages = false});
  Fill(&store);
  Written written;
  Write(store, &written);
  ASSERT_EQ(written.places.size(), 1U);
  const std::pair<const char*, const env::MemoryFileSystem::Bytes*> goldens[] = {
      {"tests/unit/hot/golden/v1.chunks", &written.files.Content("snap/0000000000000005.chunks")},
      {"tests/unit/hot/golden/v1.series", &written.series}};
  for (const auto& [name, bytes] : goldens) {
    const std::string path = Source(name);
    if (std::getenv("PROXIST_WRITE_GOLDEN") != nullptr) {
      ASSERT_TRUE(env::PosixFileSystem().WriteAtomically(path, *bytes).ok());
    }
    const auto golden = env::PosixFileSystem().ReadAll(path, 1 << 20);
    ASSERT_TRUE(golden.ok()) << golden.status();
    EXPECT_TRUE(*golden == *bytes) << "the bytes written differ from " << path;
  }
}

TEST(ImageFormatTest, EveryFlippedBitIsFoundOrMeansNothing) {
  Store store({.huge_pages = false});
  Fill(&store);
  Written written;
  Write(store, &written);
  const std::string path = "snap/0000000000000005.chunks";
  const auto whole = written.files.Content(path);
  for (size_t at = 0; at < whole.size(); ++at) {
    auto bytes = whole;
    bytes[at] ^= std::byte{0x20};
    written.files.Put(path, bytes);
    auto reader = ChunkFileReader::Open(&written.files, path, kIdentity);
    Status status = reader.status();
    if (status.ok()) {
      status = (*reader)->Visit([](auto, auto, const auto&) { return OkStatus(); });
    }
    EXPECT_FALSE(status.ok()) << at;
    if (absl::IsDataLoss(status)) {
      EXPECT_THAT(std::string(Message(status)), HasSubstr(path + ": damaged at offset"));
    }
  }
  for (const size_t size : {size_t{0}, size_t{63}, size_t{64 + 30}, whole.size() - 64}) {
    auto bytes = whole;
    bytes.resize(size);
    written.files.Put(path, bytes);
    auto reader = ChunkFileReader::Open(&written.files, path, kIdentity);
    EXPECT_FALSE(reader.ok() && (*reader)->Read(written.places[0]).ok()) << size;
  }
  written.files.Put(path, whole);
  const FileIdentity other{43, ShardId(3)};
  EXPECT_TRUE(
      absl::IsFailedPrecondition(ChunkFileReader::Open(&written.files, path, other).status()));
}

}  // namespace
}  // namespace proxist::hot
