// A ClickHouse as the flush and cold reads may meet it.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "proxist/history/history.h"
#include "proxist/sim/clock.h"
#include "proxist/sim/random.h"

namespace proxist::sim {

/// How history misbehaves; in a hundred inserts.
struct HistoryFaults {
  uint32_t refuses = 0;          // nothing happened
  uint32_t times_out = 0;        // it was committed, yet the caller hears of a timeout
  uint32_t commits_late = 0;     // the caller hears of a timeout, and it is committed later
  uint32_t answers_late = 0;     // it is committed, and the answer takes seconds
  uint32_t arrives_twice = 0;    // the same request once more
  uint32_t read_fails = 0;       // in a hundred reads
  size_t token_window = 10'000;  // tokens that are remembered
};

/// One thread. What it committed is durable whatever happens to the machine. Its own merges leave
/// the highest version of a key.
class History final : public history::History {
 public:
  /// A stored row, whose version is an LSN of `shard`.
  struct Row {
    ShardId shard;
    uint64_t version = 0;
    column::Batch batch;  // with the row
    uint32_t index = 0;   // in the batch
  };

  History(Clock* clock, Random* random) : clock_(clock), random_(random) {}

  void SetFaults(const HistoryFaults& faults) { faults_ = faults; }
  /// Every call fails until then.
  void SetAway(Timestamp until) { away_until_ = until; }
  [[nodiscard]] bool away() const { return clock_->Now() < away_until_; }
  /// Somebody changed the table by hand: it is refused, and so are rows for it, until mended.
  void SetDrifted(TableId table, bool drifted) {
    drifted ? void(drifted_.insert(table)) : void(drifted_.erase(table));
  }
  [[nodiscard]] const std::set<TableId>& drifted() const { return drifted_; }
  /// Called inside inserts, before and after they commit, and inside reads.
  void SetOnCall(std::function<void()> on_call) { on_call_ = std::move(on_call); }
  /// Drops superseded versions of random keys.
  void Merge();
  /// Commits what was late by now.
  void Settle();
  [[nodiscard]] const std::map<TableId, std::vector<Row>>& tables() const { return tables_; }

  Status EnsureTable(const column::TableSchema& schema) override;
  Status Insert(const history::InsertIntent& intent,
                std::span<const history::SourceBatch> sources) override;
  StatusOr<uint64_t> CountVersions(const history::InsertIntent& intent) override;
  StatusOr<history::ReadResult> Read(const history::ReadRequest& request) override;
  /// UNIMPLEMENTED now and then, as sums are that ClickHouse can't give exactly.
  StatusOr<history::TotalsResult> ReadTotals(const history::TotalsRequest& request) override;
  /// Answers of ReadTotals with rows in them.
  [[nodiscard]] uint64_t totals_read() const { return totals_read_; }
  StatusOr<std::vector<Day>> Days(const column::TableSchema& schema,
                                  const history::ReadBounds& bounds) override;
  StatusOr<std::string> Incarnation(std::string_view fresh) override;
  Status Ping() override;

 private:
  struct Block {
    std::string token;
    TableId table;
    std::vector<Row> rows;
  };
  [[nodiscard]] Status Answer() const;
  void Call() {
    if (on_call_) on_call_();
  }
  void Commit(const Block& block);
  Status AnswerRead();
  /// Rows asked for, in order. As ClickHouse does with `push_down`, rows of days that are not told
  /// of as rewritten count as they are.
  [[nodiscard]] StatusOr<std::vector<Row>> Select(const history::ReadRequest& request) const;

  Clock* const clock_;
  Random* const random_;
  HistoryFaults faults_;
  Timestamp away_until_ = Timestamp::Min();
  std::function<void()> on_call_;
  std::map<TableId, std::vector<Row>> tables_;
  std::list<std::string> tokens_;  // oldest first
  std::vector<std::pair<Timestamp, Block>> late_;
  std::string incarnation_;
  std::set<TableId> drifted_;
  uint64_t totals_read_ = 0;
};

}  // namespace proxist::sim
