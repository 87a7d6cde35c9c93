// Which rows of the backlog an insert takes, and in which order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxist/history/history.h"

namespace proxist::history {

/// The rows of one source that an intent describes, ascending.
struct SelectedRows {
  const SourceBatch* source = nullptr;
  std::vector<uint32_t> rows;
  size_t base = 0;                 // how many rows the parts before this one have
  std::span<const Lsn> lsns = {};  // of the source's rows, when they do not follow its first
  [[nodiscard]] uint64_t LsnOf(uint32_t row) const {
    return lsns.empty() ? source->first.value() + row : lsns[row].value();
  }
  /// Calls `visit(at, row)` for each row, `at` its place in the parts' order. Mostly all rows of
  /// the source are there, and their numbers need not be read.
  template <typename Visit>
  void ForEach(Visit visit) const {
    if (rows.empty()) return;
    const uint32_t* const row = rows.data();
    const uint32_t first = rows.front();
    const bool all_between = rows.back() - first + 1 == rows.size();
    const size_t begin = base;
    const size_t end = begin + rows.size();
    if (all_between) {
      const size_t offset = first - begin;
      for (size_t at = begin; at < end; ++at) visit(at, static_cast<uint32_t>(at + offset));
    } else {
      for (size_t at = begin; at < end; ++at) visit(at, row[at - begin]);
    }
  }
};

inline size_t TotalRows(std::span<const SelectedRows> parts) {
  return parts.empty() ? 0 : parts.back().base + parts.back().rows.size();
}

/// In the order of `sources`; sources without a row are left out.
std::vector<SelectedRows> SelectRows(const InsertIntent& intent,
                                     std::span<const SourceBatch> sources);

/// The block of rows that were selected, as EncodeInsertBlock.
std::vector<std::byte> EncodeSelectedRows(const column::TableSchema& schema,
                                          std::span<const SelectedRows> parts,
                                          std::vector<std::byte> reused = {});

/// Texts of several dictionaries under one numbering. The texts must outlive it.
class TextUnion {
 public:
  uint32_t Intern(std::string_view text);
  [[nodiscard]] const std::vector<std::string_view>& texts() const { return texts_; }
  /// The codes in the byte order of their texts.
  [[nodiscard]] std::vector<uint32_t> Sorted() const;

 private:
  std::unordered_map<std::string_view, uint32_t> codes_;
  std::vector<std::string_view> texts_;
};

/// Calls `visit(at, code)` for every row, in the parts' order, with the code that `texts` has for
/// its value in a symbol column. `view_of` gives a part's view, or nullptr where its schema lacks
/// the column; rows without a value get `null_code`.
template <typename ViewOf, typename Visit>
void VisitCodes(std::span<const SelectedRows> parts, ViewOf view_of, uint32_t null_code,
                TextUnion* texts, Visit visit) {
  constexpr uint32_t kUnknown = UINT32_MAX;
  std::vector<uint32_t> known;  // local code -> common code
  for (const SelectedRows& part : parts) {
    const column::ColumnView* view = view_of(part);
    if (view == nullptr) {
      part.ForEach([&](size_t at, uint32_t) { visit(at, null_code); });
      continue;
    }
    known.assign(view->dictionary.size(), kUnknown);
    const auto code_of = [&known, view, texts](uint32_t row) {
      uint32_t& code = known[view->At<uint32_t>(row)];
      if (code == kUnknown) code = texts->Intern(view->dictionary[view->At<uint32_t>(row)]);
      return code;
    };
    if (view->validity.empty()) {
      part.ForEach([&](size_t at, uint32_t row) { visit(at, code_of(row)); });
    } else {
      part.ForEach([&](size_t at, uint32_t row) {
        visit(at, view->IsValid(row) ? code_of(row) : null_code);
      });
    }
  }
}

/// The order of rows in a block: (symbol, ts, seq, series texts, version).
struct BlockOrder {
  std::vector<uint32_t> places;           // of every row, in the parts' order
  std::vector<std::string_view> symbols;  // ascending
  std::vector<uint32_t> ends;             // for each of them, the place behind its last row
};

/// Sorts in the memory of `scratch`, whose content is lost.
BlockOrder OrderRows(const column::TableSchema& schema, std::span<const SelectedRows> parts,
                     std::vector<std::byte>* scratch);

/// The index in `batch` of the column with `id`, or nullptr: the batch follows an older schema.
const column::ColumnView* FindColumn(const column::Batch& batch, const column::ColumnDef& def,
                                     size_t index);

}  // namespace proxist::history
