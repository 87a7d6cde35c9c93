// Predicates: the language of --where and --right-where (grammar: docs/queries.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/exec/frame.h"

namespace proxist::exec {

inline constexpr size_t kMaxPredicateBytes = 64 << 10;
inline constexpr size_t kMaxPredicateDepth = 64;

/// A column that a predicate may name.
struct PredicateColumn {
  std::string name;
  column::Type type;
};

/// Names in front of a table's own columns in the list given to Compile.
inline constexpr size_t kSymbolColumn = 0;
inline constexpr size_t kTsColumn = 1;
inline constexpr size_t kSeqColumn = 2;
inline constexpr size_t kFirstTableColumn = 3;

/// The rows that a predicate reads. `slots[c - kFirstTableColumn]` is where in frame->columns the
/// c-th column given to Compile stands, or -1 when the predicate does not use it.
struct PredicateInput {
  const Frame* frame = nullptr;
  uint32_t symbol = 0;  // of every row
  Symbols* symbols = nullptr;
  std::span<const int> slots;
};

/// A compiled predicate. Three-valued logic as in SQL: a comparison with null is unknown, and a row
/// is selected only when the whole is true. Immutable; any thread.
class Predicate {
 public:
  /// `columns` are symbol, ts, seq and then the table's. INVALID_ARGUMENT points at the character
  /// (from 1) and names what was expected; an unknown column lists those that exist.
  static StatusOr<Predicate> Compile(std::string_view text,
                                     std::span<const PredicateColumn> columns);
  ~Predicate();
  Predicate(Predicate&&) noexcept;
  Predicate& operator=(Predicate&&) noexcept;

  /// Indices into the columns given to Compile that are read, ascending.
  [[nodiscard]] const std::vector<size_t>& columns() const { return columns_; }
  /// Appends the rows for which the predicate is true, ascending.
  void Select(const PredicateInput& input, std::vector<uint32_t>* rows) const;

  struct Node;

 private:
  Predicate();
  std::unique_ptr<const Node> root_;
  std::vector<size_t> columns_;
};

}  // namespace proxist::exec
