// Real encryption under known keys and counted salts, which remembers every nonce.
#pragma once

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "proxist/env/cipher.h"
#include "proxist/security/aes_gcm.h"

namespace proxist::security {

/// One thread.
class FixedKeys final : public env::Keyring {
 public:
  /// What was sealed, by the file's salt and the nonce.
  using Sealed = std::map<std::pair<std::string, env::Nonce>, std::string>;

  void Rotate() { ++current_; }
  void Forget(KeyId id) { forgotten_ = id; }
  [[nodiscard]] uint64_t seals() const { return seals_; }
  [[nodiscard]] const Sealed& sealed() const { return sealed_; }
  /// Nonces that came with two texts.
  [[nodiscard]] uint64_t reused() const { return reused_; }

  env::FileKey NewFileKey() override {
    env::FileKey key{.id = KeyId(current_)};
    const uint64_t number = ++files_;
    std::memcpy(key.salt.data(), &number, sizeof number);
    return key;
  }
  StatusOr<std::unique_ptr<env::FileCipher>> CipherFor(const env::FileKey& key) override {
    if (key.id == forgotten_ || key.id.value() > current_) {
      return FailedPrecondition("there is no key {}", key.id.value());
    }
    SecretKey data;
    data.bytes()[0] = static_cast<std::byte>(key.id.value());
    return std::make_unique<Cipher>(this, std::string(AsText(key.salt)),
                                    DeriveKey(data, key.salt, "test"));
  }

 private:
  class Cipher final : public env::FileCipher {
   public:
    Cipher(FixedKeys* keys, std::string salt, const SecretKey& key)
        : keys_(keys), salt_(std::move(salt)), gcm_(key) {}
    void Seal(const env::Nonce& nonce, ByteSpan header, std::span<std::byte> text,
              std::span<std::byte, env::kTagBytes> tag) override {
      const std::string all = std::string(AsText(header)) + std::string(AsText(text));
      const auto [known, first] = keys_->sealed_.emplace(std::pair(salt_, nonce), all);
      if (!first && known->second != all) ++keys_->reused_;
      ++keys_->seals_;
      gcm_.Seal(Encode(nonce), header, text, tag);
    }
    Status Open(const env::Nonce& nonce, ByteSpan header, std::span<std::byte> text,
                std::span<const std::byte, env::kTagBytes> tag) override {
      return gcm_.Open(Encode(nonce), header, text, tag) ? OkStatus()
                                                         : DataLoss("not what was sealed");
    }

   private:
    static AesGcm::Nonce Encode(const env::Nonce& nonce) {
      AesGcm::Nonce bytes{};
      std::memcpy(bytes.data(), &nonce.epoch, sizeof nonce.epoch);
      std::memcpy(bytes.data() + sizeof nonce.epoch, &nonce.position, sizeof nonce.position);
      return bytes;
    }
    FixedKeys* const keys_;
    const std::string salt_;
    AesGcm gcm_;
  };

  uint32_t current_ = 1;
  KeyId forgotten_;
  uint64_t files_ = 0;
  uint64_t seals_ = 0;
  uint64_t reused_ = 0;
  Sealed sealed_;
};

}  // namespace proxist::security
