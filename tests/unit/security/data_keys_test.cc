// Master keys from everywhere, and the data keys that they wrap.
#include "proxist/security/data_keys.h"

#include <cstdlib>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/meta/scratch_directory.h"

namespace proxist::security {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kHex(64, 'a');
const std::string kOtherHex(64, 'b');

TEST(MasterKeyTest, IsReadFromHexAndBase64) {
  const auto hex = ParseMasterKey(" " + kHex + "\n");
  ASSERT_TRUE(hex.ok()) << hex.status();
  EXPECT_EQ(hex->secret.bytes()[31], std::byte{0xaa});
  const auto base64 = ParseMasterKey("qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=\n");
  ASSERT_TRUE(base64.ok()) << base64.status();
  EXPECT_EQ(base64->secret, hex->secret);
}

TEST(MasterKeyTest, OtherTextsAreRefusedAndNotRepeated) {
  for (const std::string& text :
       {std::string(), std::string("secret"), kHex + "a", std::string(64, 'g'), kHex.substr(2)}) {
    const Status status = ParseMasterKey(text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_TRUE(text.empty() || std::string(Message(status)).find(text) == std::string::npos);
  }
}

TEST(MasterKeyTest, ComesFromAFileAVariableOrACommand) {
  meta::ScratchDirectory scratch;
  const std::string path = scratch.File("key");
  std::ofstream(path) << kHex << "\n";
  const SecretKey expected = ParseMasterKey(kHex)->secret;
  setenv("PROXIST_TEST_MASTER_KEY", kHex.c_str(), 1);
  for (const std::string& source :
       {"file:" + path, std::string("env:PROXIST_TEST_MASTER_KEY"), "command:cat " + path}) {
    const auto key = LoadMasterKey(source);
    ASSERT_TRUE(key.ok()) << key.status();
    EXPECT_EQ(key->secret, expected) << source;
  }
  unsetenv("PROXIST_TEST_MASTER_KEY");
  const std::pair<std::string, absl::StatusCode> bad[] = {
      {"file:" + path + ".none", absl::StatusCode::kNotFound},
      {"env:PROXIST_TEST_MASTER_KEY", absl::StatusCode::kNotFound},
      {"command:exit 3", absl::StatusCode::kFailedPrecondition},
      {"command:true", absl::StatusCode::kInvalidArgument},
      {kHex, absl::StatusCode::kInvalidArgument},
      {"file:", absl::StatusCode::kInvalidArgument},
      {"vault:x", absl::StatusCode::kInvalidArgument}};
  for (const auto& [source, code] : bad) {
    EXPECT_EQ(LoadMasterKey(source).status().code(), code) << source;
  }
  EXPECT_THAT(Message(LoadMasterKey("command:exit 3").status()), HasSubstr("exit code 3"));
}

class DataKeysTest : public ::testing::Test {
 protected:
  DataKeysTest() : store_(*meta::OpenSqliteStore(scratch_.File("meta.db"))) {}
  StatusOr<std::unique_ptr<DataKeys>> Open(const std::string& master,
                                           const std::string& previous = "") {
    std::optional<MasterKey> before;
    if (!previous.empty()) before = *ParseMasterKey(previous);
    return DataKeys::Open(store_.get(), *ParseMasterKey(master), before);
  }

  meta::ScratchDirectory scratch_;
  std::unique_ptr<meta::MetadataStore> store_;
};

std::string SealWith(DataKeys* keys, const env::FileKey& key) {
  const auto cipher = keys->CipherFor(key);
  EXPECT_TRUE(cipher.ok()) << cipher.status();
  std::string text = "some rows";
  std::array<std::byte, env::kTagBytes> tag;
  (*cipher)->Seal({1, 4096}, {}, std::as_writable_bytes(std::span(text)), tag);
  return text;
}

TEST_F(DataKeysTest, KeysOutliveTheProcessAndRotation) {
  EXPECT_FALSE(*HasDataKeys(store_.get()));
  auto keys = Open(kHex);
  ASSERT_TRUE(keys.ok());
  EXPECT_TRUE((*keys)->List().empty());
  ASSERT_EQ(*(*keys)->Rotate(Timestamp(5), "me"), KeyId(1));
  EXPECT_TRUE(*HasDataKeys(store_.get()));
  const env::FileKey first = (*keys)->NewFileKey();
  EXPECT_EQ(first.id, KeyId(1));
  EXPECT_NE(first.salt, (*keys)->NewFileKey().salt);
  const std::string sealed = SealWith(keys->get(), first);
  ASSERT_EQ(*(*keys)->Rotate(Timestamp(6), "me"), KeyId(2));
  EXPECT_EQ((*keys)->NewFileKey().id, KeyId(2));

  keys = Open(kHex);
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(SealWith(keys->get(), first), sealed);
  env::FileKey second = first;
  second.id = KeyId(2);
  EXPECT_NE(SealWith(keys->get(), second), sealed);
  const auto list = (*keys)->List();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].created, Timestamp(5));
  EXPECT_FALSE(list[0].current);
  EXPECT_TRUE(list[1].current);
  second.id = KeyId(3);
  EXPECT_TRUE(absl::IsFailedPrecondition((*keys)->CipherFor(second).status()));
}

TEST_F(DataKeysTest, AKeyIsIdleOnceNobodyWritesUnderIt) {
  auto keys = Open(kHex);
  ASSERT_TRUE(keys.ok());
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE((*keys)->Rotate(Timestamp(i), "me").ok());
    EXPECT_TRUE((*keys)->Idle().empty() || i > 1);
  }
  EXPECT_THAT((*keys)->Idle(), ElementsAre(KeyId(1), KeyId(2)));
  // Given to a file; then the file's cipher lives; then the file is complete.
  const env::FileKey file = (*keys)->NewFileKey();
  ASSERT_EQ(file.id, KeyId(3));
  ASSERT_TRUE((*keys)->Rotate(Timestamp(4), "me").ok());
  EXPECT_THAT((*keys)->Idle(), ElementsAre(KeyId(1), KeyId(2)));
  auto cipher = (*keys)->CipherFor(file);
  ASSERT_TRUE(cipher.ok());
  EXPECT_THAT((*keys)->Idle(), ElementsAre(KeyId(1), KeyId(2)));
  cipher->reset();
  EXPECT_THAT((*keys)->Idle(), ElementsAre(KeyId(1), KeyId(2), KeyId(3)));

  ASSERT_TRUE((*keys)->Retire({KeyId(1), KeyId(3)}, "me").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition((*keys)->CipherFor(file).status()));
  for (int life = 0; life < 2; ++life) {
    const auto list = (*keys)->List();
    ASSERT_EQ(list.size(), 2u);
    EXPECT_EQ(list[0].id, KeyId(2));
    EXPECT_EQ(list[1].id, KeyId(4));
    keys = Open(kHex);
    ASSERT_TRUE(keys.ok()) << keys.status();
  }
  // A number is never given again.
  ASSERT_TRUE((*keys)->Retire((*keys)->Idle(), "me").ok());
  EXPECT_EQ(*(*keys)->Rotate(Timestamp(5), "me"), KeyId(5));
}

TEST_F(DataKeysTest, AWrongMasterKeyIsRefusedAndChangesNothing) {
  ASSERT_TRUE((*Open(kHex))->Rotate(Timestamp(5), "me").ok());
  const auto before = store_->List("keys/");
  const Status status = Open(kOtherHex).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(Message(status), HasSubstr("does not open data key 1"));
  EXPECT_EQ(store_->List("keys/")->at(0).value, before->at(0).value);
}

TEST_F(DataKeysTest, AnotherMasterKeyTakesOver) {
  env::FileKey file;
  std::string sealed;
  {
    auto keys = Open(kHex);
    ASSERT_TRUE((*keys)->Rotate(Timestamp(5), "me").ok());
    file = (*keys)->NewFileKey();
    sealed = SealWith(keys->get(), file);
  }
  EXPECT_FALSE(Open(kOtherHex, std::string(64, 'c')).ok());
  auto keys = Open(kOtherHex, kHex);
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(SealWith(keys->get(), file), sealed);
  EXPECT_TRUE(Open(kOtherHex).ok());
  EXPECT_FALSE(Open(kHex).ok());
}

TEST_F(DataKeysTest, WhatMetadataHoldsIsChecked) {
  ASSERT_TRUE((*Open(kHex))->Rotate(Timestamp(5), "me").ok());
  const meta::Entry entry = store_->List("keys/")->at(0);
  const auto apply = [&](const std::string& key, const std::optional<std::string>& value) {
    const meta::Mutation mutation{key, value, std::nullopt};
    EXPECT_TRUE(store_->Apply({&mutation, 1}, "test", "test").ok());
  };
  const auto with = [&](const std::string& key, const std::string& value) {
    apply(entry.key, std::nullopt);
    apply(key, value);
    const Status status = Open(kHex).status();
    apply(key, std::nullopt);
    apply(entry.key, entry.value);
    return status.code();
  };
  EXPECT_EQ(with("keys/data/0000000002", entry.value), absl::StatusCode::kDataLoss);
  EXPECT_EQ(with(entry.key, entry.value + "x"), absl::StatusCode::kDataLoss);
  EXPECT_FALSE(absl::StatusCode::kOk == with(entry.key, entry.value.substr(0, 20)));
  std::string newer = entry.value;
  newer[0] = 2;
  EXPECT_EQ(with(entry.key, newer), absl::StatusCode::kFailedPrecondition);
  std::string flipped = entry.value;
  flipped[40] ^= 1;
  EXPECT_EQ(with(entry.key, flipped), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Open(kHex).ok());
}

}  // namespace
}  // namespace proxist::security
