// Asks for memory by reading it.
#pragma once

namespace proxist {

/// Reads `value`, and waits for nothing: the reads of several values overlap. For memory in pages
/// that were not looked at lately, whose prefetches a processor may drop instead of finding out
/// where the page lies; after one such read the page's other prefetches count.
template <typename T>
inline void Touch(const T& value) {
  const T read = value;
  asm volatile("" : : "r"(read));
}

}  // namespace proxist
