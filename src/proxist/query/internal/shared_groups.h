// Groups of a query's symbols that several threads work on, and their answers in order.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "proxist/base/mutex.h"
#include "proxist/base/status.h"
#include "proxist/query/engine.h"
#include "proxist/query/internal/budget.h"
#include "proxist/query/internal/cut.h"
#include "proxist/query/internal/output.h"

namespace proxist::query::internal {

/// Where an operator that goes from symbol to symbol gets them, and what takes its answer.
class SymbolSource {
 public:
  virtual ~SymbolSource() = default;
  /// Where the operator writes; its sink is Take.
  void WriteTo(Output* output) { output_ = output; }
  /// The symbols to go on with; empty: there are no more. The answer to those before is in the
  /// operator's output by then. They are valid until the next call.
  virtual StatusOr<std::span<const QuerySymbol>> Next() = 0;
  virtual Status Take(ResultBatch batch) = 0;
  /// Symbols of the last Next were opened; what they need of history is known.
  virtual void Opened(bool /*needs_history*/) {}

 protected:
  Output* output_ = nullptr;
};

/// Symbols are taken a group at a time by whoever is free: the query's own thread, which has the
/// first group, and assistants. A group that an assistant could not answer, whatever the reason, is
/// answered by the query's thread, which may ask history and reports errors. Thread-safe.
class SharedGroups {
 public:
  /// Groups of `at_once` symbols, which outlive this. While answers of more than `held_bytes` wait
  /// for others to go out before them, no more groups are taken.
  SharedGroups(std::span<const QuerySymbol> symbols, size_t at_once, uint64_t held_bytes);

  struct Group {
    size_t index = 0;
    std::span<const QuerySymbol> symbols;
  };
  /// What a group gave.
  struct Answer {
    std::vector<ResultBatch> batches;
    uint64_t bytes = 0;
    Explain explain;
  };
  using Out = std::function<Status(Answer)>;

  /// An assistant begins. False: nothing is left to help with; it then touches nothing of the
  /// query.
  bool Join();
  void Leave();
  /// Of assistants. Nothing: it is to leave.
  std::optional<Group> TakeToHelp();
  /// The group was not answered. `alone`: assistants take no more groups.
  void Return(size_t index, bool alone);
  void Give(size_t index, Answer answer);

  // Of the query's thread:
  /// Its next group, or nothing: one that was returned, a fresh one, or all fresh ones as one when
  /// assistants take no more. Waits for assistants once all are taken, and calls `out` with the
  /// answers that are due.
  StatusOr<std::optional<Group>> Take(const Budget& budget, const Out& out);
  /// Amid a group: waits until all before it went out. False: one of these was returned, so that
  /// this cannot be waited for.
  StatusOr<bool> AwaitTurn(size_t index, const Budget& budget, const Out& out);
  /// The answers of all groups before this one went out.
  [[nodiscard]] bool IsDue(size_t index) const { return out_ == index; }
  /// Assistants take no more groups.
  void GoAlone();
  /// Assistants stop, and are gone when it returns.
  void Close();
  [[nodiscard]] const std::atomic<bool>& stopped() const { return stopped_; }

 private:
  /// The last group has all symbols that are left.
  [[nodiscard]] Group At(size_t index) const PX_REQUIRES(mutex_);
  /// The answer that is due, if it is there.
  std::optional<Answer> TakeDue() PX_REQUIRES(mutex_);
  std::optional<Group> TakeOwn() PX_REQUIRES(mutex_);
  /// Hands over what is due; if nothing is, waits a little.
  Status Step(std::optional<Answer> due, const Budget& budget, const Out& out);

  const std::span<const QuerySymbol> symbols_;
  const size_t at_once_;
  const uint64_t most_held_;
  std::atomic<bool> stopped_{false};
  Mutex mutex_;
  CondVar wake_;
  size_t groups_ PX_GUARDED_BY(mutex_);
  size_t next_ PX_GUARDED_BY(mutex_) = 0;       // the first group that nobody took
  bool alone_ PX_GUARDED_BY(mutex_) = false;    // assistants take no more groups
  std::set<size_t> own_ PX_GUARDED_BY(mutex_);  // for the query's thread: the first, those returned
  std::map<size_t, Answer> answers_ PX_GUARDED_BY(mutex_);  // that did not go out
  uint64_t held_bytes_ PX_GUARDED_BY(mutex_) = 0;           // of these
  size_t assistants_ PX_GUARDED_BY(mutex_) = 0;
  size_t out_ = 0;  // groups before it went out; the query's thread alone uses it
};

/// An assistant's source. What it takes goes to the group at hand. One thread.
class AssistantsGroups final : public SymbolSource {
 public:
  /// `cut_of`: the assistant's own cut in place of the query's. RESOURCE_EXHAUSTED when a group
  /// gives more than `most_bytes`.
  AssistantsGroups(SharedGroups* groups, std::function<ShardCut*(ShardCut*)> cut_of,
                   uint64_t most_bytes, Explain* explain)
      : groups_(groups), cut_of_(std::move(cut_of)), most_bytes_(most_bytes), explain_(explain) {}
  StatusOr<std::span<const QuerySymbol>> Next() override;
  Status Take(ResultBatch batch) override;
  /// The operator is done, as `status` says.
  void End(const Status& status);

 private:
  SharedGroups* groups_;
  std::function<ShardCut*(ShardCut*)> cut_of_;
  uint64_t most_bytes_;
  Explain* explain_;
  std::optional<size_t> at_;
  SharedGroups::Answer answer_;  // so far
  std::vector<QuerySymbol> symbols_;
};

/// The source of the query's own thread, which hands over all answers. One thread.
class OwnGroups final : public SymbolSource {
 public:
  /// `begin` is called once it is known that the first symbols need nothing of history. An answer
  /// of more than `most_bytes` is held only until its turn comes.
  OwnGroups(SharedGroups* groups, const Budget* budget, uint64_t most_bytes, Explain* explain,
            Output* all, std::function<void()> begin)
      : groups_(groups),
        budget_(*budget),
        most_bytes_(most_bytes),
        explain_(explain),
        all_(all),
        begin_(std::move(begin)) {}
  StatusOr<std::span<const QuerySymbol>> Next() override;
  /// ABORTED, and PutBack says so, when the group is to be answered again, after others.
  Status Take(ResultBatch batch) override;
  void Opened(bool needs_history) override;
  /// The group at hand was put back: the operator begins again, with another one. Forgets it.
  bool PutBack() { return std::exchange(put_back_, false); }
  /// Hands over the names of columns if no group gave a row.
  Status Finish();

 private:
  Status HandOver(SharedGroups::Answer answer);

  SharedGroups* groups_;
  const Budget& budget_;
  uint64_t most_bytes_;
  Explain* explain_;
  Output* all_;
  std::function<void()> begin_;
  std::optional<size_t> at_;
  SharedGroups::Answer answer_;  // so far; what it counted is in `explain_` already
  Explain before_;               // what was counted before the group at hand
  bool put_back_ = false;
};

}  // namespace proxist::query::internal
