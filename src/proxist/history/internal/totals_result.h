// ClickHouse's answer about totals as exact totals.
#pragma once

#include <vector>

#include "proxist/history/history.h"
#include "proxist/history/internal/native_reader.h"

namespace proxist::history {

/// Takes over an answer to TotalsSql. Of its sums the rows that stay are taken back. UNIMPLEMENTED
/// when a sum is not exact; DATA_LOSS when the answer makes no sense.
StatusOr<TotalsResult> MakeTotalsResult(const TotalsRequest& request,
                                        const std::vector<size_t>& declared, NativeReader reader);

}  // namespace proxist::history
