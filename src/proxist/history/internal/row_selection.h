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
};

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
  /// For each code its place among the texts in byte order.
  [[nodiscard]] std::vector<uint32_t> Ranks() const;

 private:
  std::unordered_map<std::string_view, uint32_t> codes_;
  std::vector<std::string_view> texts_;
};

/// A symbol column's values over all parts, in the parts' order. `view_of` gives a part's view, or
/// nullptr where its schema lacks the column; rows without a value get `null_code`.
template <typename ViewOf>
std::vector<uint32_t> UnifyCodes(std::span<const SelectedRows> parts, size_t total, ViewOf view_of,
                                 uint32_t null_code, TextUnion* texts) {
  constexpr uint32_t kUnknown = UINT32_MAX;
  std::vector<uint32_t> out(total, null_code);
  std::vector<uint32_t> known;  // local code -> common code
  for (const SelectedRows& part : parts) {
    const column::ColumnView* view = view_of(part);
    if (view == nullptr) continue;
    known.assign(view->dictionary.size(), kUnknown);
    for (size_t i = 0; i < part.rows.size(); ++i) {
      if (!view->IsValid(part.rows[i])) continue;
      const auto local = view->At<uint32_t>(part.rows[i]);
      if (known[local] == kUnknown) known[local] = texts->Intern(view->dictionary[local]);
      out[part.base + i] = known[local];
    }
  }
  return out;
}

/// For every selected row its place in the order (symbol, ts, seq, series texts, version). Sorts in
/// the memory of `scratch`, whose content is lost.
std::vector<uint32_t> SortedPlaces(const column::TableSchema& schema,
                                   std::span<const SelectedRows> parts,
                                   std::vector<std::byte>* scratch);

/// The index in `batch` of the column with `id`, or nullptr: the batch follows an older schema.
const column::ColumnView* FindColumn(const column::Batch& batch, const column::ColumnDef& def,
                                     size_t index);

}  // namespace proxist::history
