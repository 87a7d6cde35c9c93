// Text of a predicate as tokens.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/status.h"

namespace proxist::exec::internal {

enum class TokenKind : uint8_t { kName, kQuotedName, kNumber, kText, kOperator, kEnd };

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;  // names in lower case unless quoted; strings without quotes; operators as is
  size_t at = 0;     // of its first character, from 1
};

/// "at character N: ..." as INVALID_ARGUMENT.
Status ErrorAt(size_t at, std::string_view what);

/// The tokens of `text`, with an end token last.
StatusOr<std::vector<Token>> Tokenize(std::string_view text);

}  // namespace proxist::exec::internal
