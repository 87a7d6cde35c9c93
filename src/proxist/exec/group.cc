// Groups by hashing keys: codes of one symbol column directly, anything else as bytes.
#include "proxist/exec/group.h"

#include <compare>

#include "proxist/base/check.h"
#include "proxist/exec/internal/visit.h"

namespace proxist::exec {
namespace {

constexpr uint64_t kNullCode = ~uint64_t{0};

void AppendKey(const Column& column, uint32_t row, std::string* key) {
  if (!column.IsValid(row)) {
    key->push_back('\0');
    return;
  }
  key->push_back('\1');
  if (column.type().kind == column::TypeKind::kString) {
    const std::string_view text = column.data<std::string_view>()[row];
    const auto size = static_cast<uint32_t>(text.size());
    key->append(reinterpret_cast<const char*>(&size), sizeof size);
    key->append(text);
    return;
  }
  key->append(column.data<char>() + row * column.stride(), column.stride());
}

}  // namespace

std::vector<uint32_t> Grouping::Assign(std::span<const Column* const> columns,
                                       std::span<const uint32_t> rows) {
  std::vector<uint32_t> ids(rows.size(), 0);
  if (columns.empty()) {
    if (size_ == 0) size_ = 1;
    return ids;
  }
  if (columns.size() == 1 && columns[0]->type().kind == column::TypeKind::kSymbol) {
    const Column& column = *columns[0];
    uint64_t last_code = kNullCode - 1;
    uint32_t last_id = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      const uint64_t code =
          column.IsValid(rows[i]) ? uint64_t{column.data<uint32_t>()[rows[i]]} : kNullCode;
      if (code != last_code) {
        const auto [it, added] = codes_.emplace(code, static_cast<uint32_t>(size_));
        if (added) ++size_;
        last_code = code;
        last_id = it->second;
      }
      ids[i] = last_id;
    }
    return ids;
  }
  std::string key;
  for (size_t i = 0; i < rows.size(); ++i) {
    key.clear();
    for (const Column* column : columns) AppendKey(*column, rows[i], &key);
    const auto [it, added] = keys_.emplace(key, static_cast<uint32_t>(size_));
    if (added) ++size_;
    ids[i] = it->second;
  }
  return ids;
}

int CompareValues(const Column& a, size_t a_row, const Column& b, size_t b_row,
                  const Symbols& symbols) {
  const bool a_valid = a.IsValid(a_row);
  const bool b_valid = b.IsValid(b_row);
  if (!a_valid || !b_valid) return static_cast<int>(a_valid) - static_cast<int>(b_valid);
  switch (a.type().kind) {
    case column::TypeKind::kString:
      return a.data<std::string_view>()[a_row].compare(b.data<std::string_view>()[b_row]);
    case column::TypeKind::kSymbol:
      return symbols.Text(a.data<uint32_t>()[a_row])
          .compare(symbols.Text(b.data<uint32_t>()[b_row]));
    default:
      return internal::VisitFixed(a.type().kind, [&]<typename T>(T /*tag*/) {
        const T x = a.data<T>()[a_row];
        const T y = b.data<T>()[b_row];
        return static_cast<int>(x > y) - static_cast<int>(x < y);
      });
  }
}

}  // namespace proxist::exec
