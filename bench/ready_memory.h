// The memory that a server has ready for rows once it has been up for a moment.
#pragma once

#include <cstdint>

#include "proxist/hot/store.h"

namespace proxist::bench {

/// Of a store that is measured: as much as proxistd keeps by default.
inline constexpr uint64_t kReadyBytes = 256ull << 20;

/// Of a server that shall take `rows` rows without touching memory or coming under pressure: twice
/// what they take, and what everything else does. At most half of the machine's memory, where
/// it may come under pressure after all.
uint64_t ReadyBytesFor(uint64_t rows);

/// Returns when `store`, which keeps kReadyBytes, has them; or after ten seconds.
void WaitUntilReady(const hot::Store& store);

}  // namespace proxist::bench
