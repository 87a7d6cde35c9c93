// Time and memory of one query.
#include "proxist/query/internal/budget.h"

namespace proxist::query::internal {

Duration Budget::Remaining() const {
  return Duration(deadline_.ns() - (clock_->Monotonic().ns() - started_.ns()));
}

Status Budget::CheckDeadline() const {
  if (cancelled_ != nullptr && *cancelled_) return Cancelled("the query was cancelled");
  if (Remaining() > Duration(0)) return OkStatus();
  return DeadlineExceeded("the query did not finish within {}", FormatDuration(deadline_));
}

Status Budget::CheckHistory() const {
  PX_RETURN_IF_ERROR(CheckDeadline());
  return memory_only_ ? Aborted("the query needs history") : OkStatus();
}

Status Budget::LookAt(uint64_t rows) {
  PX_RETURN_IF_ERROR(CheckDeadline());
  if (rows > predicate_rows_ - looked_at_) return Aborted("the predicate looks at many rows");
  looked_at_ += rows;
  return OkStatus();
}

Status Budget::Check(uint64_t bytes) const {
  if (bytes <= limit_ && held_ + kept_ <= limit_ - bytes) return OkStatus();
  return ResourceExhausted(
      "the query would hold {} bytes of rows at once, the bound is {}: narrow the time range, the "
      "symbols or the columns",
      held_ + kept_ + bytes, limit_);
}

Status Budget::Charge(uint64_t bytes) {
  PX_RETURN_IF_ERROR(Check(bytes));
  held_ += bytes;
  return OkStatus();
}

Status Budget::Keep(uint64_t before, uint64_t bytes) {
  kept_ -= before;
  PX_RETURN_IF_ERROR(Check(bytes));
  kept_ += bytes;
  return OkStatus();
}

}  // namespace proxist::query::internal
