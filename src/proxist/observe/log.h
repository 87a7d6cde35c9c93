// Logging: one line an event on stderr, UTC time, level.
#pragma once

#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "proxist/base/status.h"

namespace proxist::observe {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// "debug", "info", "warning" or "error".
StatusOr<LogLevel> ParseLogLevel(std::string_view text);

/// Events below `level` are dropped from now on; LogLevel::kInfo before the first call. Any thread.
void SetLogLevel(LogLevel level);

/// Writes "2013-10-09T14:00:00.123456Z warning text"; control characters of `text` are escaped, so
/// that an event stays one line. Any thread.
void LogLine(LogLevel level, std::string_view text);

// Formats and writes. Any thread.
template <typename... Args>
void LogDebug(fmt::format_string<Args...> format, Args&&... args) {
  LogLine(LogLevel::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void LogInfo(fmt::format_string<Args...> format, Args&&... args) {
  LogLine(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void LogWarning(fmt::format_string<Args...> format, Args&&... args) {
  LogLine(LogLevel::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void LogError(fmt::format_string<Args...> format, Args&&... args) {
  LogLine(LogLevel::kError, fmt::format(format, std::forward<Args>(args)...));
}

/// `text` with control characters as \n, \t or \xNN.
std::string OneLine(std::string_view text);

}  // namespace proxist::observe
