// Which keys somebody writes a file under right now.
#pragma once

#include <memory>

#include "proxist/env/cipher.h"

namespace proxist::env {

/// A keyring's memory of the keys that it handed out for new files, until these have their ciphers,
/// and of the ciphers that live. A file names its key only once its header is written; until then
/// nothing but this knows of it. Thread-safe.
class KeyUses {
 public:
  KeyUses();
  ~KeyUses();

  /// `key` was given to a new file.
  void HandedOut(const FileKey& key);
  /// The file has its cipher: the key is in use as long as what this returns lives, which may be
  /// longer than this does.
  std::shared_ptr<const void> Hold(const FileKey& key);
  [[nodiscard]] bool InUse(KeyId id) const;

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace proxist::env
