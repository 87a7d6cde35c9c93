// Blocks that ClickHouse answers with. Every value takes at least one byte, so a row count above
// the bytes left is refused before anything is allocated for it.
#include "proxist/history/internal/native_reader.h"

#include <cstring>
#include <limits>
#include <string>

#include "proxist/history/internal/native_writer.h"

namespace proxist::history {
namespace {

using column::TypeKind;

class Cursor {
 public:
  explicit Cursor(ByteSpan bytes) : reader_(bytes, "ClickHouse's answer") {}

  [[nodiscard]] size_t remaining() const { return reader_.remaining(); }
  [[nodiscard]] size_t offset() const { return reader_.offset(); }

  StatusOr<uint64_t> Varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      PX_ASSIGN_OR_RETURN(const uint8_t byte, reader_.Get<uint8_t>());
      const uint64_t bits = byte & 0x7f;
      if (shift == 63 && bits > 1) break;
      value |= bits << shift;
      if (byte < 0x80) return value;
    }
    return DataLoss("ClickHouse's answer: a number before byte {} is too long", offset());
  }
  StatusOr<uint64_t> Uint64() { return reader_.Get<uint64_t>(); }
  StatusOr<ByteSpan> Bytes(uint64_t size) {
    if (size > remaining()) {
      return DataLoss("ClickHouse's answer ends at byte {}: {} more bytes expected, {} left",
                      offset(), size, remaining());
    }
    return reader_.GetBytes(static_cast<size_t>(size));
  }
  /// `count` values of `width` bytes.
  StatusOr<ByteSpan> Values(uint64_t count, size_t width) {
    if (count > remaining() / width) return Bytes(std::numeric_limits<uint64_t>::max());
    return reader_.GetBytes(static_cast<size_t>(count) * width);
  }
  StatusOr<std::string_view> String() {
    PX_ASSIGN_OR_RETURN(const uint64_t size, Varint());
    PX_ASSIGN_OR_RETURN(const ByteSpan bytes, Bytes(size));
    return AsText(bytes);
  }

 private:
  ByteReader reader_;
};

/// Appends validity bits for `rows` rows after `before` earlier ones. `is_null(i)` is asked in
/// order.
template <typename IsNull>
void AppendValidity(std::vector<std::byte>* validity, size_t before, size_t rows, IsNull is_null) {
  validity->resize((before + rows + 7) / 8);
  for (size_t i = 0; i < rows; ++i) {
    const size_t at = before + i;
    if (!is_null(i)) (*validity)[at >> 3] |= std::byte{1} << (at & 7);
  }
}

Status ReadStrings(Cursor* cursor, size_t rows, NativeColumn* column) {
  ByteWriter ends(&column->values);
  ByteWriter text(&column->text);
  for (size_t i = 0; i < rows; ++i) {
    PX_ASSIGN_OR_RETURN(const std::string_view value, cursor->String());
    if (column->text.size() + value.size() > std::numeric_limits<uint32_t>::max()) {
      return ResourceExhausted("column {} has more than 4 GiB of text; ask for fewer rows",
                               column->expected.name);
    }
    text.PutBytes(AsBytes(value));
    ends.Put(static_cast<uint32_t>(column->text.size()));
  }
  return OkStatus();
}

uint64_t LoadIndex(const std::byte* indexes, size_t at, size_t width) {
  switch (width) {
    case 1:
      return LoadAt<uint8_t>(indexes, at);
    case 2:
      return LoadAt<uint16_t>(indexes, at);
    case 4:
      return LoadAt<uint32_t>(indexes, at);
    default:
      return LoadAt<uint64_t>(indexes, at);
  }
}

/// Codes of one block, renumbered by the column's own dictionary. In a nullable column index 0 is
/// the null.
Status AppendCodes(const std::vector<std::string_view>& keys, ByteSpan indexes, size_t width,
                   size_t rows, size_t before, NativeColumn* column) {
  constexpr uint32_t kUnknown = std::numeric_limits<uint32_t>::max();
  std::vector<uint32_t> codes(keys.size(), kUnknown);
  const bool nullable = column->expected.nullable;
  const size_t at = column->values.size();
  column->values.resize(at + rows * sizeof(uint32_t));
  for (size_t i = 0; i < rows; ++i) {
    const uint64_t index = LoadIndex(indexes.data(), i, width);
    if (index >= keys.size()) {
      return DataLoss("ClickHouse's answer: column {} has index {} in a dictionary of {}",
                      column->expected.name, index, keys.size());
    }
    if (nullable && index == 0) continue;
    if (codes[index] == kUnknown) codes[index] = column->dictionary->Intern(keys[index]);
    std::memcpy(column->values.data() + at + i * sizeof(uint32_t), &codes[index], sizeof(uint32_t));
  }
  if (nullable) {
    AppendValidity(&column->validity, before, rows,
                   [&](size_t i) { return LoadIndex(indexes.data(), i, width) == 0; });
  }
  return OkStatus();
}

Status ReadLowCardinality(Cursor* cursor, size_t rows, size_t before, NativeColumn* column) {
  PX_ASSIGN_OR_RETURN(const uint64_t version, cursor->Uint64());
  PX_ASSIGN_OR_RETURN(const uint64_t flags, cursor->Uint64());
  const uint64_t index_type = flags & kIndexTypeMask;
  if (version != kLowCardinalityVersion || index_type > 3 || (flags & kNeedGlobalDictionary) != 0 ||
      (flags & kHasAdditionalKeys) == 0) {
    return DataLoss("ClickHouse's answer: column {} has an unknown dictionary header ({}, {:#x})",
                    column->expected.name, version, flags);
  }
  PX_ASSIGN_OR_RETURN(const uint64_t key_count, cursor->Uint64());
  if (key_count > cursor->remaining()) return cursor->Bytes(key_count).status();
  std::vector<std::string_view> keys(static_cast<size_t>(key_count));
  for (std::string_view& key : keys) {
    PX_ASSIGN_OR_RETURN(key, cursor->String());
  }
  PX_ASSIGN_OR_RETURN(const uint64_t index_count, cursor->Uint64());
  if (index_count != rows) {
    return DataLoss("ClickHouse's answer: column {} has {} indexes for {} rows",
                    column->expected.name, index_count, rows);
  }
  const size_t width = size_t{1} << index_type;
  PX_ASSIGN_OR_RETURN(const ByteSpan indexes, cursor->Values(rows, width));
  return AppendCodes(keys, indexes, width, rows, before, column);
}

Status ReadColumn(Cursor* cursor, size_t rows, size_t before, NativeColumn* column) {
  if (rows == 0) return OkStatus();
  const TypeKind kind = column->expected.type.kind;
  if (kind == TypeKind::kSymbol) return ReadLowCardinality(cursor, rows, before, column);
  if (column->expected.nullable) {
    PX_ASSIGN_OR_RETURN(const ByteSpan nulls, cursor->Values(rows, 1));
    AppendValidity(&column->validity, before, rows,
                   [&](size_t i) { return nulls[i] != std::byte{0}; });
  }
  if (kind == TypeKind::kString) return ReadStrings(cursor, rows, column);
  PX_ASSIGN_OR_RETURN(const ByteSpan values, cursor->Values(rows, column::WidthOf(kind)));
  column->values.insert(column->values.end(), values.begin(), values.end());
  return OkStatus();
}

Status ReadHeader(Cursor* cursor, const HistoryColumn& expected) {
  PX_ASSIGN_OR_RETURN(const std::string_view name, cursor->String());
  PX_ASSIGN_OR_RETURN(const std::string_view type, cursor->String());
  if (name == expected.name && type == expected.clickhouse_type) return OkStatus();
  return FailedPrecondition("ClickHouse answers with column {} {} where {} {} is expected",
                            name.substr(0, 200), type.substr(0, 200), expected.name,
                            expected.clickhouse_type);
}

}  // namespace

column::ColumnView NativeColumn::View() const {
  column::ColumnView view{expected.type, values, validity, text, {}};
  if (dictionary != nullptr) {
    view.dictionary.reserve(dictionary->size());
    for (uint32_t code = 0; code < dictionary->size(); ++code) {
      view.dictionary.push_back(dictionary->At(code));
    }
  }
  return view;
}

NativeReader::NativeReader(std::vector<HistoryColumn> expected) {
  for (HistoryColumn& column : expected) {
    NativeColumn& added = columns_.emplace_back();
    added.expected = std::move(column);
    if (added.expected.type.kind == TypeKind::kSymbol) {
      added.dictionary = std::make_unique<column::Dictionary>();
    } else if (added.expected.type.kind == TypeKind::kString) {
      ByteWriter(&added.values).Put(uint32_t{0});
    }
  }
}

Status NativeReader::Append(ByteSpan body, size_t max_rows) {
  Cursor cursor(body);
  while (cursor.remaining() > 0) {
    PX_ASSIGN_OR_RETURN(const uint64_t column_count, cursor.Varint());
    PX_ASSIGN_OR_RETURN(const uint64_t rows, cursor.Varint());
    if (column_count != columns_.size()) {
      return DataLoss("ClickHouse's answer has a block of {} columns where {} are expected",
                      column_count, columns_.size());
    }
    if (rows > cursor.remaining()) return cursor.Bytes(rows).status();
    if (rows > max_rows - rows_) {
      return ResourceExhausted("the answer has more than {} rows", max_rows);
    }
    for (NativeColumn& column : columns_) {
      PX_RETURN_IF_ERROR(ReadHeader(&cursor, column.expected));
      PX_RETURN_IF_ERROR(ReadColumn(&cursor, static_cast<size_t>(rows), rows_, &column));
    }
    rows_ += static_cast<size_t>(rows);
  }
  return OkStatus();
}

}  // namespace proxist::history
