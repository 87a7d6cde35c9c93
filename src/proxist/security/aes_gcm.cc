#include "proxist/security/aes_gcm.h"

#include <algorithm>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "proxist/base/check.h"

namespace proxist::security {
namespace {

// EVP_*Update takes an int.
constexpr size_t kMaxUpdateBytes = size_t{1} << 30;

const unsigned char* Unsigned(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}
unsigned char* Unsigned(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }

/// Calls `update(bytes, count)` for pieces that an int can count.
template <typename Byte, typename Update>
void InPieces(std::span<Byte> bytes, const Update& update) {
  while (!bytes.empty()) {
    const size_t count = std::min(bytes.size(), kMaxUpdateBytes);
    PX_CHECK(update(bytes.data(), static_cast<int>(count)) == 1);
    bytes = bytes.subspan(count);
  }
}

}  // namespace

SecretKey::~SecretKey() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

void AesGcm::Free::operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }

AesGcm::AesGcm(const SecretKey& key) : seal_(EVP_CIPHER_CTX_new()), open_(EVP_CIPHER_CTX_new()) {
  const unsigned char* bytes = Unsigned(key.bytes().data());
  PX_CHECK(seal_ != nullptr && open_ != nullptr);
  PX_CHECK(EVP_EncryptInit_ex(seal_.get(), EVP_aes_256_gcm(), nullptr, bytes, nullptr) == 1);
  PX_CHECK(EVP_DecryptInit_ex(open_.get(), EVP_aes_256_gcm(), nullptr, bytes, nullptr) == 1);
}

AesGcm::~AesGcm() = default;

void AesGcm::Seal(const Nonce& nonce, ByteSpan header, std::span<std::byte> text,
                  std::span<std::byte, env::kTagBytes> tag) {
  EVP_CIPHER_CTX* context = seal_.get();
  int written = 0;
  PX_CHECK(EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, Unsigned(nonce.data())) == 1);
  InPieces(header, [&](const std::byte* bytes, int count) {
    return EVP_EncryptUpdate(context, nullptr, &written, Unsigned(bytes), count);
  });
  InPieces(text, [&](std::byte* bytes, int count) {
    return EVP_EncryptUpdate(context, Unsigned(bytes), &written, Unsigned(bytes), count);
  });
  std::array<unsigned char, env::kTagBytes> rest{};
  PX_CHECK(EVP_EncryptFinal_ex(context, rest.data(), &written) == 1 && written == 0);
  PX_CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, env::kTagBytes, tag.data()) == 1);
}

bool AesGcm::Open(const Nonce& nonce, ByteSpan header, std::span<std::byte> text,
                  std::span<const std::byte, env::kTagBytes> tag) {
  EVP_CIPHER_CTX* context = open_.get();
  int written = 0;
  PX_CHECK(EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, Unsigned(nonce.data())) == 1);
  InPieces(header, [&](const std::byte* bytes, int count) {
    return EVP_DecryptUpdate(context, nullptr, &written, Unsigned(bytes), count);
  });
  InPieces(text, [&](std::byte* bytes, int count) {
    return EVP_DecryptUpdate(context, Unsigned(bytes), &written, Unsigned(bytes), count);
  });
  std::array<std::byte, env::kTagBytes> expected{};
  std::ranges::copy(tag, expected.begin());
  PX_CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, env::kTagBytes, expected.data()) ==
           1);
  std::array<unsigned char, env::kTagBytes> rest{};
  return EVP_DecryptFinal_ex(context, rest.data(), &written) == 1;
}

SecretKey DeriveKey(const SecretKey& key, ByteSpan salt, std::string_view purpose) {
  const auto text = [](const char* name, const void* bytes, size_t count) {
    return OSSL_PARAM_construct_octet_string(name, const_cast<void*>(bytes), count);
  };
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      text(OSSL_KDF_PARAM_KEY, key.bytes().data(), key.bytes().size()),
      text(OSSL_KDF_PARAM_SALT, salt.data(), salt.size()),
      text(OSSL_KDF_PARAM_INFO, purpose.data(), purpose.size()), OSSL_PARAM_construct_end()};
  const std::unique_ptr<EVP_KDF, decltype(&EVP_KDF_free)> kdf(
      EVP_KDF_fetch(nullptr, "HKDF", nullptr), &EVP_KDF_free);
  PX_CHECK(kdf != nullptr);
  const std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> context(
      EVP_KDF_CTX_new(kdf.get()), &EVP_KDF_CTX_free);
  PX_CHECK(context != nullptr);
  SecretKey derived;
  PX_CHECK(EVP_KDF_derive(context.get(), Unsigned(derived.bytes().data()), kKeyBytes, parameters) ==
           1);
  return derived;
}

void FillRandom(std::span<std::byte> out) {
  PX_CHECK(RAND_bytes(Unsigned(out.data()), static_cast<int>(out.size())) == 1);
}

}  // namespace proxist::security
