#include "proxist/base/side_thread.h"

#include <utility>

#include "proxist/base/check.h"

namespace proxist {

SideThread::~SideThread() {
  PX_CHECK(state_.load() == State::kIdle);
  state_.store(State::kStop);
  state_.notify_all();
  thread_.join();
}

void SideThread::Start(std::function<void()> work) {
  PX_CHECK(state_.load() == State::kIdle);
  work_ = std::move(work);
  state_.store(State::kOpen, std::memory_order_release);
  state_.notify_all();
}

void SideThread::Join() {
  State seen = State::kOpen;
  if (state_.compare_exchange_strong(seen, State::kTaken, std::memory_order_acq_rel)) {
    work_();
  } else {
    PX_CHECK(seen != State::kIdle);
    while (state_.load(std::memory_order_acquire) != State::kDone) {
      state_.wait(State::kTaken, std::memory_order_acquire);
    }
  }
  work_ = nullptr;
  state_.store(State::kIdle, std::memory_order_release);
}

void SideThread::Run() {
  for (;;) {
    State seen = state_.load(std::memory_order_acquire);
    if (seen == State::kStop) return;
    if (seen == State::kOpen &&
        state_.compare_exchange_strong(seen, State::kTaken, std::memory_order_acq_rel)) {
      work_();
      state_.store(State::kDone, std::memory_order_release);
      state_.notify_all();
      continue;
    }
    state_.wait(seen, std::memory_order_acquire);
  }
}

}  // namespace proxist
