// A thread that does one thing while its owner does another.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>

namespace proxist {

/// One owner. Where the processors are busy, work that the thread has not begun by the time of Join
/// is done by the owner, so that it waits for no one else's turn.
class SideThread {
 public:
  SideThread() : thread_([this] { Run(); }) {}
  /// No work is open.
  ~SideThread();
  SideThread(const SideThread&) = delete;
  SideThread& operator=(const SideThread&) = delete;

  /// Begins `work` beside the caller. One at a time: Join comes before the next.
  void Start(std::function<void()> work);
  /// Returns when the work is done; what it wrote is seen by the caller.
  void Join();

 private:
  enum class State : uint32_t { kIdle, kOpen, kTaken, kDone, kStop };
  void Run();

  std::function<void()> work_;  // belongs to who made kTaken of kOpen
  std::atomic<State> state_{State::kIdle};
  std::thread thread_;
};

}  // namespace proxist
