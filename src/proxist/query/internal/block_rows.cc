// Copies, widened to 64 bits.
#include "proxist/query/internal/block_rows.h"

#include <algorithm>
#include <cstring>

#include "proxist/base/check.h"
#include "proxist/query/internal/piece_columns.h"

namespace proxist::query::internal {
namespace {

using column::TypeKind;

template <typename From, typename To>
void Widen(const std::byte* values, uint32_t begin, uint32_t end, std::vector<To>* out) {
  const auto* from = reinterpret_cast<const From*>(values);
  out->insert(out->end(), from + begin, from + end);
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
    const std::byte* from = hot::ValuesOf(*piece.block, values.column);
    switch (values.type.kind) {
      case TypeKind::kFloat64:
        Widen<double>(from, piece.begin, piece.end, &values.reals);
        break;
      case TypeKind::kFloat32:
        Widen<float>(from, piece.begin, piece.end, &values.reals);
        break;
      case TypeKind::kInt8:
        Widen<int8_t>(from, piece.begin, piece.end, &values.wholes);
        break;
      case TypeKind::kInt16:
        Widen<int16_t>(from, piece.begin, piece.end, &values.wholes);
        break;
      case TypeKind::kInt32:
        Widen<int32_t>(from, piece.begin, piece.end, &values.wholes);
        break;
      case TypeKind::kUint8:
        Widen<uint8_t>(from, piece.begin, piece.end, &values.wholes);
        break;
      case TypeKind::kUint16:
        Widen<uint16_t>(from, piece.begin, piece.end, &values.wholes);
        break;
      case TypeKind::kUint32:
        Widen<uint32_t>(from, piece.begin, piece.end, &values.wholes);
        break;
      default:
        Widen<int64_t>(from, piece.begin, piece.end, &values.wholes);
        break;
    }
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
