#include "proxist/sim/metadata.h"

namespace proxist::sim {

StatusOr<meta::Entry> Metadata::Get(std::string_view key) {
  if (!power_->on()) return Power::Dark("metadata");
  const auto found = entries_.find(key);
  if (found == entries_.end()) return NotFound("metadata has no key '{}'", key);
  return found->second;
}

StatusOr<std::vector<meta::Entry>> Metadata::List(std::string_view prefix) {
  if (!power_->on()) return Power::Dark("metadata");
  std::vector<meta::Entry> found;
  for (auto at = entries_.lower_bound(prefix); at != entries_.end(); ++at) {
    if (!at->first.starts_with(prefix)) break;
    found.push_back(at->second);
  }
  return found;
}

StatusOr<Revision> Metadata::Apply(std::span<const meta::Mutation> mutations, std::string_view,
                                   std::string_view) {
  const Power::Step step = power_->Change();
  if (step == Power::Step::kDark) return Power::Dark("metadata");
  if (step == Power::Step::kFails && random_->Chance(50)) return Power::Dark("metadata");
  if (failures_ > 0 && random_->Chance(failures_)) return Unavailable("metadata: disk I/O error");
  for (const meta::Mutation& mutation : mutations) {
    const auto found = entries_.find(mutation.key);
    const Revision modified = found == entries_.end() ? Revision(0) : found->second.modified;
    if (mutation.expected.has_value() && *mutation.expected != modified) {
      return Aborted("metadata key '{}' is at revision {}, not {}", mutation.key, modified.value(),
                     mutation.expected->value());
    }
  }
  revision_ = revision_.Next();
  for (const meta::Mutation& mutation : mutations) {
    const auto found = entries_.find(mutation.key);
    if (!mutation.value.has_value()) {
      if (found != entries_.end()) entries_.erase(found);
      continue;
    }
    const Revision created = found == entries_.end() ? revision_ : found->second.created;
    entries_[mutation.key] = {mutation.key, *mutation.value, created, revision_};
  }
  if (step == Power::Step::kFails) return Power::Dark("metadata");
  return revision_;
}

StatusOr<std::unique_ptr<meta::Watch>> Metadata::Subscribe(
    std::string_view, std::function<void(const meta::Event&)>) {
  return std::make_unique<meta::Watch>();
}

}  // namespace proxist::sim
