// The last rows of many symbols at a moment.
#pragma once

#include <cstdint>
#include <span>

#include "proxist/hot/internal/table.h"
#include "proxist/hot/store.h"

namespace proxist::hot::internal {

/// As ReadGuard::LastRows, of one table.
void LastRowsOf(const SymbolIndex& index, std::span<const uint32_t> symbols, uint64_t cut,
                int64_t at, LastRow* out);

/// As ReadGuard::Prefetch.
void PrefetchSymbols(const SymbolIndex& index, std::span<const uint32_t> symbols);

}  // namespace proxist::hot::internal
