#include "proxist/shard/flush_control.h"

#include <algorithm>

namespace proxist::shard {
namespace {

/// A block of so many rows is worth sending without a pause: a larger one costs little less a row.
constexpr uint64_t kWorthSendingRows = 100'000;
constexpr Duration kFirstBackoff = Duration::Millis(50);
constexpr Duration kLastBackoff = Duration::Seconds(2);
/// How long to wait for a poll to show fewer parts.
constexpr Duration kLookAgain = Duration::Millis(50);
constexpr int64_t kSmoothing = 4;

Duration Scaled(Duration d, double factor) {
  return Duration(static_cast<int64_t>(static_cast<double>(d.ns()) * factor));
}

}  // namespace

std::string_view NameOf(FlushState state) {
  switch (state) {
    case FlushState::kIdle:
      return "idle";
    case FlushState::kSteady:
      return "steady";
    case FlushState::kStretched:
      return "stretched";
    case FlushState::kCatchingUp:
      return "catching up";
    case FlushState::kHeldBack:
      return "held back by parts";
    case FlushState::kAway:
      return "away";
  }
  return "";
}

Duration FlushControl::LatencyPause() const {
  if (latency_ > options_.max_pause) return std::min(latency_, options_.stretched_pause);
  const int64_t latency = latency_.ns();
  // (pause + latency) / 2 + latency = aim.
  const int64_t aim = options_.max_pause.ns() / 20 * 17;
  const int64_t pause = std::max(latency, std::min(5 * latency, 2 * aim - 3 * latency));
  return std::clamp(Duration(pause), options_.min_pause, options_.max_pause);
}

Duration FlushControl::PartsPause() const {
  const double share = static_cast<double>(parts()) / options_.part_limit;
  const double above = std::clamp((share - 1.0 / 3) / (2.0 / 3), 0.0, 1.0);
  return Scaled(options_.stretched_pause, above * above);
}

FlushStep FlushControl::Next(Duration now, const FlushBacklog& backlog) {
  const bool enough = backlog.rows >= kWorthSendingRows || backlog.urgent;
  const Duration forced = std::max(PartsPause(), delay_pause_);
  pause_ = enough ? forced : std::max(forced, LatencyPause());
  if (failing_) {
    state_ = FlushState::kAway;
    return {.wait = backoff_};
  }
  if (backlog.rows == 0) {
    if (backlog.in_flight == 0) state_ = FlushState::kIdle;
    return {.wait = options_.min_pause};
  }
  const bool full = backlog.rows >= options_.max_rows;
  state_ = full                          ? FlushState::kCatchingUp
           : pause_ > options_.max_pause ? FlushState::kStretched
                                         : FlushState::kSteady;
  if (parts() >= options_.part_limit) {
    state_ = FlushState::kHeldBack;
    return {.wait = kLookAgain};
  }
  if (backlog.in_flight >= (full ? options_.in_flight : 1)) return {.wait = options_.max_pause};
  const Duration rested(now.ns() - last_sent_.ns());
  if (any_sent_ && rested < pause_) {
    // Rows that arrive meanwhile may be worth sending earlier.
    return {.wait = std::min(Duration(pause_.ns() - rested.ns()), options_.max_pause)};
  }
  // A round that opens beside another one is measured from here.
  last_sent_ = now;
  any_sent_ = true;
  return {.open = true, .rows = options_.max_rows};
}

void FlushControl::OnSend(uint32_t parts) { sent_ += parts; }

void FlushControl::OnInserted(Duration now, Duration latency) {
  latency_ = latency_ == Duration()
                 ? latency
                 : Duration(latency_.ns() + (latency.ns() - latency_.ns()) / kSmoothing);
  last_sent_ = now;
  failing_ = false;
  backoff_ = Duration();
}

void FlushControl::OnFailed(Duration now) {
  failing_ = true;
  state_ = FlushState::kAway;
  last_sent_ = now;
  backoff_ = std::clamp(Duration(2 * backoff_.ns()), kFirstBackoff, kLastBackoff);
}

void FlushControl::OnParts(uint64_t sent_before, uint32_t parts, uint64_t delayed) {
  polled_parts_ = parts;
  sent_at_poll_ = std::min(sent_before, sent_);
  // A count that went down is that of another server.
  const bool more = polled_ && delayed > delayed_;
  polled_ = true;
  delayed_ = delayed;
  if (more) {
    delay_pause_ =
        std::clamp(Duration(2 * delay_pause_.ns()), options_.max_pause, options_.stretched_pause);
  } else {
    delay_pause_ =
        delay_pause_ <= options_.max_pause ? Duration() : Duration(delay_pause_.ns() / 2);
  }
}

}  // namespace proxist::shard
