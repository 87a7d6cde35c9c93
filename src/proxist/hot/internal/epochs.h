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
class Epochs {
 public:
  explicit Epochs(size_t slots);

  // Any thread.
  /// Claims a slot, waiting for one if need be, and fixes the cut: `published`, loaded after the
  /// pin.
  size_t Pin(const std::atomic<uint64_t>& published, uint64_t* cut);
  void Unpin(size_t slot);

  // The writer's thread.
  /// `free(context, pointer)` is called once no reader that may have seen `pointer` is left. The
  /// pointer has been unlinked.
  void Retire(void (*free)(void*, void*), void* context, void* pointer);
  /// Ends the current epoch: pins from now on see everything done before. Returns the ended one.
  uint64_t Advance();
  /// The least pinned epoch, or UINT64_MAX when no reader is there.
  [[nodiscard]] uint64_t LeastPinned() const;
  /// Every reader there is and will be has at least this cut; 0 while one has just pinned.
  [[nodiscard]] uint64_t LeastCut(uint64_t published) const;
  /// Frees at most `limit` retired pointers; true when some are left that could be freed.
  bool Reclaim(size_t limit);
  /// Frees all, when no reader is left for good.
  void ReclaimAll();

 private:
  struct alignas(64) Slot {
    std::atomic<uint64_t> epoch{0};  // 0: free
    std::atomic<uint64_t> cut{0};    // 0: not known yet
  };
  struct Retired {
    uint64_t epoch;
    void (*free)(void*, void*);
    void* context;
    void* pointer;
  };

  const size_t slot_count_;
  std::unique_ptr<Slot[]> slots_;
  std::atomic<uint64_t> epoch_{1};
  std::deque<Retired> retired_;  // by ascending epoch
};

}  // namespace proxist::hot::internal
