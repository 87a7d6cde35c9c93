// One lock, taken once or twice a group.
#include "proxist/query/internal/shared_groups.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "proxist/base/check.h"
#include "proxist/query/internal/explain.h"

namespace proxist::query::internal {
namespace {

// Between two looks at the deadline.
constexpr std::chrono::milliseconds kPoll(5);

}  // namespace

SharedGroups::SharedGroups(std::span<const QuerySymbol> symbols, size_t at_once,
                           uint64_t held_bytes)
    : symbols_(symbols),
      at_once_(at_once),
      most_held_(held_bytes),
      groups_((symbols.size() + at_once - 1) / at_once) {
  if (groups_ > 0) own_.insert(next_++);
}

SharedGroups::Group SharedGroups::At(size_t index) const {
  const size_t begin = index * at_once_;
  const size_t end = index + 1 == groups_ ? symbols_.size() : begin + at_once_;
  return {index, symbols_.subspan(begin, end - begin)};
}

bool SharedGroups::Join() {
  const MutexLock lock(&mutex_);
  if (stopped_ || alone_ || next_ == groups_) return false;
  ++assistants_;
  return true;
}

void SharedGroups::Leave() {
  {
    const MutexLock lock(&mutex_);
    --assistants_;
  }
  wake_.notify_all();
}

std::optional<SharedGroups::Group> SharedGroups::TakeToHelp() {
  const MutexLock lock(&mutex_);
  if (stopped_ || alone_ || next_ == groups_ || held_bytes_ > most_held_) return std::nullopt;
  return At(next_++);
}

void SharedGroups::Return(size_t index, bool alone) {
  {
    const MutexLock lock(&mutex_);
    own_.insert(index);
    alone_ = alone_ || alone;
  }
  wake_.notify_all();
}

void SharedGroups::Give(size_t index, Answer answer) {
  {
    const MutexLock lock(&mutex_);
    held_bytes_ += answer.bytes;
    answers_.emplace(index, std::move(answer));
  }
  wake_.notify_all();
}

std::optional<SharedGroups::Answer> SharedGroups::TakeDue() {
  const auto first = answers_.find(out_);
  if (first == answers_.end()) return std::nullopt;
  std::optional<Answer> due = std::move(first->second);
  answers_.erase(first);
  held_bytes_ -= due->bytes;
  ++out_;
  return due;
}

std::optional<SharedGroups::Group> SharedGroups::TakeOwn() {
  if (!own_.empty()) {
    const Group group = At(*own_.begin());
    own_.erase(own_.begin());
    return group;
  }
  // When much is held, an assistant has the group that is due.
  if (next_ == groups_ || held_bytes_ > most_held_) return std::nullopt;
  if (alone_) groups_ = next_ + 1;
  return At(next_++);
}

Status SharedGroups::Step(std::optional<Answer> due, const Budget& budget, const Out& out) {
  return due.has_value() ? out(*std::move(due)) : budget.CheckDeadline();
}

StatusOr<std::optional<SharedGroups::Group>> SharedGroups::Take(const Budget& budget,
                                                                const Out& out) {
  while (true) {
    std::optional<Answer> due;
    {
      MutexLock lock(&mutex_);
      due = TakeDue();
      if (!due.has_value()) {
        if (out_ == groups_) return std::optional<Group>();
        if (std::optional<Group> group = TakeOwn()) return group;
        wake_.wait_for(lock, kPoll);
      }
    }
    PX_RETURN_IF_ERROR(Step(std::move(due), budget, out));
  }
}

StatusOr<bool> SharedGroups::AwaitTurn(size_t index, const Budget& budget, const Out& out) {
  while (!IsDue(index)) {
    std::optional<Answer> due;
    {
      MutexLock lock(&mutex_);
      due = TakeDue();
      if (!due.has_value()) {
        if (!own_.empty() && *own_.begin() < index) return false;
        wake_.wait_for(lock, kPoll);
      }
    }
    PX_RETURN_IF_ERROR(Step(std::move(due), budget, out));
  }
  return true;
}

void SharedGroups::GoAlone() {
  const MutexLock lock(&mutex_);
  alone_ = true;
}

void SharedGroups::Close() {
  MutexLock lock(&mutex_);
  stopped_ = true;
  while (assistants_ > 0) wake_.wait(lock);
}

Status AssistantsGroups::Take(ResultBatch batch) {
  answer_.bytes += BytesOf(batch);
  answer_.batches.push_back(std::move(batch));
  if (answer_.bytes <= most_bytes_) return OkStatus();
  return ResourceExhausted("an assistant holds no more than {} bytes of a group's answer",
                           most_bytes_);
}

StatusOr<std::span<const QuerySymbol>> AssistantsGroups::Next() {
  if (at_.has_value()) {
    PX_RETURN_IF_ERROR(output_->Cut());
    answer_.explain = std::exchange(*explain_, {});
    groups_->Give(*std::exchange(at_, std::nullopt), std::exchange(answer_, {}));
  }
  symbols_.clear();
  const std::optional<SharedGroups::Group> group = groups_->TakeToHelp();
  if (!group.has_value()) return std::span<const QuerySymbol>();
  at_ = group->index;
  for (const QuerySymbol& symbol : group->symbols) {
    QuerySymbol& own = symbols_.emplace_back(symbol);
    own.cut = cut_of_(symbol.cut);
    // A code that only this query has is one of its own thread.
    if ((own.code & exec::Symbols::kLocalBit) != 0) own.code = own.cut->symbols->Code(own.text);
  }
  return std::span<const QuerySymbol>(symbols_);
}

void AssistantsGroups::End(const Status& status) {
  // What needs history or has a large answer is better done by one thread.
  const bool alone = status.code() == absl::StatusCode::kAborted ||
                     status.code() == absl::StatusCode::kResourceExhausted;
  if (at_.has_value()) groups_->Return(*at_, alone);
}

Status OwnGroups::HandOver(SharedGroups::Answer answer) {
  AddTo(explain_, answer.explain);
  AddTo(&before_, answer.explain);
  for (ResultBatch& batch : answer.batches) PX_RETURN_IF_ERROR(all_->Adopt(std::move(batch)));
  return OkStatus();
}

Status OwnGroups::Take(ResultBatch batch) {
  answer_.bytes += BytesOf(batch);
  answer_.batches.push_back(std::move(batch));
  // Without a group it is the names of columns.
  if (!at_.has_value()) return OkStatus();
  bool due = groups_->IsDue(*at_);
  if (!due && answer_.bytes > most_bytes_) {
    PX_ASSIGN_OR_RETURN(due, groups_->AwaitTurn(*at_, budget_, [this](SharedGroups::Answer other) {
      return HandOver(std::move(other));
    }));
    if (!due) {
      put_back_ = true;
      // Its rows will be counted when it is answered again.
      explain_->rows_hot = before_.rows_hot;
      explain_->rows_in_place = before_.rows_in_place;
      explain_->rows_cold = before_.rows_cold;
      explain_->rows_in_totals = before_.rows_in_totals;
      groups_->Return(*std::exchange(at_, std::nullopt), /*alone=*/true);
      answer_ = {};
      return Aborted("a group before this one is to be answered first");
    }
  }
  return due ? HandOver(std::exchange(answer_, {})) : OkStatus();
}

void OwnGroups::Opened(bool needs_history) {
  if (begin_ == nullptr) return;
  if (needs_history) {
    groups_->GoAlone();
  } else {
    begin_();
  }
  begin_ = nullptr;
}

StatusOr<std::span<const QuerySymbol>> OwnGroups::Next() {
  if (at_.has_value()) {
    PX_RETURN_IF_ERROR(output_->Cut());
    groups_->Give(*std::exchange(at_, std::nullopt), std::exchange(answer_, {}));
  }
  PX_ASSIGN_OR_RETURN(const std::optional<SharedGroups::Group> group,
                      groups_->Take(budget_, [this](SharedGroups::Answer other) {
                        return HandOver(std::move(other));
                      }));
  if (!group.has_value()) return std::span<const QuerySymbol>();
  at_ = group->index;
  before_ = *explain_;
  return group->symbols;
}

Status OwnGroups::Finish() {
  PX_CHECK(!at_.has_value());
  return HandOver(std::exchange(answer_, {}));
}

}  // namespace proxist::query::internal
