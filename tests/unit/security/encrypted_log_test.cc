// The log under real encryption: what is kept, what is refused, and that no nonce serves twice.
#include <cstdlib>

#include "proxist/wal/inspect.h"
#include "tests/unit/format_page.h"
#include "tests/unit/security/fixed_keys.h"
#include "tests/unit/wal/log_fixture.h"

namespace proxist::wal {
namespace {

using security::FixedKeys;
using ::testing::HasSubstr;

constexpr char kFirst[] = "log/0000000000000001.wal";
constexpr char kSecond[] = "log/0000000000000002.wal";

class EncryptedLogTest : public ::testing::Test {
 protected:
  Opened Open(uint32_t epoch, bool with_keys = true) {
    LogOptions options = SmallLog();
    options.epoch = Epoch(epoch);
    options.keys = with_keys ? &keys_ : nullptr;
    return OpenLog(&files_, options);
  }
  Opened Read(env::Keyring* keys) {
    Opened read;
    read.status = ReadLog(&files_, "log", Collect(&read.records), &read.report, keys);
    return read;
  }
  [[nodiscard]] bool Contains(const std::string& text) const {
    return std::ranges::any_of(files_.contents(), [&](const auto& file) {
      return AsText(file.second).find(text) != std::string_view::npos;
    });
  }

  env::MemoryFileSystem files_;
  FixedKeys keys_;
};

TEST_F(EncryptedLogTest, RecordsComeBackAndNoFileShowsThem) {
  std::vector<KnownRecord> records;
  uint64_t lsn = 1;
  for (uint32_t epoch = 1; epoch <= 3; ++epoch) {
    Opened opened = Open(epoch);
    ASSERT_TRUE(opened.status.ok()) << opened.status;
    EXPECT_EQ(opened.records, records);
    for (const size_t bytes : {0, 100, 4096 - 104 - 24 - 16, 4096 - 104 - 24, 20'000}) {
      records.push_back(MakeRecord(lsn, 1, bytes, epoch));
      ++lsn;
      const auto level = lsn % 2 == 0 ? FrameLevel::kSynced : FrameLevel::kUnsynced;
      ASSERT_TRUE(Append(opened.log.get(), records.back(), level).ok());
    }
  }
  EXPECT_TRUE(files_.contents().contains(kSecond));
  const Opened read = Read(&keys_);
  ASSERT_TRUE(read.status.ok()) << read.status;
  EXPECT_EQ(read.records, records);
  for (const KnownRecord& record : records) {
    EXPECT_FALSE(!record.payload.empty() && Contains(record.payload.substr(0, 32)));
  }
}

TEST_F(EncryptedLogTest, WithoutTheKeyNothingIsReadAndNothingChanges) {
  Opened opened = Open(1);
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(1, 1, 100)).ok());
  opened.log = nullptr;
  const auto before = files_.contents();
  FixedKeys without;
  without.Forget(KeyId(1));
  LogOptions options = SmallLog();
  options.epoch = Epoch(2);
  for (env::Keyring* keys :
       {static_cast<env::Keyring*>(nullptr), static_cast<env::Keyring*>(&without)}) {
    options.keys = keys;
    const Status status = OpenLog(&files_, options).status;
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(Message(status), HasSubstr(kFirst));
    EXPECT_THAT(Message(status), HasSubstr("key 1"));
    EXPECT_TRUE(files_.contents() == before);
  }
  EXPECT_THAT(Message(ReadAll(&files_, "log").status), HasSubstr("--master-key"));
}

TEST_F(EncryptedLogTest, ANewKeyTakesEffectAtTheNextSegment) {
  std::vector<KnownRecord> records;
  Opened opened = Open(1);
  const auto append = [&] {
    records.push_back(MakeRecord(records.size() + 1, 1, 20'000));
    ASSERT_TRUE(Append(opened.log.get(), records.back()).ok());
  };
  append();
  keys_.Rotate();
  while (!files_.contents().contains(kSecond)) append();
  std::vector<uint32_t> used;
  ReplayReport report;
  LogVisitor visitor;
  visitor.segment = [&](const SegmentInfo& segment) {
    used.push_back(segment.key.value());
    return OkStatus();
  };
  ASSERT_TRUE(InspectLog(&files_, "log", visitor, &report, &keys_).ok());
  EXPECT_EQ(used, (std::vector<uint32_t>{1, 2}));
  EXPECT_EQ(Read(&keys_).records, records);
}

TEST_F(EncryptedLogTest, ALogThatWasPlainGoesOnInANewSegment) {
  Opened opened = Open(1, /*with_keys=*/false);
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(1, 1, 100)).ok());
  const std::vector<std::byte> plain = files_.Content(kFirst);
  opened = Open(2);
  ASSERT_TRUE(opened.status.ok()) << opened.status;
  const KnownRecord secret = MakeRecord(2, 1, 100, 2);
  ASSERT_TRUE(Append(opened.log.get(), secret).ok());
  EXPECT_TRUE(files_.Content(kFirst) == plain);
  EXPECT_FALSE(Contains(secret.payload));
  EXPECT_EQ(Read(&keys_).records, (std::vector<KnownRecord>{MakeRecord(1, 1, 100), secret}));
}

TEST_F(EncryptedLogTest, WhatWasChangedIsDamageEvenWithRightChecksums) {
  Opened opened = Open(1);
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(1, 1, 100)).ok());
  // The same file under another file's key: every checksum fits, nothing else does.
  keys_.Rotate();
  FixedKeys other;
  other.NewFileKey();
  env::MemoryFileSystem elsewhere;
  LogOptions options = SmallLog();
  options.keys = &other;
  Opened forged = OpenLog(&elsewhere, options);
  ASSERT_TRUE(Append(forged.log.get(), MakeRecord(1, 1, 100)).ok());
  auto& bytes = files_.Content(kFirst);
  // The forger's frame, made to continue this log's chain by its own header: the tag tells.
  const auto& theirs = elsewhere.Content(kFirst);
  std::copy(theirs.begin() + 4096, theirs.end(), bytes.begin() + 4096);
  EXPECT_TRUE(absl::IsDataLoss(Read(&keys_).status)) << Read(&keys_).status;
}

// A write that power loss tore is cut off, and its place is written again in the next epoch: with
// the place alone as its nonce, both texts would be under one.
TEST_F(EncryptedLogTest, NoNonceServesTwoTexts) {
  uint64_t lsn = 1;
  uint32_t crashes = 0;
  for (uint32_t epoch = 1; epoch <= 200; ++epoch) {
    Opened opened = Open(epoch);
    ASSERT_TRUE(opened.status.ok()) << opened.status;
    for (const KnownRecord& record : opened.records) lsn = std::max(lsn, record.last + 1);
    lsn += epoch;  // what is written after a crash differs from what was lost
    files_.CrashAfter(1 + epoch % 7, epoch);
    for (int i = 0; i < 8 && !files_.crashed(); ++i) {
      const auto level = (epoch + i) % 3 == 0 ? FrameLevel::kUnsynced : FrameLevel::kSynced;
      (void)Append(opened.log.get(), MakeRecord(lsn, 1, 50 * (1 + i), epoch), level);
      ++lsn;
    }
    crashes += files_.crashed() ? 1 : 0;
    opened.log = nullptr;
    files_.Reboot();
  }
  EXPECT_EQ(keys_.reused(), 0u);
  EXPECT_GT(crashes, 100u);
  // The test proves something only if the same places were written in several epochs.
  std::map<std::pair<std::string, uint64_t>, uint32_t> places;
  for (const auto& [where, text] : keys_.sealed()) ++places[{where.first, where.second.position}];
  EXPECT_GT(std::ranges::count_if(places, [](const auto& place) { return place.second > 1; }), 20);
}

std::vector<std::byte> WriteGolden() {
  env::MemoryFileSystem files;
  FixedKeys keys;
  LogOptions options = SmallLog();
  options.keys = &keys;
  Opened opened = OpenLog(&files, options);
  EXPECT_TRUE(Append(opened.log.get(), MakeRecord(1, 10, 100)).ok());
  EXPECT_TRUE(Add(opened.log.get(), MakeRecord(11, 1, 0)).ok());
  EXPECT_TRUE(Append(opened.log.get(), MakeRecord(12, 1, 5000), FrameLevel::kUnsynced).ok());
  opened.log = nullptr;
  options.epoch = Epoch(2);
  opened = OpenLog(&files, options);
  EXPECT_TRUE(Append(opened.log.get(), MakeRecord(1000, 2, 13, 2)).ok());
  return files.Content(kFirst);
}

TEST_F(EncryptedLogTest, TheVersionThatIsWrittenStaysAsItIs) {
  const std::string path = Source("tests/unit/security/golden/v3.wal");
  if (std::getenv("PROXIST_WRITE_GOLDEN") != nullptr) {
    ASSERT_TRUE(env::PosixFileSystem().WriteAtomically(path, WriteGolden()).ok());
  }
  const auto golden = env::PosixFileSystem().ReadAll(path, 1 << 20);
  ASSERT_TRUE(golden.ok()) << golden.status();
  EXPECT_TRUE(*golden == WriteGolden()) << "the bytes written differ";
  files_.Put(kFirst, *golden);
  EXPECT_EQ(Read(&keys_).records,
            (std::vector<KnownRecord>{MakeRecord(1, 10, 100), MakeRecord(11, 1, 0),
                                      MakeRecord(12, 1, 5000), MakeRecord(1000, 2, 13, 2)}));
}

}  // namespace
}  // namespace proxist::wal
