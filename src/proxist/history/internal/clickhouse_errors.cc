// Which ClickHouse exception means what to a caller. Source: ClickHouse's ErrorCodes.cpp.
#include "proxist/history/internal/clickhouse_errors.h"

#include <algorithm>
#include <string>

namespace proxist::history {
namespace {

absl::StatusCode CodeOf(int code) {
  switch (code) {
    case 159:  // TIMEOUT_EXCEEDED
    case 160:  // TOO_SLOW
      return absl::StatusCode::kDeadlineExceeded;
    case 192:  // UNKNOWN_USER
    case 193:  // WRONG_PASSWORD
    case 194:  // REQUIRED_PASSWORD
    case 497:  // ACCESS_DENIED
    case 516:  // AUTHENTICATION_FAILED
      return absl::StatusCode::kPermissionDenied;
    case 60:  // UNKNOWN_TABLE
    case 81:  // UNKNOWN_DATABASE
      return absl::StatusCode::kNotFound;
    case 158:  // TOO_MANY_ROWS
    case 396:  // TOO_MANY_ROWS_OR_BYTES
      return absl::StatusCode::kResourceExhausted;
    case 10:   // NOT_FOUND_COLUMN_IN_BLOCK
    case 16:   // NO_SUCH_COLUMN_IN_TABLE
    case 44:   // ILLEGAL_COLUMN
    case 47:   // UNKNOWN_IDENTIFIER
    case 53:   // TYPE_MISMATCH
    case 70:   // CANNOT_CONVERT_TYPE
    case 117:  // INCORRECT_DATA
    case 349:  // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
      return absl::StatusCode::kFailedPrecondition;
    case 202:  // TOO_MANY_SIMULTANEOUS_QUERIES
    case 203:  // NO_FREE_CONNECTION
    case 209:  // SOCKET_TIMEOUT
    case 210:  // NETWORK_ERROR
    case 236:  // ABORTED
    case 241:  // MEMORY_LIMIT_EXCEEDED
    case 242:  // TABLE_IS_READ_ONLY
    case 243:  // NOT_ENOUGH_SPACE
    case 252:  // TOO_MANY_PARTS
    case 319:  // UNKNOWN_STATUS_OF_INSERT
    case 394:  // QUERY_WAS_CANCELLED
    case 999:  // KEEPER_EXCEPTION
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

Status ClickHouseError(int code, std::string_view text) {
  constexpr size_t kMaxTextBytes = 600;
  std::string shown(text.substr(0, kMaxTextBytes));
  if (text.size() > kMaxTextBytes) shown += "...";
  while (!shown.empty() && (shown.back() == '\n' || shown.back() == ' ')) shown.pop_back();
  std::replace(shown.begin(), shown.end(), '\n', ' ');
  return Status(CodeOf(code), fmt::format("ClickHouse error {}: {}", code, shown));
}

}  // namespace proxist::history
