#include "proxist/sim/keyring.h"

#include <cstring>
#include <utility>

#include "proxist/base/bytes.h"

namespace proxist::sim {
namespace {

/// SplitMix64: the key stream's next word.
uint64_t NextWord(uint64_t* state) {
  *state += 0x9e3779b97f4a7c15;
  uint64_t word = *state;
  word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
  word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
  return word ^ (word >> 31);
}

}  // namespace

class Keyring::Cipher final : public env::FileCipher {
 public:
  Cipher(Keyring* keys, uint64_t file, std::shared_ptr<const void> use)
      : keys_(keys), file_(file), use_(std::move(use)) {}

  void Seal(const env::Nonce& nonce, ByteSpan header, std::span<std::byte> text,
            std::span<std::byte, env::kTagBytes> tag) override {
    const uint64_t sealed = Checksum(text, Checksum(header));
    const auto [used, first] = keys_->used_.emplace(std::tuple(file_, nonce), sealed);
    if (!first && used->second != sealed && keys_->violation_.empty()) {
      keys_->violation_ =
          fmt::format("the nonce of epoch {}, position {} was used for two texts in one file",
                      nonce.epoch, nonce.position);
    }
    Stream(nonce, text);
    PutTag(nonce, header, text, tag);
  }
  Status Open(const env::Nonce& nonce, ByteSpan header, std::span<std::byte> text,
              std::span<const std::byte, env::kTagBytes> tag) override {
    std::array<std::byte, env::kTagBytes> expected;
    PutTag(nonce, header, text, expected);
    if (!std::ranges::equal(tag, expected)) return DataLoss("it is not what was sealed here");
    Stream(nonce, text);
    return OkStatus();
  }

 private:
  [[nodiscard]] uint64_t SeedOf(const env::Nonce& nonce) const {
    return Checksum(std::as_bytes(std::span(&nonce.position, 1)), file_ ^ nonce.epoch);
  }
  void Stream(const env::Nonce& nonce, std::span<std::byte> text) const {
    uint64_t state = SeedOf(nonce);
    for (size_t at = 0; at < text.size(); at += sizeof(uint64_t)) {
      const uint64_t word = NextWord(&state);
      const size_t count = std::min(sizeof word, text.size() - at);
      uint64_t piece = 0;
      std::memcpy(&piece, text.data() + at, count);
      piece ^= word;
      std::memcpy(text.data() + at, &piece, count);
    }
  }
  void PutTag(const env::Nonce& nonce, ByteSpan header, ByteSpan sealed,
              std::span<std::byte, env::kTagBytes> tag) const {
    const uint64_t first = Checksum(sealed, Checksum(header, SeedOf(nonce)));
    const uint64_t words[] = {first, ~first};
    std::memcpy(tag.data(), words, sizeof words);
  }

  Keyring* const keys_;
  const uint64_t file_;
  const std::shared_ptr<const void> use_;
};

std::set<KeyId> Keyring::Idle() const {
  std::set<KeyId> idle = keys_;
  idle.erase(*keys_.rbegin());
  std::erase_if(idle, [this](KeyId id) { return uses_.InUse(id); });
  return idle;
}

void Keyring::Retire(const std::set<KeyId>& ids) {
  for (const KeyId id : ids) keys_.erase(id);
}

env::FileKey Keyring::NewFileKey() {
  env::FileKey key{.id = *keys_.rbegin()};
  const uint64_t words[] = {seed_, ++files_};
  std::memcpy(key.salt.data(), words, sizeof words);
  uses_.HandedOut(key);
  return key;
}

StatusOr<std::unique_ptr<env::FileCipher>> Keyring::CipherFor(const env::FileKey& key) {
  if (!keys_.contains(key.id)) return FailedPrecondition("there is no key {}", key.id.value());
  return std::make_unique<Cipher>(this, Checksum(key.salt, seed_ ^ key.id.value()),
                                  uses_.Hold(key));
}

}  // namespace proxist::sim
