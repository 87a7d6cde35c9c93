// One lock, taken once or twice a group.
#include "proxist/query/internal/shared_groups.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace proxist::query::internal {
namespace {

// Beyond so much that cannot go out yet, assistants leave.
constexpr uint64_t kHeldBytes = 64ull << 20;
// Between two looks at the deadline.
constexpr std::chrono::milliseconds kPoll(5);

uint64_t BytesOf(const std::vector<ResultBatch>& batches) {
  uint64_t bytes = 0;
  for (const ResultBatch& batch : batches) {
    for (const exec::NamedColumn& one : batch.columns) {
      bytes += one.column.rows() * one.column.stride();
    }
  }
  return bytes;
}

}  // namespace

void AddTo(Explain* explain, const Explain& more) {
  for (const Explain::Seam& seam : more.seams) {
    const auto same = std::ranges::find_if(explain->seams, [&](const Explain::Seam& known) {
      return known.shard == seam.shard && known.table == seam.table;
    });
    if (same == explain->seams.end()) {
      explain->seams.push_back(seam);
    } else {
      same->floor = std::max(same->floor, seam.floor);
      same->persisted = std::max(same->persisted, seam.persisted);
    }
  }
  explain->rows_hot += more.rows_hot;
  explain->rows_in_place += more.rows_in_place;
  explain->rows_in_totals += more.rows_in_totals;
  explain->hot = Duration(explain->hot.ns() + more.hot.ns());
  explain->compute = Duration(explain->compute.ns() + more.compute.ns());
}

SharedGroups::SharedGroups(std::span<const QuerySymbol> symbols, size_t at_once)
    : symbols_(symbols), at_once_(at_once), groups_((symbols.size() + at_once - 1) / at_once) {}

SharedGroups::Group SharedGroups::At(size_t index) const {
  const size_t begin = index * at_once_;
  return {index, symbols_.subspan(begin, std::min(at_once_, symbols_.size() - begin))};
}

bool SharedGroups::Join() {
  const MutexLock lock(&mutex_);
  if (stopped_ || next_ == groups_) return false;
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
  if (stopped_ || next_ == groups_ || held_bytes_ > kHeldBytes) return std::nullopt;
  return At(next_++);
}

void SharedGroups::Return(size_t index, bool alone) {
  {
    const MutexLock lock(&mutex_);
    returned_.push_back(index);
    if (alone) stopped_ = true;
  }
  wake_.notify_all();
}

void SharedGroups::Give(size_t index, Answer answer) {
  {
    const MutexLock lock(&mutex_);
    held_bytes_ += BytesOf(answer.batches);
    answers_.emplace(index, std::move(answer));
  }
  wake_.notify_all();
}

StatusOr<std::optional<SharedGroups::Group>> SharedGroups::Take(
    const Budget& budget, const std::function<Status(Answer)>& out) {
  while (true) {
    std::optional<Answer> due;
    {
      MutexLock lock(&mutex_);
      if (const auto first = answers_.find(out_); first != answers_.end()) {
        due = std::move(first->second);
        answers_.erase(first);
        held_bytes_ -= BytesOf(due->batches);
        ++out_;
      } else if (!returned_.empty()) {
        const size_t index = returned_.back();
        returned_.pop_back();
        return std::optional(At(index));
      } else if (next_ < groups_) {
        return std::optional(At(next_++));
      } else if (out_ == groups_) {
        return std::optional<Group>();
      } else {
        wake_.wait_for(lock, kPoll);
      }
    }
    if (due.has_value()) {
      PX_RETURN_IF_ERROR(out(*std::move(due)));
    } else {
      PX_RETURN_IF_ERROR(budget.CheckDeadline());
    }
  }
}

void SharedGroups::Close() {
  MutexLock lock(&mutex_);
  stopped_ = true;
  while (assistants_ > 0) wake_.wait(lock);
}

Status AssistantsGroups::Take(ResultBatch batch) {
  batches_.push_back(std::move(batch));
  return OkStatus();
}

StatusOr<std::span<const QuerySymbol>> AssistantsGroups::Next() {
  if (at_.has_value()) {
    PX_RETURN_IF_ERROR(output_->Cut());
    groups_->Give(*std::exchange(at_, std::nullopt),
                  {std::exchange(batches_, {}), std::exchange(*explain_, {})});
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
  if (at_.has_value()) groups_->Return(*at_, status.code() == absl::StatusCode::kAborted);
}

Status OwnGroups::Take(ResultBatch batch) {
  batches_.push_back(std::move(batch));
  return OkStatus();
}

StatusOr<std::span<const QuerySymbol>> OwnGroups::Next() {
  if (at_.has_value()) {
    PX_RETURN_IF_ERROR(output_->Cut());
    groups_->Give(*std::exchange(at_, std::nullopt), {std::exchange(batches_, {}), {}});
  }
  PX_ASSIGN_OR_RETURN(const std::optional<SharedGroups::Group> group,
                      groups_->Take(budget_, [&](SharedGroups::Answer answer) -> Status {
                        AddTo(explain_, answer.explain);
                        return HandOver(std::move(answer.batches));
                      }));
  if (!group.has_value()) return std::span<const QuerySymbol>();
  at_ = group->index;
  return group->symbols;
}

Status OwnGroups::HandOver(std::vector<ResultBatch> batches) {
  for (ResultBatch& batch : batches) PX_RETURN_IF_ERROR(all_->Adopt(std::move(batch)));
  return OkStatus();
}

Status OwnGroups::Finish() { return HandOver(std::exchange(batches_, {})); }

}  // namespace proxist::query::internal
