// Zeros, the value before, or a straight line between two bars.
#include "proxist/query/internal/bar_fill.h"

#include "proxist/exec/interpolate.h"

namespace proxist::query::internal {
namespace {

/// For each bar, itself or the last one of its group before it that has a value; -1: none.
std::vector<int64_t> LastValid(const exec::BarSlices& bars, const exec::Column& values) {
  std::vector<int64_t> out(values.rows(), -1);
  for (size_t bar = 0; bar < out.size(); ++bar) {
    if (values.IsValid(bar)) {
      out[bar] = static_cast<int64_t>(bar);
    } else if (bar > 0 && bars.group[bar] == bars.group[bar - 1]) {
      out[bar] = out[bar - 1];
    }
  }
  return out;
}

}  // namespace

exec::Column FillColumn(Fill fill, Aggregates::Emptiness emptiness,
                        const std::vector<BarLine>& lines, const exec::BarSlices& bars,
                        const exec::Column& values, const exec::Column& close) {
  exec::Column out(values.type());
  using Emptiness = Aggregates::Emptiness;
  const bool price = fill == Fill::kPrevious && emptiness == Emptiness::kPrice;
  const exec::Column& source = price ? close : values;
  const bool zero = emptiness == Emptiness::kZero ||
                    (emptiness == Emptiness::kSum && fill == Fill::kPrevious) ||
                    (fill == Fill::kZero && column::IsNumeric(values.type().kind));
  std::vector<int64_t> before;
  if (fill == Fill::kPrevious) before = LastValid(bars, source);
  const bool gathered = !zero && !price && (fill == Fill::kNull || fill == Fill::kPrevious);
  if (fill == Fill::kNone || gathered) {
    std::vector<int64_t> from;  // by line: a bar, or -1
    from.reserve(lines.size());
    for (const BarLine& line : lines) {
      const int64_t filled = before.empty() ? -1 : before[line.bar];
      from.push_back(line.step == 0 ? static_cast<int64_t>(line.bar) : filled);
    }
    out.AppendGather(values, from.data(), from.size());
    return out;
  }
  for (const BarLine& line : lines) {
    const auto bar = static_cast<int64_t>(line.bar);
    if (line.step == 0) {
      out.AppendGather(values, &bar, 1);
    } else if (zero) {
      out.Extend(1);
    } else if (fill == Fill::kPrevious) {
      out.AppendGather(source, &before[line.bar], 1);
    } else if (fill == Fill::kLinear) {
      exec::AppendBetween(values, line.bar, line.bar + 1, line.step, line.steps, &out);
    } else {
      out.AppendNull();
    }
  }
  return out;
}

}  // namespace proxist::query::internal
