// Groups of a query's symbols that several threads work on, and their answers in order.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "proxist/base/mutex.h"
#include "proxist/base/status.h"
#include "proxist/query/engine.h"
#include "proxist/query/internal/budget.h"
#include "proxist/query/internal/cut.h"
#include "proxist/query/internal/output.h"

namespace proxist::query::internal {

/// Where an operator that goes from symbol to symbol gets them.
class SymbolSource {
 public:
  virtual ~SymbolSource() = default;
  /// The symbols to go on with; empty: there are no more. The answer to those before is in the
  /// operator's output by then. They are valid until the next call.
  virtual StatusOr<std::span<const QuerySymbol>> Next() = 0;
};

/// Symbols are taken a group at a time by whoever is free: the query's own thread and assistants. A
/// group that an assistant could not answer, whatever the reason, is answered by the query's
/// thread, which may ask history and reports errors. Thread-safe.
class SharedGroups {
 public:
  /// Groups of `at_once` symbols, which outlive this.
  SharedGroups(std::span<const QuerySymbol> symbols, size_t at_once);

  struct Group {
    size_t index = 0;
    std::span<const QuerySymbol> symbols;
  };
  /// What a group gave.
  struct Answer {
    std::vector<ResultBatch> batches;
    Explain explain;
  };

  /// An assistant begins. False: nothing is left to help with; it then touches nothing of the
  /// query.
  bool Join();
  void Leave();
  /// Of assistants. Nothing: it is to leave.
  std::optional<Group> TakeToHelp();
  /// Of assistants as well: the group was not answered. `alone`: no other one will be.
  void Return(size_t index, bool alone);
  void Give(size_t index, Answer answer);

  /// Of the query's thread: groups for it, then nothing. Waits for assistants once all are taken,
  /// and calls `out` with the answers that are due.
  StatusOr<std::optional<Group>> Take(const Budget& budget,
                                      const std::function<Status(Answer)>& out);
  /// Assistants stop, and are gone when it returns.
  void Close();
  [[nodiscard]] const std::atomic<bool>& stopped() const { return stopped_; }

 private:
  [[nodiscard]] Group At(size_t index) const;

  const std::span<const QuerySymbol> symbols_;
  const size_t at_once_;
  const size_t groups_;
  std::atomic<bool> stopped_{false};
  Mutex mutex_;
  CondVar wake_;
  size_t next_ PX_GUARDED_BY(mutex_) = 0;  // the first group that nobody took
  size_t out_ PX_GUARDED_BY(mutex_) = 0;   // answers before it were handed over
  std::vector<size_t> returned_ PX_GUARDED_BY(mutex_);
  std::map<size_t, Answer> answers_ PX_GUARDED_BY(mutex_);  // that are not
  uint64_t held_bytes_ PX_GUARDED_BY(mutex_) = 0;           // of these
  size_t assistants_ PX_GUARDED_BY(mutex_) = 0;
};

/// An assistant's source. What its output hands over goes to the group at hand. One thread.
class AssistantsGroups final : public SymbolSource {
 public:
  /// `cut_of`: the assistant's own cut in place of the query's.
  AssistantsGroups(SharedGroups* groups, std::function<ShardCut*(ShardCut*)> cut_of,
                   Explain* explain)
      : groups_(groups), cut_of_(std::move(cut_of)), explain_(explain) {}
  /// Where the operator writes; its sink is Take.
  void WriteTo(Output* output) { output_ = output; }
  Status Take(ResultBatch batch);
  StatusOr<std::span<const QuerySymbol>> Next() override;
  /// The operator is done, as `status` says.
  void End(const Status& status);

 private:
  SharedGroups* groups_;
  std::function<ShardCut*(ShardCut*)> cut_of_;
  Explain* explain_;
  Output* output_ = nullptr;
  std::optional<size_t> at_;
  std::vector<ResultBatch> batches_;
  std::vector<QuerySymbol> symbols_;
};

/// The source of the query's own thread, which hands over all answers. One thread.
class OwnGroups final : public SymbolSource {
 public:
  OwnGroups(SharedGroups* groups, const Budget* budget, Explain* explain, Output* all)
      : groups_(groups), budget_(*budget), explain_(explain), all_(all) {}
  void WriteTo(Output* output) { output_ = output; }
  Status Take(ResultBatch batch);
  StatusOr<std::span<const QuerySymbol>> Next() override;
  /// Hands over the names of columns if no group gave a row.
  Status Finish();

 private:
  Status HandOver(std::vector<ResultBatch> batches);

  SharedGroups* groups_;
  const Budget& budget_;
  Explain* explain_;
  Output* all_;
  Output* output_ = nullptr;
  std::optional<size_t> at_;
  std::vector<ResultBatch> batches_;
};

/// Adds what another thread of the query counted.
void AddTo(Explain* explain, const Explain& more);

}  // namespace proxist::query::internal
