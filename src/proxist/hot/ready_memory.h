// Memory that is touched before rows need it: touching a new page takes several times as long as
// filling it.
#pragma once

#include <cstdint>

namespace proxist::hot {

/// A thread touches it, from the start on; what leaves memory makes it up too.
struct ReadyMemory {
  uint64_t bytes = 0;           // beyond what chunks use: so much is kept ready,
  uint64_t total = UINT64_MAX;  // less where that and what they use would be more,
  uint64_t least = 0;           // but never less than this, at most `bytes`; what chunks give back
                                // stays ready up to this beyond `total`
};

}  // namespace proxist::hot
