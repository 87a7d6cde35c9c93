// The machine's power: every change of what is durable asks it first.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "proxist/base/status.h"

namespace proxist::sim {

/// One thread.
class Power {
 public:
  /// The power fails at the change after `changes` more.
  void CutAfter(uint64_t changes) { left_ = changes; }
  /// Now, between changes.
  void Cut() { on_ = false; }
  void Restore() {
    on_ = true;
    left_.reset();
  }
  [[nodiscard]] bool on() const { return on_; }

  /// What a change does: happens, is the one during which the power fails, or never begins.
  enum class Step { kGoOn, kFails, kDark };
  Step Change() {
    if (!on_) return Step::kDark;
    if (!left_.has_value() || (*left_)-- > 0) return Step::kGoOn;
    on_ = false;
    left_.reset();
    return Step::kFails;
  }
  static Status Dark(std::string_view what) { return Unavailable("{}: the power is off", what); }

 private:
  bool on_ = true;
  std::optional<uint64_t> left_;
};

}  // namespace proxist::sim
