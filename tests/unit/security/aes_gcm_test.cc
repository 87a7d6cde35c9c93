// AES-256-GCM against published vectors, and key derivation.
#include "proxist/security/aes_gcm.h"

#include <string>

#include <absl/strings/escaping.h>
#include <gtest/gtest.h>

namespace proxist::security {
namespace {

std::string Hex(ByteSpan bytes) { return absl::BytesToHexString(std::string(AsText(bytes))); }

std::vector<std::byte> FromHex(std::string_view hex) {
  const std::string bytes = absl::HexStringToBytes(std::string(hex));
  return {AsBytes(bytes).begin(), AsBytes(bytes).end()};
}

SecretKey KeyOf(std::string_view hex) {
  SecretKey key;
  std::ranges::copy(FromHex(hex), key.bytes().begin());
  return key;
}

// Test cases 14 and 16 of the paper that defines GCM, with 256-bit keys.
TEST(AesGcmTest, AgreesWithThePublishedVectors) {
  AesGcm zero{SecretKey()};
  std::vector<std::byte> text(16);
  std::array<std::byte, env::kTagBytes> tag;
  zero.Seal({}, {}, text, tag);
  EXPECT_EQ(Hex(text), "cea7403d4d606b6e074ec5d3baf39d18");
  EXPECT_EQ(Hex(tag), "d0d1c8a799996bf0265b98b5d48ab919");

  AesGcm gcm(KeyOf("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"));
  AesGcm::Nonce nonce;
  std::ranges::copy(FromHex("cafebabefacedbaddecaf888"), nonce.begin());
  text = FromHex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6"
      "b5"
      "25b16aedf5aa0de657ba637b39");
  gcm.Seal(nonce, FromHex("feedfacedeadbeeffeedfacedeadbeefabaddad2"), text, tag);
  EXPECT_EQ(
      Hex(text),
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b105"
      "6828838c5f61e6393ba7a0abcc9f662");
  EXPECT_EQ(Hex(tag), "76fc6ece0f4e1768cddf8853bb2d551b");
}

TEST(AesGcmTest, OpensWhatWasSealedAndNothingElse) {
  AesGcm gcm(KeyOf("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"));
  for (const size_t size : {0, 1, 15, 16, 17, 4096, 70'001}) {
    std::vector<std::byte> text(size, std::byte{7});
    const std::vector<std::byte> plain = text;
    const std::vector<std::byte> header(24, std::byte{9});
    AesGcm::Nonce nonce{};
    nonce[3] = std::byte{1};
    std::array<std::byte, env::kTagBytes> tag;
    gcm.Seal(nonce, header, text, tag);
    const std::vector<std::byte> sealed = text;
    EXPECT_TRUE(gcm.Open(nonce, header, text, tag));
    EXPECT_EQ(text, plain);

    const auto opens = [&](AesGcm* with, AesGcm::Nonce n, std::vector<std::byte> h,
                           std::vector<std::byte> t, std::array<std::byte, env::kTagBytes> proof) {
      return with->Open(n, h, t, proof);
    };
    AesGcm other{SecretKey()};
    EXPECT_FALSE(opens(&other, nonce, header, sealed, tag));
    auto wrong_nonce = nonce;
    wrong_nonce[11] ^= std::byte{1};
    EXPECT_FALSE(opens(&gcm, wrong_nonce, header, sealed, tag));
    auto wrong_header = header;
    wrong_header[5] ^= std::byte{1};
    EXPECT_FALSE(opens(&gcm, nonce, wrong_header, sealed, tag));
    auto wrong_tag = tag;
    wrong_tag[15] ^= std::byte{1};
    EXPECT_FALSE(opens(&gcm, nonce, header, sealed, wrong_tag));
    if (size == 0) continue;
    auto wrong_text = sealed;
    wrong_text[size / 2] ^= std::byte{1};
    EXPECT_FALSE(opens(&gcm, nonce, header, wrong_text, tag));
  }
}

TEST(AesGcmTest, DerivedKeysDifferBySaltKeyAndPurpose) {
  const SecretKey zero;
  const SecretKey other = KeyOf("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
  const std::vector<std::byte> salt(16), salt2(16, std::byte{1});
  const SecretKey derived = DeriveKey(zero, salt, "a");
  EXPECT_EQ(derived, DeriveKey(zero, salt, "a"));
  EXPECT_NE(derived, DeriveKey(zero, salt2, "a"));
  EXPECT_NE(derived, DeriveKey(zero, salt, "b"));
  EXPECT_NE(derived, DeriveKey(other, salt, "a"));
  EXPECT_NE(derived, zero);
}

}  // namespace
}  // namespace proxist::security
