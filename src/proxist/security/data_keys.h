// The keys that a node's files are encrypted under.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/env/cipher.h"
#include "proxist/meta/store.h"
#include "proxist/security/master_key.h"

namespace proxist::security {

/// What may be shown of a data key.
struct DataKeyInfo {
  KeyId id;
  Timestamp created;
  bool current = false;  // new files are encrypted under it
};

/// Data keys, kept in metadata wrapped by the master key, unwrapped in memory. Each file's own key
/// is derived from a data key and the file's salt. Thread-safe.
class DataKeys : public env::Keyring {
 public:
  /// Loads all keys. FAILED_PRECONDITION: `master` is not the key that they are wrapped by; nothing
  /// was changed. `previous`: the master key before, with which what `master` does not open is
  /// unwrapped, to be wrapped by `master` from now on. `store` outlives the keys.
  static StatusOr<std::unique_ptr<DataKeys>> Open(meta::MetadataStore* store,
                                                  const MasterKey& master,
                                                  const std::optional<MasterKey>& previous);
  ~DataKeys() override;

  /// Makes the next key, durably, which is then the current one. The keys before stay: files are
  /// still read under them.
  StatusOr<KeyId> Rotate(Timestamp now, std::string_view author);
  /// Keys under which no file is being written, nor ever will be: all but the current one, those
  /// given to a file that has no cipher yet, and those of ciphers that live.
  [[nodiscard]] std::set<KeyId> Idle() const;
  /// Removes `ids`, durably. Each was Idle before files were looked at, and no file that there is,
  /// or that may come back after power loss, names it.
  Status Retire(const std::set<KeyId>& ids, std::string_view author);
  /// By id.
  [[nodiscard]] std::vector<DataKeyInfo> List() const;

  // env::Keyring. There has to be a key.
  env::FileKey NewFileKey() override;
  StatusOr<std::unique_ptr<env::FileCipher>> CipherFor(const env::FileKey& key) override;

 private:
  struct Impl;
  explicit DataKeys(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// True when files of the node may be encrypted.
StatusOr<bool> HasDataKeys(meta::MetadataStore* store);

}  // namespace proxist::security
