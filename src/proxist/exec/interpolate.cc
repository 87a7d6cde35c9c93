// Whole numbers go through 128 bits.
#include "proxist/exec/interpolate.h"

#include "proxist/exec/int128.h"
#include "proxist/exec/internal/visit.h"

namespace proxist::exec {
namespace {

Int128 Between(Int128 a, Int128 b, size_t step, size_t steps) {
  const Int128 way = (b - a) * static_cast<Int128>(step);
  const auto half = static_cast<Int128>(steps);
  const Int128 doubled = 2 * way + (way < 0 ? -half : half);
  return a + doubled / (2 * half);
}

}  // namespace

void AppendBetween(const Column& values, size_t from, size_t to, size_t step, size_t steps,
                   Column* out) {
  if (!column::IsNumeric(values.type().kind) || !values.IsValid(from) || !values.IsValid(to)) {
    out->AppendNull();
    return;
  }
  internal::VisitFixed(values.type().kind, [&]<typename T>(T /*tag*/) {
    const T a = values.data<T>()[from];
    const T b = values.data<T>()[to];
    if constexpr (std::is_floating_point_v<T>) {
      out->Append(static_cast<T>(a + (b - a) * (static_cast<T>(step) / static_cast<T>(steps))));
    } else {
      out->Append(static_cast<T>(Between(a, b, step, steps)));
    }
  });
}

}  // namespace proxist::exec
