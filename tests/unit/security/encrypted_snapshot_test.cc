// A shard under real encryption: recovery from snapshot and log, keys that change or are missing.
#include <gmock/gmock.h>

#include "tests/unit/security/fixed_keys.h"
#include "tests/unit/shard/snapshot_fixture.h"

namespace proxist::shard {
namespace {

using security::FixedKeys;
using ::testing::HasSubstr;

class EncryptedSnapshotTest : public SnapshotFixture {
 protected:
  EncryptedSnapshotTest() { keyring_ = &keys_; }
  void Fill(int batches) {
    for (int i = 0; i < batches; ++i) {
      WriteRandom();
      if (i % 7 == 0) FlushSome();
    }
  }
  [[nodiscard]] bool Contains(const std::string& text) const {
    return std::ranges::any_of(memory_.contents(), [&](const auto& file) {
      return AsText(file.second).find(text) != std::string_view::npos;
    });
  }

  FixedKeys keys_;
};

TEST_F(EncryptedSnapshotTest, RecoversFromSnapshotAndLogUnderSeveralKeys) {
  ASSERT_TRUE(OpenOver(&memory_).ok());
  for (int round = 0; round < 4; ++round) {
    Fill(30);
    ASSERT_TRUE(TakeSnapshot().ok());
    keys_.Rotate();
    Fill(10);
    const std::string described = Describe();
    ASSERT_TRUE(OpenOver(&memory_).ok());
    EXPECT_TRUE(report_.warnings.empty());
    EXPECT_GT(report_.snapshot_rows, 0u);
    EXPECT_EQ(Describe(), described);
  }
  EXPECT_EQ(keys_.reused(), 0u);
  EXPECT_GT(keys_.seals(), 100u);
  for (const char* text : {"quotes", "default"}) EXPECT_FALSE(Contains(text)) << text;
}

TEST_F(EncryptedSnapshotTest, WithoutTheKeyItDoesNotStartAndChangesNoFile) {
  ASSERT_TRUE(OpenOver(&memory_).ok());
  Fill(30);
  ASSERT_TRUE(TakeSnapshot().ok());
  const auto before = memory_.contents();
  keyring_ = nullptr;
  Status status = OpenOver(&memory_);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(Message(status), HasSubstr("encrypted under key 1"));
  EXPECT_TRUE(memory_.contents() == before);
  keyring_ = &keys_;
  keys_.Rotate();
  keys_.Forget(KeyId(1));
  status = OpenOver(&memory_);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_TRUE(memory_.contents() == before);
}

TEST_F(EncryptedSnapshotTest, PlainFilesStayReadable) {
  keyring_ = nullptr;
  ASSERT_TRUE(OpenOver(&memory_).ok());
  Fill(30);
  ASSERT_TRUE(TakeSnapshot().ok());
  Fill(10);
  EXPECT_TRUE(Contains("quotes"));
  std::string described = Describe();
  keyring_ = &keys_;
  ASSERT_TRUE(OpenOver(&memory_).ok());
  EXPECT_EQ(Describe(), described);
  Fill(30);
  ASSERT_TRUE(TakeSnapshot().ok());
  described = Describe();
  ASSERT_TRUE(OpenOver(&memory_).ok());
  EXPECT_EQ(Describe(), described);
}

TEST_F(EncryptedSnapshotTest, AFlippedBitIsFoundInEveryFile) {
  ASSERT_TRUE(OpenOver(&memory_).ok());
  Fill(40);
  ASSERT_TRUE(TakeSnapshot().ok());
  const env::MemoryFileSystem whole = memory_;
  for (const auto& [path, bytes] : whole.contents()) {
    if (!path.starts_with("snap/")) continue;
    for (size_t at = 0; at < bytes.size(); at += 1 + bytes.size() / 97) {
      env::MemoryFileSystem damaged = whole;
      damaged.Content(path)[at] ^= std::byte{4};
      const Status status = OpenOver(&damaged);
      // The log holds everything still, or the damage is named; nothing else comes of it.
      if (status.ok()) {
        EXPECT_FALSE(report_.warnings.empty()) << path << " at " << at;
      } else {
        EXPECT_TRUE(absl::IsDataLoss(status) || absl::IsFailedPrecondition(status)) << status;
      }
    }
  }
}

TEST_F(EncryptedSnapshotTest, TheVersionsThatAreWrittenStayAsTheyAre) {
  ASSERT_TRUE(OpenOver(&memory_).ok());
  Fill(25);
  ASSERT_TRUE(TakeSnapshot().ok());
  CompareWithGolden("tests/unit/security/golden/v2");
  RecoverFromGolden("tests/unit/security/golden/earlier/v2");
}

}  // namespace
}  // namespace proxist::shard
