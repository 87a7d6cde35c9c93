// Walks a symbol's rows away from a moment in spans that are resolved in full: memory first, then
// history in widening windows.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "proxist/query/internal/scan.h"

namespace proxist::query::internal {

enum class Direction : uint8_t { kBackward, kForward };

/// One walk. Its spans follow each other without gaps that could hold rows; none overlap.
class Cursor {
 public:
  /// Backward from span.to, or forward from span.from, to the other end. `rows`: how many are
  /// likely to be enough; each further span of memory holds about four times as many.
  Cursor(SymbolScan* symbol, std::vector<uint32_t> series, Direction direction, Span span,
         size_t rows);

  [[nodiscard]] bool done() const { return done_; }
  /// Enough was found.
  void Stop() { done_ = true; }
  [[nodiscard]] SymbolScan& symbol() const { return *symbol_; }
  [[nodiscard]] const std::vector<uint32_t>& series() const { return series_; }

  /// The next span when memory alone answers it; nothing when history must be asked, or when done.
  std::optional<Span> NextHot();
  /// The next span when history must be asked, wider than the one before; nothing when done.
  StatusOr<std::optional<Span>> NextCold();

 private:
  /// The nearest moment that may hold a row.
  StatusOr<std::optional<Timestamp>> Nearest();
  [[nodiscard]] Span WindowAt(Timestamp nearest);
  void MoveBeyond(Span span);

  SymbolScan* symbol_;
  std::vector<uint32_t> series_;
  Direction direction_;
  Span left_;  // what was not walked yet
  size_t rows_;
  size_t window_ = 0;
  bool done_ = false;
};

/// Drives all walks of one table to their ends: reads each cursor's next span, with one request of
/// history for many cursors, and hands its rows to `take(index of the cursor, span's rows)`, which
/// stops the cursor when it has enough.
Status Walk(std::span<Cursor> cursors,
            const std::function<Status(size_t, const exec::Frame&)>& take);

}  // namespace proxist::query::internal
