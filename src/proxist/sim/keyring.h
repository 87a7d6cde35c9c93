// Data keys that notice when a nonce is used twice.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>

#include "proxist/env/cipher.h"
#include "proxist/env/key_uses.h"

namespace proxist::sim {

/// The keys live as long as the machine's metadata, so longer than any life of the process. The
/// cipher is no secret to anyone, but who opens what was not sealed so is told. One thread.
class Keyring final : public env::Keyring {
 public:
  explicit Keyring(uint64_t seed) : seed_(seed) {}

  void Rotate() { keys_.insert(keys_.rbegin()->Next()); }
  /// As security::DataKeys: keys under which no file is being written, nor ever will be.
  [[nodiscard]] std::set<KeyId> Idle() const;
  /// What is still encrypted under them is lost.
  void Retire(const std::set<KeyId>& ids);
  /// The first nonce that was used for two texts; empty: none was.
  [[nodiscard]] const std::string& violation() const { return violation_; }
  [[nodiscard]] uint64_t sealed() const { return used_.size(); }

  env::FileKey NewFileKey() override;
  StatusOr<std::unique_ptr<env::FileCipher>> CipherFor(const env::FileKey& key) override;

 private:
  class Cipher;
  /// By file key (of key and salt), and nonce: the checksum of what was sealed.
  using Used = std::map<std::tuple<uint64_t, env::Nonce>, uint64_t>;

  const uint64_t seed_;
  std::set<KeyId> keys_{KeyId(1)};  // the last one is current
  env::KeyUses uses_;
  uint64_t files_ = 0;
  Used used_;
  std::string violation_;
};

}  // namespace proxist::sim
