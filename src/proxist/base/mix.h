// A hash of two words, for tables in memory.
#pragma once

#include <cstdint>

namespace proxist {

/// Folds the 128-bit product, so that every bit of both words reaches every bit of the result. Not
/// for anything stored: it may change.
inline uint64_t Mix64(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace proxist
