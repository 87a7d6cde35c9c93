#include "apps/proxist-bench/concurrent_readers.h"

#include <algorithm>
#include <thread>
#include <utility>

#include <sys/prctl.h>

#include "bench/rounds.h"
#include "proxist/base/mutex.h"
#include "proxist/env/thread_share.h"
#include "proxist/server/grpc_server.h"

namespace proxist::bench {
namespace {

constexpr Duration kAsofSpan = Duration::Seconds(60);
constexpr std::chrono::milliseconds kCapacityTime(500);
constexpr int kCapacityTries = 3;
constexpr std::chrono::microseconds kGroup(100);

SteadyTime Now() { return std::chrono::steady_clock::now(); }

/// Of the calling thread, which is woken 50 us late else, where a query over a network is not.
void SleepToTheMoment() { prctl(PR_SET_TIMERSLACK, 1); }

/// Readers that wait for when they are due. Any thread.
class DueReaders {
 public:
  void Clear() {
    const MutexLock lock(&mutex_);
    waiting_.clear();
  }
  void Add(Reader* reader) {
    const MutexLock lock(&mutex_);
    waiting_.push_back(reader);
    std::ranges::push_heap(waiting_, std::greater(), &Reader::due);
  }
  /// The one that is due first, when it is by `now`; else nullptr, and when to look again.
  std::pair<Reader*, SteadyTime> Take(SteadyTime now) {
    const MutexLock lock(&mutex_);
    if (waiting_.empty()) return {nullptr, now + kGroup};  // others ask for all of them
    const SteadyTime due = waiting_.front()->due();
    if (due > now) return {nullptr, due};
    std::ranges::pop_heap(waiting_, std::greater(), &Reader::due);
    Reader* const first = waiting_.back();
    waiting_.pop_back();
    return {first, due};
  }

 private:
  Mutex mutex_;
  std::vector<Reader*> waiting_ PX_GUARDED_BY(mutex_);  // a heap
};

class LocalReaders final : public Readers {
 public:
  LocalReaders(query::Engine* engine, uint32_t count, uint32_t symbols) : Readers(kGroup) {
    const auto sink = [](const query::ResultBatch&) { return OkStatus(); };
    const auto ask = [engine, sink](const query::Plan& plan) {
      return engine->Run(plan, {}, sink, nullptr);
    };
    for (uint32_t i = 0; i < count; ++i) all_.emplace_back(symbols, i, ask);
  }

 private:
  [[nodiscard]] size_t threads() const override { return server::ShortQueryThreads(); }
  void Begin() override {
    due_.Clear();
    for (Reader& reader : all_) due_.Add(&reader);
  }
  Status AskPart(size_t /*thread*/, const Part& part) override {
    env::SetShare(env::kShortWork);
    while (true) {
      const SteadyTime now = Now();
      const auto [reader, at] = due_.Take(std::min(now, part.end));
      if (reader == nullptr) {
        if (now >= part.end || at >= part.end) return OkStatus();
        std::this_thread::sleep_until(at);
        continue;
      }
      PX_RETURN_IF_ERROR(reader->Ask(part.times));
      part.answered(reader);
      due_.Add(reader);
    }
  }

  DueReaders due_;
};

class RemoteReaders final : public Readers {
 public:
  RemoteReaders(std::vector<std::unique_ptr<Connection>> connections, uint32_t symbols)
      : Readers(std::chrono::nanoseconds::zero()), connections_(std::move(connections)) {
    for (size_t i = 0; i < connections_.size(); ++i) {
      all_.emplace_back(symbols, i, [connection = connections_[i].get()](const query::Plan& plan) {
        return connection->Run(plan).status();
      });
    }
  }

 private:
  [[nodiscard]] size_t threads() const override { return all_.size(); }
  Status AskPart(size_t thread, const Part& part) override {
    Reader& reader = all_[thread];
    while (reader.due() < part.end) {
      std::this_thread::sleep_until(reader.due());
      PX_RETURN_IF_ERROR(reader.Ask(part.times));
      part.answered(&reader);
    }
    return OkStatus();
  }

  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace

void ReaderTimes::AddAll(const ReaderTimes& other) {
  last_by.AddAll(other.last_by);
  asof.AddAll(other.asof);
}

Reader::Reader(uint32_t symbols, uint64_t seed, AskQuery ask)
    : last_by_(symbols, seed, true),
      asof_(symbols, seed, kAsofSpan),
      random_(seed),
      asked_(seed),
      ask_(std::move(ask)) {}

void Reader::DueAtRandom(double rate, SteadyTime start, std::chrono::nanoseconds group) {
  std::exponential_distribution<double> gap(rate);
  at_random_ +=
      std::chrono::duration_cast<SteadyTime::duration>(std::chrono::duration<double>(gap(random_)));
  due_ = at_random_;
  if (group.count() > 0) due_ = start + ((due_ - start) / group + 1) * group;
}

Status Reader::Ask(ReaderTimes* times) {
  const bool last_by = asked_++ % 2 == 0;
  PX_RETURN_IF_ERROR(ask_(last_by ? last_by_.Next() : asof_.Next()));
  (last_by ? times->last_by : times->asof).Add(Duration((Now() - due_).count()));
  return OkStatus();
}

StatusOr<double> Readers::Capacity() {
  std::vector<double> tries;
  for (int i = 0; i < kCapacityTries; ++i) {
    const SteadyTime start = Now();
    for (Reader& reader : all_) reader.Due(start);
    PX_ASSIGN_OR_RETURN(const ReaderTimes all,
                        AskAll(start + kCapacityTime, [](Reader* reader) { reader->Due(Now()); }));
    tries.push_back(static_cast<double>(all.last_by.count() + all.asof.count()) /
                    std::chrono::duration<double>(kCapacityTime).count());
  }
  return Middle(std::move(tries));
}

StatusOr<ReaderTimes> Readers::Run(double rate, Duration time) {
  const SteadyTime start = Now();
  const double each = rate / static_cast<double>(all_.size());
  const auto next = [this, each, start](Reader* reader) {
    reader->DueAtRandom(each, start, group_);
  };
  for (Reader& reader : all_) {
    reader.Due(start);
    next(&reader);
  }
  return AskAll(start + std::chrono::nanoseconds(time.ns()), next);
}

StatusOr<ReaderTimes> Readers::AskAll(SteadyTime end, const Answered& answered) {
  Begin();
  std::vector<std::thread> running;
  std::vector<ReaderTimes> times(threads());
  std::vector<Status> ended(times.size());
  for (size_t i = 0; i < times.size(); ++i) {
    running.emplace_back([&, i] {
      SleepToTheMoment();
      ended[i] = AskPart(i, {.end = end, .answered = answered, .times = &times[i]});
    });
  }
  for (std::thread& thread : running) thread.join();
  for (const Status& status : ended) PX_RETURN_IF_ERROR(status);
  ReaderTimes all;
  for (const ReaderTimes& one : times) all.AddAll(one);
  return all;
}

std::unique_ptr<Readers> ReadersOf(query::Engine* engine, uint32_t count, uint32_t symbols) {
  return std::make_unique<LocalReaders>(engine, count, symbols);
}

StatusOr<std::unique_ptr<Readers>> ReadersOver(const std::string& address, uint32_t count,
                                               uint32_t symbols) {
  std::vector<std::unique_ptr<Connection>> connections;
  for (uint32_t i = 0; i < count; ++i) {
    PX_ASSIGN_OR_RETURN(connections.emplace_back(), Connection::Open(address));
  }
  return std::unique_ptr<Readers>(new RemoteReaders(std::move(connections), symbols));
}

}  // namespace proxist::bench
