// Copies, widened to 64 bits.
#include "proxist/query/internal/block_rows.h"

#include <algorithm>
#include <cstring>

#include "proxist/base/check.h"
#include "proxist/query/internal/piece_columns.h"

namespace proxist::query::internal {
namespace {

using column::TypeKind;

/// Calls `visit(T{})` with the C++ type of values of a kind that blocks hold.
template <typename Visit>
void VisitHeld(TypeKind kind, const Visit& visit) {
  switch (kind) {
    case TypeKind::kFloat64:
      return visit(double{});
    case TypeKind::kFloat32:
      return visit(float{});
    case TypeKind::kInt8:
      return visit(int8_t{});
    case TypeKind::kInt16:
      return visit(int16_t{});
    case TypeKind::kInt32:
      return visit(int32_t{});
    case TypeKind::kUint8:
      return visit(uint8_t{});
    case TypeKind::kUint16:
      return visit(uint16_t{});
    case TypeKind::kUint32:
      return visit(uint32_t{});
    default:
      return visit(int64_t{});
  }
}

/// Appends the values of the rows, of a block's column, to `out`.
template <typename From, typename To>
void Gather(const From* values, std::span<const uint32_t> rows, std::vector<To>* out) {
  const size_t known = out->size();
  out->resize(known + rows.size());
  To* to = out->data() + known;
  for (size_t i = 0; i < rows.size(); ++i) to[i] = values[rows[i]];
}

}  // namespace

bool BlockRows::Holds(column::Type type) {
  return column::IsNumeric(type.kind) && type.kind != TypeKind::kUint64;
}

BlockRows::BlockRows(const column::TableSchema& schema, std::span<const size_t> columns) {
  for (const size_t column : columns) {
    const column::Type type = schema.columns[column].type;
    PX_CHECK(Holds(type));
    columns_.push_back({column, type, column::IsFloat(type.kind), {}, {}});
  }
}

bool BlockRows::Covers(std::span<const Piece> pieces) const {
  return std::ranges::all_of(pieces, [&](const Piece& piece) {
    return std::ranges::all_of(columns_, [&](const Values& values) {
      return hot::AllValid(*piece.block, values.column, piece.begin, piece.end);
    });
  });
}

size_t BlockRows::PlaceOf(size_t column) const {
  const auto at = std::ranges::find(columns_, column, &Values::column);
  PX_CHECK(at != columns_.end());
  return static_cast<size_t>(at - columns_.begin());
}

uint8_t BlockRows::scale(size_t place) const {
  const column::Type type = columns_[place].type;
  return type.kind == TypeKind::kDecimal ? type.scale : 0;
}

bool BlockRows::CanLookAt() const {
  return std::ranges::all_of(columns_, [](const Values& values) {
    return column::WidthOf(values.type.kind) == sizeof(int64_t);
  });
}

void BlockRows::LookAt(const Piece& piece, const Piece* next) {
  looked_at_ = piece.end - piece.begin;
  for (Values& values : columns_) {
    const auto at = [&](const Piece& of) {
      return hot::ValuesOf(*of.block, values.column) + of.begin * sizeof(int64_t);
    };
    values.lie_at = at(piece);
    values.next_at = next == nullptr ? nullptr : at(*next);
  }
}

void BlockRows::DropFront(size_t n) {
  looked_at_ = 0;
  const auto drop = [n](auto* values) {
    values->erase(values->begin(), values->begin() + static_cast<ptrdiff_t>(n));
  };
  drop(&ts_);
  for (Values& values : columns_) values.real ? drop(&values.reals) : drop(&values.wholes);
}

void BlockRows::Prefetch(const Piece& piece) const {
  const auto ask = [&](const void* values, size_t width) {
    PrefetchRows(values, width, piece.begin, piece.end);
  };
  ask(piece.ts(), sizeof(int64_t));
  if (seqs_) ask(piece.seq(), sizeof(uint64_t));
  for (const FixedColumn& other : others_) {
    ask(hot::ValuesOf(*piece.block, other.index), other.width);
  }
  for (const Values& values : columns_) {
    ask(hot::ValuesOf(*piece.block, values.column), column::WidthOf(values.type.kind));
  }
}

void BlockRows::Append(const Piece& piece) {
  looked_at_ = 0;
  ts_.insert(ts_.end(), piece.ts() + piece.begin, piece.ts() + piece.end);
  for (Values& values : columns_) {
    VisitHeld(values.type.kind, [&]<typename T>(T /*tag*/) {
      const T* from = reinterpret_cast<const T*>(hot::ValuesOf(*piece.block, values.column));
      auto& to = values.list<T>();
      to.insert(to.end(), from + piece.begin, from + piece.end);
    });
  }
}

void BlockRows::Append(const Piece& piece, std::span<const uint32_t> rows) {
  looked_at_ = 0;
  Gather(piece.ts(), rows, &ts_);
  for (Values& values : columns_) {
    VisitHeld(values.type.kind, [&]<typename T>(T /*tag*/) {
      const T* from = reinterpret_cast<const T*>(hot::ValuesOf(*piece.block, values.column));
      Gather(from, rows, &values.list<T>());
    });
  }
}

exec::Column BlockRows::Slice(size_t place, size_t begin, size_t end) const {
  const Values& values = columns_[place];
  column::Type type = values.type;
  if (type.kind != TypeKind::kDecimal) {
    type = {values.real ? TypeKind::kFloat64 : TypeKind::kInt64, 0};
  }
  exec::Column out(type);
  const void* from = values.real ? static_cast<const void*>(values.reals.data() + begin)
                                 : static_cast<const void*>(values.wholes.data() + begin);
  std::byte* to = out.Extend(end - begin);
  if (end > begin) std::memcpy(to, from, (end - begin) * sizeof(int64_t));
  return out;
}

}  // namespace proxist::query::internal
