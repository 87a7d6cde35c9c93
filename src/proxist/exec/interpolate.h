// Values on the straight line between two others.
#pragma once

#include <cstddef>

#include "proxist/exec/frame.h"

namespace proxist::exec {

/// Appends to `out`, a column of the same type, what lies `step` of `steps` on the way from
/// values[from] to values[to]: floats as they come out, whole numbers rounded to the nearest,
/// halves away from the first. Null when either is null or the type is no number.
void AppendBetween(const Column& values, size_t from, size_t to, size_t step, size_t steps,
                   Column* out);

}  // namespace proxist::exec
