// Blocks that ClickHouse answers with. Memory is taken for bytes that are there, never for what a
// count promises. A column that is not whole yet is left alone and tried again with more bytes.
#include "proxist/history/internal/native_reader.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>

#include "proxist/history/internal/native_writer.h"

namespace proxist::history {
namespace {

using column::TypeKind;

/// Of a column of one block, which has some 65,000 rows.
constexpr size_t kMaxPendingBytes = 1ull << 30;

/// Errors are OUT_OF_RANGE where the bytes end too early.
class Cursor {
 public:
  /// `before`: bytes of the answer before these.
  Cursor(ByteSpan bytes, uint64_t before)
      : reader_(bytes, "ClickHouse's answer"), before_(before) {}

  [[nodiscard]] size_t remaining() const { return reader_.remaining(); }
  [[nodiscard]] size_t used() const { return reader_.offset(); }
  /// In the answer.
  [[nodiscard]] uint64_t offset() const { return before_ + reader_.offset(); }
  /// After OUT_OF_RANGE: at least so many bytes are needed from where the cursor began.
  [[nodiscard]] uint64_t needed() const { return needed_; }

  StatusOr<uint64_t> Varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (remaining() == 0) return Short(1);
      PX_ASSIGN_OR_RETURN(const uint8_t byte, reader_.Get<uint8_t>());
      const uint64_t bits = byte & 0x7f;
      if (shift == 63 && bits > 1) break;
      value |= bits << shift;
      if (byte < 0x80) return value;
    }
    return DataLoss("ClickHouse's answer: a number before byte {} is too long", offset());
  }
  StatusOr<uint64_t> Uint64() {
    if (remaining() < sizeof(uint64_t)) return Short(sizeof(uint64_t));
    return reader_.Get<uint64_t>();
  }
  StatusOr<ByteSpan> Bytes(uint64_t size) {
    if (size > remaining()) return Short(size);
    return reader_.GetBytes(static_cast<size_t>(size));
  }
  /// `count` values of `width` bytes.
  StatusOr<ByteSpan> Values(uint64_t count, size_t width) {
    if (count > remaining() / width) {
      constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
      return Short(count > kMax / width ? kMax : count * width);
    }
    return reader_.GetBytes(static_cast<size_t>(count) * width);
  }
  StatusOr<std::string_view> String() {
    PX_ASSIGN_OR_RETURN(const uint64_t size, Varint());
    PX_ASSIGN_OR_RETURN(const ByteSpan bytes, Bytes(size));
    return AsText(bytes);
  }

  Status Short(uint64_t size) {
    // What lies far beyond any block is a lie, which the answer's end tells.
    constexpr uint64_t kFar = 1ull << 40;
    needed_ = size < kFar ? used() + size : 0;
    return OutOfRange("ClickHouse's answer ends at byte {}: {} more bytes expected, {} left",
                      offset(), size, remaining());
  }

 private:
  ByteReader reader_;
  uint64_t before_;
  uint64_t needed_ = 0;
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
  // Each has at least a byte.
  if (key_count > cursor->remaining()) return cursor->Short(key_count);
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

/// Header and values of one column of a block; what an error leaves behind is taken back.
Status ReadWholeColumn(Cursor* cursor, size_t rows, size_t before, NativeColumn* column) {
  const size_t values = column->values.size();
  const size_t validity = column->validity.size();
  const size_t text = column->text.size();
  Status read = ReadHeader(cursor, column->expected);
  if (read.ok()) read = ReadColumn(cursor, rows, before, column);
  if (read.ok()) return read;
  column->values.resize(values);
  // Bits of the last byte that stay are set again alike.
  column->validity.resize(validity);
  column->text.resize(text);
  return read;
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

NativeReader::NativeReader(std::vector<HistoryColumn> expected) : next_column_(expected.size()) {
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

StatusOr<size_t> NativeReader::Decode(ByteSpan bytes, size_t max_rows) {
  size_t done = 0;
  while (done < bytes.size()) {
    Cursor cursor(bytes.subspan(done), decoded_);
    Status read;
    if (next_column_ < columns_.size()) {
      read = ReadWholeColumn(&cursor, block_rows_, rows_, &columns_[next_column_]);
      if (read.ok() && ++next_column_ == columns_.size()) rows_ += block_rows_;
    } else {
      const StatusOr<uint64_t> column_count = cursor.Varint();
      const StatusOr<uint64_t> rows = column_count.ok() ? cursor.Varint() : column_count.status();
      read = rows.status();
      if (read.ok() && *column_count != columns_.size()) {
        return DataLoss("ClickHouse's answer has a block of {} columns where {} are expected",
                        *column_count, columns_.size());
      }
      if (read.ok() && *rows > max_rows - rows_) {
        return ResourceExhausted("the answer has more than {} rows", max_rows);
      }
      if (read.ok()) {
        block_rows_ = static_cast<size_t>(*rows);
        next_column_ = 0;
      }
    }
    if (absl::IsOutOfRange(read)) {
      const size_t left = bytes.size() - done;
      wanted_ = std::max(static_cast<size_t>(cursor.needed()), left + left / 2);
      return done;
    }
    PX_RETURN_IF_ERROR(read);
    done += cursor.used();
    decoded_ += cursor.used();
  }
  return done;
}

Status NativeReader::Push(ByteSpan piece, size_t max_rows) {
  if (pending_.empty()) {
    PX_ASSIGN_OR_RETURN(const size_t done, Decode(piece, max_rows));
    pending_.assign(piece.begin() + static_cast<ptrdiff_t>(done), piece.end());
    return OkStatus();
  }
  if (pending_.size() + piece.size() > kMaxPendingBytes) {
    return ResourceExhausted("a column of one block of ClickHouse's answer exceeds {} bytes",
                             kMaxPendingBytes);
  }
  pending_.insert(pending_.end(), piece.begin(), piece.end());
  if (pending_.size() < wanted_) return OkStatus();
  PX_ASSIGN_OR_RETURN(const size_t done, Decode(pending_, max_rows));
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(done));
  return OkStatus();
}

Status NativeReader::Finish(size_t max_rows) {
  PX_ASSIGN_OR_RETURN(const size_t done, Decode(pending_, max_rows));
  if (done == pending_.size() && next_column_ == columns_.size()) {
    pending_.clear();
    return OkStatus();
  }
  return DataLoss("ClickHouse's answer ends at byte {} amid a block",
                  decoded_ + pending_.size() - done);
}

Status NativeReader::Append(ByteSpan body, size_t max_rows) {
  PX_RETURN_IF_ERROR(Push(body, max_rows));
  return Finish(max_rows);
}

}  // namespace proxist::history
