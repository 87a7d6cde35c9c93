// The memory that a server has ready for rows once it has been up for a moment.
#pragma once

#include <cstdint>

#include "proxist/hot/store.h"

namespace proxist::bench {

/// Of a store that is measured: as much as proxistd keeps by default.
inline constexpr uint64_t kReadyBytes = 256ull << 20;

/// Returns when `store`, which keeps kReadyBytes, has them; or after ten seconds.
void WaitUntilReady(const hot::Store& store);

}  // namespace proxist::bench
