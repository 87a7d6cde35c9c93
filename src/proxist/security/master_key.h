// The key that wraps the data keys. It comes from outside and is never stored.
#pragma once

#include <string>
#include <string_view>

#include "proxist/base/status.h"
#include "proxist/security/aes_gcm.h"

namespace proxist::security {

/// 32 bytes.
struct MasterKey {
  SecretKey secret;
};

/// Of 64 hexadecimal digits or the base64 of 32 bytes; white space around it is ignored.
/// INVALID_ARGUMENT, which does not repeat the text.
StatusOr<MasterKey> ParseMasterKey(std::string_view text);

/// `source`: "file:PATH", "env:NAME", or "command:LINE", whose output, by /bin/sh, is the key: so a
/// key management service is asked by its own client. INVALID_ARGUMENT: another form, or what comes
/// is no key. NOT_FOUND: no such file or variable. FAILED_PRECONDITION: the command failed.
StatusOr<MasterKey> LoadMasterKey(std::string_view source);

}  // namespace proxist::security
