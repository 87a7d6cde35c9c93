// The metadata store's contract in memory, under the machine's power.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxist/meta/store.h"
#include "proxist/sim/power.h"
#include "proxist/sim/random.h"

namespace proxist::sim {

/// One thread. Durable when Apply returns; when the power fails during it, all or nothing is.
class Metadata final : public meta::MetadataStore {
 public:
  Metadata(Power* power, Random* random) : power_(power), random_(random) {}

  StatusOr<meta::Entry> Get(std::string_view key) override;
  StatusOr<std::vector<meta::Entry>> List(std::string_view prefix) override;
  StatusOr<Revision> Apply(std::span<const meta::Mutation> mutations, std::string_view author,
                           std::string_view reason) override;
  /// Nothing is ever called back: a run has one catalog, which knows what it changes.
  StatusOr<std::unique_ptr<meta::Watch>> Subscribe(
      std::string_view prefix, std::function<void(const meta::Event&)> callback) override;

  /// Of each Apply, this many in a hundred fail without changing anything.
  void SetFailures(uint32_t percent) { failures_ = percent; }

 private:
  Power* const power_;
  Random* const random_;
  std::map<std::string, meta::Entry, std::less<>> entries_;
  Revision revision_{0};
  uint32_t failures_ = 0;
};

}  // namespace proxist::sim
