// What looks after the requests that a thread makes.
#pragma once

#include <functional>
#include <string>

namespace proxist::history {

struct RequestRules {
  /// Asked now and then while a request is under way: true gives it up (UNAVAILABLE).
  std::function<bool()> give_up;
  /// The id that the server's history must hold (FORMAT.md), asked for whenever a request had to
  /// connect anew, before its answer counts: DATA_LOSS when it is another one. Empty: it is not.
  std::string incarnation;
};

/// The rules of every Connection's requests on this thread while it lives. Not nested.
class RequestGuard {
 public:
  explicit RequestGuard(RequestRules rules) : rules_(std::move(rules)) { current_ = &rules_; }
  ~RequestGuard() { current_ = nullptr; }
  RequestGuard(const RequestGuard&) = delete;
  RequestGuard& operator=(const RequestGuard&) = delete;
  /// nullptr: there are none.
  static const RequestRules* current() { return current_; }

 private:
  RequestRules rules_;
  static inline thread_local const RequestRules* current_ = nullptr;
};

}  // namespace proxist::history
