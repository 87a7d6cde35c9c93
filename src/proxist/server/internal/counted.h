// Counting what is under way.
#pragma once

#include <atomic>
#include <cstdint>

namespace proxist::server {

/// Counts one more for as long as it lives.
class Counted {
 public:
  explicit Counted(std::atomic<uint64_t>* count) : count_(count) { ++*count_; }
  ~Counted() { --*count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::atomic<uint64_t>* count_;
};

}  // namespace proxist::server
