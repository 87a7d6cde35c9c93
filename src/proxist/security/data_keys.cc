#include "proxist/security/data_keys.h"

#include <map>
#include <string>

#include "proxist/base/check.h"
#include "proxist/base/mutex.h"
#include "proxist/env/key_uses.h"

namespace proxist::security {
namespace {

constexpr std::string_view kPrefix = "keys/data/";
constexpr uint32_t kValueVersion = 1;
constexpr std::string_view kFilePurpose = "proxist file";
constexpr std::string_view kWrapPurpose = "proxist data key ";

struct DataKey {
  SecretKey secret;
  Timestamp created;
};

std::string KeyName(KeyId id) { return fmt::format("{}{:010}", kPrefix, id.value()); }

/// What the tag of a wrapped key proves beside it: so that no key passes for another one.
std::string WrapHeader(KeyId id, Timestamp created) {
  return fmt::format("{}{} {}", kWrapPurpose, id.value(), created.ns());
}

std::string Wrap(KeyId id, const DataKey& key, const MasterKey& master) {
  SecretKey wrapped = key.secret;
  AesGcm::Nonce nonce;
  FillRandom(nonce);
  std::array<std::byte, env::kTagBytes> tag;
  AesGcm(master.secret).Seal(nonce, AsBytes(WrapHeader(id, key.created)), wrapped.bytes(), tag);
  std::vector<std::byte> bytes;
  ByteWriter out(&bytes);
  out.Put(kValueVersion);
  out.Put(id.value());
  out.Put(key.created.ns());
  out.PutBytes(nonce);
  out.PutBytes(wrapped.bytes());
  out.PutBytes(tag);
  return std::string(AsText(bytes));
}

/// A wrapped key as metadata has it.
struct WrappedKey {
  KeyId id;
  Timestamp created;
  AesGcm::Nonce nonce{};
  SecretKey wrapped;
  std::array<std::byte, env::kTagBytes> tag{};
};

StatusOr<WrappedKey> DecodeWrapped(const meta::Entry& entry) {
  ByteReader in(AsBytes(entry.value), entry.key);
  WrappedKey key;
  PX_ASSIGN_OR_RETURN(const auto version, in.Get<uint32_t>());
  if (version != kValueVersion) {
    return FailedPrecondition("metadata key '{}': version {} of a data key, this program reads {}",
                              entry.key, version, kValueVersion);
  }
  PX_ASSIGN_OR_RETURN(const auto id, in.Get<uint32_t>());
  key.id = KeyId(id);
  PX_ASSIGN_OR_RETURN(const auto created, in.Get<int64_t>());
  key.created = Timestamp(created);
  const auto take = [&in](std::span<std::byte> out) -> Status {
    PX_ASSIGN_OR_RETURN(const ByteSpan bytes, in.GetBytes(out.size()));
    std::ranges::copy(bytes, out.begin());
    return OkStatus();
  };
  PX_RETURN_IF_ERROR(take(key.nonce));
  PX_RETURN_IF_ERROR(take(key.wrapped.bytes()));
  PX_RETURN_IF_ERROR(take(key.tag));
  if (in.remaining() != 0 || entry.key != KeyName(key.id) || key.id == KeyId(0)) {
    return DataLoss("metadata key '{}' holds no data key of that name", entry.key);
  }
  return key;
}

std::optional<DataKey> Unwrap(const WrappedKey& wrapped, const MasterKey& master) {
  DataKey key{wrapped.wrapped, wrapped.created};
  const std::string header = WrapHeader(wrapped.id, wrapped.created);
  if (!AesGcm(master.secret)
           .Open(wrapped.nonce, AsBytes(header), key.secret.bytes(), wrapped.tag)) {
    return std::nullopt;
  }
  return key;
}

class Cipher final : public env::FileCipher {
 public:
  Cipher(KeyId id, const SecretKey& key, std::shared_ptr<const void> use)
      : id_(id), gcm_(key), use_(std::move(use)) {}

  void Seal(const env::Nonce& nonce, ByteSpan header, std::span<std::byte> text,
            std::span<std::byte, env::kTagBytes> tag) override {
    gcm_.Seal(Encode(nonce), header, text, tag);
  }
  Status Open(const env::Nonce& nonce, ByteSpan header, std::span<std::byte> text,
              std::span<const std::byte, env::kTagBytes> tag) override {
    if (gcm_.Open(Encode(nonce), header, text, tag)) return OkStatus();
    return DataLoss("it is not what was encrypted here under key {}", id_.value());
  }

 private:
  static AesGcm::Nonce Encode(const env::Nonce& nonce) {
    AesGcm::Nonce bytes;
    std::memcpy(bytes.data(), &nonce.epoch, sizeof nonce.epoch);
    std::memcpy(bytes.data() + sizeof nonce.epoch, &nonce.position, sizeof nonce.position);
    static_assert(sizeof nonce.epoch + sizeof nonce.position == kNonceBytes);
    return bytes;
  }

  const KeyId id_;
  AesGcm gcm_;
  const std::shared_ptr<const void> use_;
};

}  // namespace

struct DataKeys::Impl {
  meta::MetadataStore* store;
  MasterKey master;
  mutable Mutex mutex;
  std::map<KeyId, DataKey> keys PX_GUARDED_BY(mutex);
  env::KeyUses uses;
};

DataKeys::DataKeys(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DataKeys::~DataKeys() = default;

StatusOr<std::unique_ptr<DataKeys>> DataKeys::Open(meta::MetadataStore* store,
                                                   const MasterKey& master,
                                                   const std::optional<MasterKey>& previous) {
  PX_ASSIGN_OR_RETURN(const std::vector<meta::Entry> entries, store->List(kPrefix));
  auto impl = std::make_unique<Impl>();
  impl->store = store;
  impl->master = master;
  std::vector<meta::Mutation> rewrapped;
  {
    MutexLock lock(&impl->mutex);
    for (const meta::Entry& entry : entries) {
      PX_ASSIGN_OR_RETURN(const WrappedKey wrapped, DecodeWrapped(entry));
      std::optional<DataKey> key = Unwrap(wrapped, master);
      if (!key.has_value() && previous.has_value()) {
        key = Unwrap(wrapped, *previous);
        if (key.has_value()) {
          rewrapped.push_back({entry.key, Wrap(wrapped.id, *key, master), entry.modified});
        }
      }
      if (!key.has_value()) {
        return FailedPrecondition(
            "the master key does not open data key {}: it is not the one that this data directory "
            "was written with",
            wrapped.id.value());
      }
      impl->keys.emplace(wrapped.id, *key);
    }
  }
  if (!rewrapped.empty()) {
    PX_RETURN_IF_ERROR(
        store->Apply(rewrapped, "proxistd", "data keys are wrapped by a new master key").status());
  }
  return std::unique_ptr<DataKeys>(new DataKeys(std::move(impl)));
}

StatusOr<KeyId> DataKeys::Rotate(Timestamp now, std::string_view author) {
  MutexLock lock(&impl_->mutex);
  const KeyId id = impl_->keys.empty() ? KeyId(1) : impl_->keys.rbegin()->first.Next();
  DataKey key{.created = now};
  FillRandom(key.secret.bytes());
  const meta::Mutation mutation{KeyName(id), Wrap(id, key, impl_->master), Revision(0)};
  PX_RETURN_IF_ERROR(impl_->store->Apply({&mutation, 1}, author, "a new data key").status());
  impl_->keys.emplace(id, key);
  return id;
}

std::set<KeyId> DataKeys::Idle() const {
  std::set<KeyId> idle;
  MutexLock lock(&impl_->mutex);
  for (const auto& [id, key] : impl_->keys) {
    const bool current = id == impl_->keys.rbegin()->first;
    if (!current && !impl_->uses.InUse(id)) idle.insert(id);
  }
  return idle;
}

Status DataKeys::Retire(const std::set<KeyId>& ids, std::string_view author) {
  std::vector<meta::Mutation> mutations;
  for (const KeyId id : ids) mutations.push_back({KeyName(id), std::nullopt, std::nullopt});
  if (mutations.empty()) return OkStatus();
  MutexLock lock(&impl_->mutex);
  PX_CHECK(!ids.contains(impl_->keys.rbegin()->first));
  PX_RETURN_IF_ERROR(
      impl_->store->Apply(mutations, author, "no file is encrypted under these data keys")
          .status());
  for (const KeyId id : ids) impl_->keys.erase(id);
  return OkStatus();
}

std::vector<DataKeyInfo> DataKeys::List() const {
  std::vector<DataKeyInfo> out;
  MutexLock lock(&impl_->mutex);
  for (const auto& [id, key] : impl_->keys) out.push_back({id, key.created});
  if (!out.empty()) out.back().current = true;
  return out;
}

env::FileKey DataKeys::NewFileKey() {
  env::FileKey key;
  FillRandom(key.salt);
  MutexLock lock(&impl_->mutex);
  PX_CHECK(!impl_->keys.empty());
  key.id = impl_->keys.rbegin()->first;
  impl_->uses.HandedOut(key);
  return key;
}

StatusOr<std::unique_ptr<env::FileCipher>> DataKeys::CipherFor(const env::FileKey& key) {
  MutexLock lock(&impl_->mutex);
  const auto known = impl_->keys.find(key.id);
  if (known == impl_->keys.end()) {
    return FailedPrecondition(
        "it is encrypted under key {}, which metadata does not have: metadata is older than this "
        "file, or of another data directory",
        key.id.value());
  }
  return std::make_unique<Cipher>(key.id, DeriveKey(known->second.secret, key.salt, kFilePurpose),
                                  impl_->uses.Hold(key));
}

StatusOr<bool> HasDataKeys(meta::MetadataStore* store) {
  PX_ASSIGN_OR_RETURN(const std::vector<meta::Entry> entries, store->List(kPrefix));
  return !entries.empty();
}

}  // namespace proxist::security
