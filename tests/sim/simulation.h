// One run: a node on a machine that fails, producers that retry, and oracles that watch.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxist/sim/clock.h"
#include "proxist/sim/disk.h"
#include "proxist/sim/history.h"
#include "proxist/sim/keyring.h"
#include "proxist/sim/metadata.h"
#include "proxist/sim/power.h"
#include "proxist/sim/random.h"
#include "tests/sim/ledger.h"
#include "tests/sim/node.h"
#include "tests/sim/swarm.h"
#include "tests/unit/query/random_plan.h"

namespace proxist::sim {

/// What happened in a run, so that runs which test nothing are noticed.
struct Counts {
  uint64_t batches = 0, rows = 0, duplicates = 0, refused = 0;
  uint64_t power_failures = 0, kills = 0, dark_recoveries = 0, poisoned = 0;
  uint64_t flushed_rows = 0, flush_errors = 0, evicted_rows = 0;
  uint64_t queries = 0, query_rows = 0, query_errors = 0, cold_reads = 0, cold_totals = 0;
  uint64_t snapshots = 0, sealed = 0, spilled_chunks = 0, keys_retired = 0;
  uint64_t unsynced_lost = 0;
  uint64_t in_flight_kept = 0, in_flight_lost = 0, damage_found = 0;
  void Add(const Counts& other);
  [[nodiscard]] std::string Text() const;
};

struct Outcome {
  std::string violation;  // empty: every oracle agreed
  Counts counts;
  uint64_t digest = 0;  // of everything that was decided and answered: equal for equal seeds
};

/// One thread; used once.
class Simulation {
 public:
  /// `trace` hears what happens, a line each.
  explicit Simulation(uint64_t seed, std::function<void(const std::string&)> trace = nullptr);
  Outcome Run();

 private:
  struct Sent {
    uint64_t number = 0;
    shard::WriteCall call;
    bool queued = false;  // with the node, no answer yet
  };
  struct Producer {
    std::string name;
    uint64_t next = 1;
    std::deque<Sent> window;  // not acked, in order
    std::deque<Sent> acked;   // in order
  };
  /// Writes that were in the log's frame when its write failed: applied or not, a restart tells.
  struct InFlight {
    Lsn first;
    std::vector<Part*> parts;
  };
  struct Marks {
    Lsn published, durable, persisted;
  };

  void Step();
  void Act(Action action);

  // The producers (producers.cc).
  void SendSomething();
  void SendAgain();
  void Queue(Producer* producer, Sent* sent);
  shard::WriteCall NewBatch(Producer* producer);
  void OnAnswer(const std::string& producer, uint64_t number, uint64_t life,
                const shard::WriteResult& result);
  void OnPart(ShardId shard, const std::string& producer, uint64_t number, const shard::Ack& ack);

  // The machine (simulation.cc).
  void Commit(ShardBox* box);
  void Flush();
  void Maintain(ShardBox* box);
  void Evict(ShardBox* box);
  void Snapshot(ShardBox* box);
  void Spill(ShardBox* box);
  void RetireKeys();
  void Wait(Duration most);
  void Restart(bool power_failed);
  void Recover();
  void SettleInFlight();
  void ForgetUnsynced(ShardId id, Lsn published);
  void Heal();
  void Converge();

  // The oracles (oracles.cc).
  void Ask();
  void OnFlight();
  void OnHistoryCall();
  void CheckMarks();
  /// Whoever sees two texts under one nonce knows their difference.
  void CheckNonces() {
    if (!keys_.violation().empty()) Violate("{}", keys_.violation());
  }
  void CheckHistory(bool complete);
  [[nodiscard]] bool ErrorIsFair(const Status& status) const;
  template <typename... Args>
  void Violate(fmt::format_string<Args...> format, Args&&... args) {
    if (outcome_.violation.empty()) {
      outcome_.violation = fmt::format(format, std::forward<Args>(args)...);
      if (damaged_) outcome_.violation += " (on a disk that damages)";
    }
  }
  [[nodiscard]] bool done() const { return !outcome_.violation.empty() || stopped_; }
  void Mix(std::string_view text);
  template <typename... Args>
  void Note(fmt::format_string<Args...> format, Args&&... args) {
    if (trace_) trace_(fmt::format(format, std::forward<Args>(args)...));
  }

  const std::function<void(const std::string&)> trace_;
  Random random_;
  const Swarm swarm_;
  const shard::SlotMap slots_;
  Power power_;
  Clock clock_;
  Disk disk_;
  Metadata metadata_;
  History history_;
  Keyring keys_;
  Ledger ledger_;
  Outcome outcome_;
  column::SchemaPtr quotes_, trades_;
  std::unique_ptr<query::RandomPlans> plans_;
  std::unique_ptr<SimNode> node_;
  uint64_t life_ = 0;  // of the node: what an earlier one still says is not heard
  std::vector<Producer> producers_;
  std::map<ShardId, InFlight> in_flight_;
  std::map<ShardId, Marks> marks_;
  std::map<ShardId, std::unique_ptr<shard::SnapshotJob>> snapshots_;  // under way
  std::map<ShardId, Lsn> next_;  // LSN that the shard's next row gets
  uint64_t batches_sent_ = 0;
  bool damaged_ = false;  // a bit flipped or a write went astray: finding that is fair
  bool stopped_ = false;  // damage was found: nothing more can be run
  bool healed_ = false;
  bool power_failed_ = false;  // since the node ran last
  bool asking_ = false;
  bool flushing_ = false;
  bool shard_busy_ = false;             // its thread is in a call
  const query::Plan* asked_ = nullptr;  // the query that runs
  const query::RowTests* asked_tests_ = nullptr;
  std::vector<std::string> fair_answers_;  // of it
};

}  // namespace proxist::sim
