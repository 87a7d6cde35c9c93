// Addresses that a server listens on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxist/base/status.h"

namespace proxist::server {

struct Address {
  std::string host;  // a name or a literal, without brackets
  uint16_t port = 0;
};

/// "host:port" or "[v6]:port". INVALID_ARGUMENT quotes the text and what is wrong.
StatusOr<Address> ParseListenAddress(std::string_view text);
/// "host:port", brackets around a v6 literal.
std::string Format(const Address& address);

/// True when every address that the host stands for is a loopback one. INVALID_ARGUMENT when it
/// does not resolve.
StatusOr<bool> IsLoopback(const Address& address);

/// Tries to bind and lets go again, for errors that say why: FAILED_PRECONDITION (in use),
/// PERMISSION_DENIED, INVALID_ARGUMENT (not an address of this machine). `what` begins the message.
/// Port 0 is always free.
Status CheckFree(const Address& address, std::string_view what);

}  // namespace proxist::server
