// Epoch-based reclamation: readers pin, the writer retires and frees what no pin can reach.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

namespace proxist::hot::internal {

/// A reader claims a slot by storing the current epoch in it and only then loads pointers; the
/// writer unlinks a pointer first and only then scans the slots. Both sides are sequentially
/// consistent, so either the scan sees the pin or the reader sees the unlinking.
///
/// A reader that takes long loads all pointers that it needs and then settles: what is made from
/// then on is freed without it. Else all that is replaced while it works would pile up.
class Epochs {
 public:
  explicit Epochs(size_t slots);

  // Any thread.
  /// Claims a slot, waiting for one if need be, and fixes the cut: `published`, loaded after the
  /// pin.
  size_t Pin(const std::atomic<uint64_t>& published, uint64_t* cut);
  void Unpin(size_t slot);
  /// The slot's reader has every pointer that it will ever follow: loads none from now on.
  void Settle(size_t slot);

  // The writer's thread.
  /// For what is made now; 0 stands for a time before all.
  [[nodiscard]] uint64_t current() const { return epoch_.load(std::memory_order_relaxed); }
  /// `free(context, pointer)` is called once no reader that may have seen `pointer` is left. The
  /// pointer has been unlinked; it was made in epoch `made`.
  void Retire(void (*free)(void*, void*), void* context, void* pointer, uint64_t made);
  /// Ends the current epoch: pins from now on see everything done before. Returns the ended one.
  uint64_t Advance();
  /// The least epoch pinned by a reader that has not settled; UINT64_MAX: there is none.
  [[nodiscard]] uint64_t LeastPinned() const { return Scan().least; }
  /// Every reader that loads a pointer from now on has at least this cut; 0 while one has just
  /// pinned.
  [[nodiscard]] uint64_t LeastCut(uint64_t published) const;
  /// Frees at most `limit` retired pointers; true when some are left that could be freed.
  bool Reclaim(size_t limit);
  /// Pointers that were retired and are not freed.
  [[nodiscard]] size_t waiting() const { return retired_.size() + held_.size(); }
  /// Frees all, when no reader is left for good.
  void ReclaimAll();

 private:
  struct alignas(64) Slot {
    std::atomic<uint64_t> epoch{0};    // 0: free
    std::atomic<uint64_t> cut{0};      // 0: not known yet
    std::atomic<uint64_t> settled{0};  // the epoch in which it settled; 0: not yet
  };
  struct Retired {
    uint64_t epoch;
    uint64_t made;
    void (*free)(void*, void*);
    void* context;
    void* pointer;
  };

  /// All slots in one look.
  struct Pins {
    uint64_t least = UINT64_MAX;          // pinned by those that have not settled
    uint64_t least_settled = UINT64_MAX;  // pinned by those that have
    uint64_t last_settled = 0;            // the last epoch in which one did
    /// A settled reader may have it.
    [[nodiscard]] bool MayHave(const Retired& item) const {
      return item.epoch >= least_settled && item.made <= last_settled;
    }
  };
  [[nodiscard]] Pins Scan() const;
  static void Free(const Retired& item) { item.free(item.context, item.pointer); }

  const size_t slot_count_;
  std::unique_ptr<Slot[]> slots_;
  std::atomic<uint64_t> epoch_{1};
  // Both by ascending epoch.
  std::deque<Retired> retired_;
  std::deque<Retired> held_;  // settled readers alone may have these
};

}  // namespace proxist::hot::internal
