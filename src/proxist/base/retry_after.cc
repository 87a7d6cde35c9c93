#include "proxist/base/retry_after.h"

#include <charconv>
#include <string>

#include <absl/strings/cord.h>

namespace proxist {
namespace {

constexpr const char* kPayload = "proxist/retry-after-ns";

}  // namespace

Status WithRetryAfter(Status status, Duration pause) {
  status.SetPayload(kPayload, absl::Cord(std::to_string(pause.ns())));
  return status;
}

std::optional<Duration> RetryAfter(const Status& status) {
  const auto payload = status.GetPayload(kPayload);
  if (!payload.has_value()) return std::nullopt;
  const std::string text(*payload);
  int64_t ns = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ns);
  if (error != std::errc() || end != text.data() + text.size() || ns < 0) return std::nullopt;
  return Duration(ns);
}

}  // namespace proxist
