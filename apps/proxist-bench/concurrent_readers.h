// Concurrent readers of a Market's tables.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "apps/proxist-bench/asked.h"
#include "bench/connection.h"
#include "bench/latencies.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/query/engine.h"

namespace proxist::bench {

using SteadyTime = std::chrono::steady_clock::time_point;

/// From when a query was due to its answer.
struct ReaderTimes {
  Latencies last_by;
  Latencies asof;
  void AddAll(const ReaderTimes& other);
};

/// A last-by and an as-of in turns. One thread at a time.
class Reader {
 public:
  /// `ask` returns once a query is answered.
  using AskQuery = std::function<Status(const query::Plan&)>;
  Reader(uint32_t symbols, uint64_t seed, AskQuery ask);

  /// When its next query comes.
  [[nodiscard]] SteadyTime due() const { return due_; }
  void Due(SteadyTime at) { at_random_ = due_ = at; }
  /// `rate` queries a second at random, each after the one before, whenever that is answered; with
  /// a `group`, at the end of the span of this length, counted from `start`.
  void DueAtRandom(double rate, SteadyTime start, std::chrono::nanoseconds group);
  Status Ask(ReaderTimes* times);

 private:
  LastByAsked last_by_;
  AsofAsked asof_;
  std::mt19937_64 random_;
  uint64_t asked_;
  AskQuery ask_;
  SteadyTime at_random_;
  SteadyTime due_;
};

/// One thread.
class Readers {
 public:
  virtual ~Readers() = default;
  /// Queries per second when every reader asks as soon as it has its answer.
  StatusOr<double> Capacity();
  /// All readers together ask `rate` queries per second for `time`, at moments that do not depend
  /// on the answers.
  StatusOr<ReaderTimes> Run(double rate, Duration time);

 protected:
  explicit Readers(std::chrono::nanoseconds group) : group_(group) {}
  /// A thread's part of all that is due before `end`; `answered` sets when a reader is due again.
  using Answered = std::function<void(Reader*)>;
  struct Part {
    SteadyTime end;
    Answered answered;
    ReaderTimes* times;
  };
  /// Called once in each of `threads()` threads, after Begin.
  virtual Status AskPart(size_t thread, const Part& part) = 0;
  [[nodiscard]] virtual size_t threads() const = 0;
  virtual void Begin() {}

  std::deque<Reader> all_;

 private:
  StatusOr<ReaderTimes> AskAll(SteadyTime end, const Answered& answered);

  const std::chrono::nanoseconds group_;
};

/// In this process: queries go to as many threads, with the same share of the processors, as a
/// server has for short ones, and the first that is free takes the next query. They come in groups,
/// at the ends of 0.1 ms: to be woken for each of them takes a thread longer than the query.
std::unique_ptr<Readers> ReadersOf(query::Engine* engine, uint32_t count, uint32_t symbols);

/// Clients of the server at `address`, each with a thread and a connection of its own.
StatusOr<std::unique_ptr<Readers>> ReadersOver(const std::string& address, uint32_t count,
                                               uint32_t symbols);

}  // namespace proxist::bench
