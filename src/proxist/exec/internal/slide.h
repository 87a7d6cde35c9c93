// Walks slices so that a kernel keeps what a slice holds and changes it row by row.
#pragma once

#include <algorithm>

#include "proxist/exec/slices.h"

namespace proxist::exec::internal {

/// Calls enter(row) and leave(row) so that each slice's rows are in when done(k) is called. Rows
/// that no later slice holds leave first; slices need not overlap.
template <typename Enter, typename Leave, typename Done>
void Slide(const Slices& slices, Enter enter, Leave leave, Done done) {
  size_t in_begin = 0;
  size_t in_end = 0;
  for (size_t k = 0; k < slices.size(); ++k) {
    for (; in_begin < std::min<size_t>(slices.begin[k], in_end); ++in_begin) {
      leave(slices.order[in_begin]);
    }
    if (in_begin < slices.begin[k]) in_begin = in_end = slices.begin[k];
    for (; in_end < slices.end[k]; ++in_end) enter(slices.order[in_end]);
    done(k);
  }
}

}  // namespace proxist::exec::internal
