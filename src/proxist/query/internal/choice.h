// The columns of a table that an answer shows, named or computed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "proxist/query/internal/value.h"

namespace proxist::query::internal {

/// Immutable once made.
class Choice {
 public:
  /// No columns.
  Choice() = default;
  /// `items` name columns of the side or compute them, "(bid + ask) / 2 as mid"; all of its columns
  /// when empty. symbol, ts and seq are in every answer: they may be named and add nothing. A name
  /// twice is INVALID_ARGUMENT.
  static StatusOr<Choice> Make(Side* side, const std::vector<std::string>& items);
  /// The same where answers have symbol alone: ts and seq come when they are named.
  static StatusOr<Choice> WithKeys(Side* side, const std::vector<std::string>& items);

  [[nodiscard]] size_t size() const { return items_.size(); }
  [[nodiscard]] const std::string& name(size_t i) const { return items_[i].name; }
  [[nodiscard]] column::Type type(size_t i) const { return items_[i].type; }
  /// The slots of the side, when every item is a column of it.
  [[nodiscard]] std::optional<std::vector<size_t>> Slots() const;
  /// Appends a column for each item: its values at `rows` of `frame`; null where a row is negative.
  void Append(const exec::Frame& frame, SymbolScan& symbol, std::span<const int64_t> rows,
              std::vector<exec::Column>* out) const;

 private:
  struct Item {
    std::string name;
    column::Type type;
    std::optional<size_t> slot;
    std::optional<Value> value;  // when there is no slot
  };
  static StatusOr<Choice> MakeOf(Side* side, const std::vector<std::string>& items, bool keys);
  Status Add(Side* side, const std::string& text, bool keys);
  std::vector<Item> items_;
};

}  // namespace proxist::query::internal
