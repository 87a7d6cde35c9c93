// Appends to open chunks what nearly all rows of a batch are.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "proxist/hot/internal/blocks.h"
#include "proxist/hot/internal/grouping.h"

namespace proxist::hot::internal {

/// Puts above every key of their series, for which its open chunk has room. The writer's thread,
/// but for Help. Used again for every batch, so that its memory is.
class InOrder {
 public:
  /// Groups that were appended, and those that were left as they are, ascending.
  struct Result {
    uint64_t rows = 0;
    int64_t max_ts = INT64_MIN;
    std::span<const uint32_t> left;  // until the next Begin
  };

  /// Takes a batch on; `grouping` may still have to run. All live until End.
  void Begin(const Layout& layout, const Grouping& grouping, BatchSource* source,
             int64_t published);
  // `grouping` has run.
  /// Appends the rows of one group; groups come in order. False: nothing is done.
  bool AppendGroup(size_t group);
  /// Appends groups until none is left to take.
  void Append();
  /// The same on one other thread, which waits for Append to begin; no more than once a batch, and
  /// only when the source is AllPlain. Returns before End.
  void Help();
  /// Both have returned.
  Result End();

 private:
  // Of one thread.
  struct alignas(64) Share {
    uint64_t rows = 0;
    int64_t max_ts = INT64_MIN;
    std::vector<uint32_t> left;
  };
  void Run(Share* share);
  /// False: these rows need more than an open chunk's end. Nothing is done.
  bool Append(Series* series, std::span<const uint32_t> rows, Share* share) const;
  void PrefetchFirst(size_t begin, size_t end) const;
  void PrefetchAhead(size_t group, size_t end) const;

  const Layout* layout_ = nullptr;
  const Grouping* grouping_ = nullptr;
  BatchSource* source_ = nullptr;
  int64_t published_ = 0;
  std::atomic<bool> grouped_{false};
  std::atomic<size_t> next_{0};  // group that no thread has taken
  std::array<Share, 2> shares_;  // of Append, of Help
  std::vector<uint32_t> left_;
};

}  // namespace proxist::hot::internal
