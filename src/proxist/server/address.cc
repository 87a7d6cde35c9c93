// Addresses that a server listens on.
#include "proxist/server/address.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <system_error>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace proxist::server {
namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

StatusOr<AddressList> Resolve(const Address& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(address.port);
  const int error = getaddrinfo(address.host.c_str(), port.c_str(), &hints, &found);
  if (error != 0) {
    return InvalidArgument("host {} does not resolve: {}", address.host, gai_strerror(error));
  }
  return AddressList(found, &freeaddrinfo);
}

bool IsLoopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
  }
  if (address->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) != 0;
  }
  return false;
}

Status BindError(int error, const Address& address, std::string_view what) {
  const std::string text = std::system_category().message(error);
  switch (error) {
    case EADDRINUSE:
      return FailedPrecondition("{}: {} is in use by another process", what, Format(address));
    case EACCES:
      return PermissionDenied("{}: {}: {}", what, Format(address), text);
    case EADDRNOTAVAIL:
      return InvalidArgument("{}: {} is not an address of this machine", what, Format(address));
    default:
      return FailedPrecondition("{}: {}: {}", what, Format(address), text);
  }
}

}  // namespace

StatusOr<Address> ParseListenAddress(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return InvalidArgument("address \"{}\": expected HOST:PORT", text);
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return InvalidArgument("address \"{}\": write an IPv6 host as [HOST]:PORT", text);
  }
  if (host.empty()) return InvalidArgument("address \"{}\": the host is missing", text);
  Address address{std::string(host), 0};
  const char* end = port_text.data() + port_text.size();
  const auto [rest, error] = std::from_chars(port_text.data(), end, address.port);
  if (error != std::errc() || rest != end) {
    return InvalidArgument("address \"{}\": port \"{}\" is not a number from 0 to 65535", text,
                           port_text);
  }
  return address;
}

std::string Format(const Address& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", address.host, address.port)
            : fmt::format("{}:{}", address.host, address.port);
}

StatusOr<bool> IsLoopback(const Address& address) {
  PX_ASSIGN_OR_RETURN(const AddressList list, Resolve(address));
  for (const addrinfo* entry = list.get(); entry != nullptr; entry = entry->ai_next) {
    if (!IsLoopback(entry->ai_addr)) return false;
  }
  return true;
}

Status CheckFree(const Address& address, std::string_view what) {
  PX_ASSIGN_OR_RETURN(const AddressList list, Resolve(address));
  if (address.port == 0) return OkStatus();
  for (const addrinfo* entry = list.get(); entry != nullptr; entry = entry->ai_next) {
    const int fd = socket(entry->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) continue;  // this machine has no such address family
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const int error = bind(fd, entry->ai_addr, entry->ai_addrlen) == 0 ? 0 : errno;
    close(fd);
    if (error != 0) return BindError(error, address, what);
  }
  return OkStatus();
}

}  // namespace proxist::server
