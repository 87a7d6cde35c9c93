// AES-256-GCM and key derivation over OpenSSL.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "proxist/base/bytes.h"
#include "proxist/base/status.h"
#include "proxist/env/cipher.h"

using EVP_CIPHER_CTX = struct evp_cipher_ctx_st;

namespace proxist::security {

inline constexpr size_t kKeyBytes = 32;
inline constexpr size_t kNonceBytes = 12;

/// 256 secret bits; wiped when it goes.
class SecretKey {
 public:
  SecretKey() = default;
  SecretKey(const SecretKey&) = default;
  SecretKey& operator=(const SecretKey&) = default;
  ~SecretKey();
  [[nodiscard]] std::span<std::byte, kKeyBytes> bytes() { return bytes_; }
  [[nodiscard]] std::span<const std::byte, kKeyBytes> bytes() const { return bytes_; }
  bool operator==(const SecretKey&) const = default;

 private:
  std::array<std::byte, kKeyBytes> bytes_{};
};

/// One thread.
class AesGcm {
 public:
  using Nonce = std::array<std::byte, kNonceBytes>;
  explicit AesGcm(const SecretKey& key);
  ~AesGcm();
  AesGcm(const AesGcm&) = delete;
  AesGcm& operator=(const AesGcm&) = delete;

  /// In place. `nonce` was never used with this key, but for the same `header` and `text`.
  void Seal(const Nonce& nonce, ByteSpan header, std::span<std::byte> text,
            std::span<std::byte, env::kTagBytes> tag);
  /// In place; false when anything is not what was sealed, `text` means nothing then.
  bool Open(const Nonce& nonce, ByteSpan header, std::span<std::byte> text,
            std::span<const std::byte, env::kTagBytes> tag);

 private:
  struct Free {
    void operator()(EVP_CIPHER_CTX* context) const;
  };
  std::unique_ptr<EVP_CIPHER_CTX, Free> seal_;
  std::unique_ptr<EVP_CIPHER_CTX, Free> open_;
};

/// HKDF-SHA256 of `key` with `salt`, for `purpose`.
SecretKey DeriveKey(const SecretKey& key, ByteSpan salt, std::string_view purpose);
/// From the operating system's generator; it never fails on a system that runs.
void FillRandom(std::span<std::byte> out);

}  // namespace proxist::security
