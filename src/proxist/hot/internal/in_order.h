// Appends to open chunks what nearly all rows of a batch are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "proxist/hot/internal/blocks.h"
#include "proxist/hot/internal/grouping.h"

namespace proxist::hot::internal {

/// Takes the groups of one batch, in order, and asks for the memory of those that follow. The
/// writer's thread.
class InOrder {
 public:
  /// `grouping` has run. All live as long as this.
  InOrder(const Layout& layout, const Grouping& grouping, BatchSource* source, int64_t published);

  enum class Result {
    kAppended,  // the group's rows: puts above every key of their series, and there was room
    kNoRoom,    // nothing: its open chunk has none, or it has no open chunk
    kLate,      // nothing: not all rows are such
  };
  Result Append(size_t group);

 private:
  void PrefetchAhead(size_t group) const;

  const Layout& layout_;
  const Grouping& grouping_;
  BatchSource* const source_;
  const int64_t published_;
};

}  // namespace proxist::hot::internal
