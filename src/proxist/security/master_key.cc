#include "proxist/security/master_key.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <sys/wait.h>

namespace proxist::security {
namespace {

constexpr size_t kMaxTextBytes = 4096;

StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return NotFound("{}: it cannot be opened", path);
  std::string text(kMaxTextBytes, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (file.bad()) return NotFound("{}: it cannot be read", path);
  return text;
}

StatusOr<std::string> RunCommand(const std::string& line) {
  std::FILE* out = popen(line.c_str(), "r");
  if (out == nullptr) return FailedPrecondition("the command cannot be started");
  std::string text(kMaxTextBytes, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), out));
  const int status = pclose(out);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return text;
  return FailedPrecondition("the command ended with {} {}",
                            WIFEXITED(status) ? "exit code" : "signal",
                            WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

StatusOr<std::string> ReadSource(std::string_view kind, const std::string& rest) {
  if (kind == "file") return ReadFile(rest);
  if (kind == "command") return RunCommand(rest);
  const char* value = std::getenv(rest.c_str());
  if (value == nullptr) return NotFound("the variable {} is not set", rest);
  return std::string(value);
}

/// 0 to 15, or nothing.
std::optional<int> HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

}  // namespace

StatusOr<MasterKey> ParseMasterKey(std::string_view text) {
  while (!text.empty() && absl::ascii_isspace(text.front())) text.remove_prefix(1);
  while (!text.empty() && absl::ascii_isspace(text.back())) text.remove_suffix(1);
  MasterKey key;
  const std::span<std::byte> out = key.secret.bytes();
  const Status bad = InvalidArgument(
      "a key is 64 hexadecimal digits or the base64 of 32 bytes; {} characters were given that are "
      "neither",
      text.size());
  if (text.size() == 2 * kKeyBytes) {
    for (size_t i = 0; i < kKeyBytes; ++i) {
      const auto high = HexDigit(text[2 * i]);
      const auto low = HexDigit(text[2 * i + 1]);
      if (!high.has_value() || !low.has_value()) return bad;
      out[i] = static_cast<std::byte>(*high << 4 | *low);
    }
    return key;
  }
  std::string bytes;
  if (!absl::Base64Unescape(absl::string_view(text.data(), text.size()), &bytes) ||
      bytes.size() != kKeyBytes)
    return bad;
  std::memcpy(out.data(), bytes.data(), kKeyBytes);
  return key;
}

StatusOr<MasterKey> LoadMasterKey(std::string_view source) {
  const size_t colon = source.find(':');
  const std::string_view kind = source.substr(0, colon);
  const bool known = kind == "file" || kind == "env" || kind == "command";
  if (colon == std::string_view::npos || !known || colon + 1 == source.size()) {
    return InvalidArgument("master key: give file:PATH, env:NAME or command:LINE, not \"{}\"",
                           known ? source : kind);
  }
  const std::string what = fmt::format("master key from {}", kind == "command" ? kind : source);
  const StatusOr<std::string> text = ReadSource(kind, std::string(source.substr(colon + 1)));
  if (!text.ok()) return Annotate(text.status(), what);
  const StatusOr<MasterKey> key = ParseMasterKey(*text);
  if (!key.ok()) return Annotate(key.status(), what);
  return key;
}

}  // namespace proxist::security
