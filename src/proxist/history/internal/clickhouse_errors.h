// ClickHouse's exception codes as statuses.
#pragma once

#include <string_view>

#include "proxist/base/status.h"

namespace proxist::history {

/// `code` is the value of X-ClickHouse-Exception-Code, `text` the body that came with it. Codes
/// that are not known become INTERNAL.
Status ClickHouseError(int code, std::string_view text);

}  // namespace proxist::history
