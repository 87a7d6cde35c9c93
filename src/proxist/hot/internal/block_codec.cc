// Encodes blocks, and decodes them without believing what their bytes say.
#include "proxist/hot/internal/block_codec.h"

#include <algorithm>
#include <tuple>

#include "proxist/base/check.h"

namespace proxist::hot::internal {
namespace {

uint64_t AlignedTo(uint64_t bytes, uint64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

uint64_t ChecksumOfBlock(ByteSpan block) {
  const uint64_t seed = Checksum(block.first(block_field::kChecksum.offset));
  return Checksum(block.subspan(kBlockHeaderBytes), seed);
}

/// Appends arrays, each aligned.
class ArrayWriter {
 public:
  ArrayWriter(std::vector<std::byte>* out, uint8_t alignment) : out_(out), alignment_(alignment) {}
  /// Room for `bytes`, zeroed.
  std::byte* Add(size_t bytes) {
    const size_t at = AlignedTo(out_->size(), alignment_);
    out_->resize(at + bytes);
    return out_->data() + at;
  }
  void Finish() { out_->resize(AlignedTo(out_->size(), alignment_)); }

 private:
  std::vector<std::byte>* out_;
  const uint8_t alignment_;
};

/// Rows by their place: the first ones, or chosen ones.
struct Selection {
  uint32_t rows;
  std::span<const uint32_t> chosen;
  [[nodiscard]] uint32_t At(uint32_t i) const { return chosen.empty() ? i : chosen[i]; }
  void Copy(const void* from, size_t width, std::byte* to) const {
    const auto* in = static_cast<const std::byte*>(from);
    if (chosen.empty()) {
      std::memcpy(to, in, rows * width);
      return;
    }
    for (uint32_t i = 0; i < rows; ++i) std::memcpy(to + i * width, in + chosen[i] * width, width);
  }
};

void EncodeNulls(const RowBlock& block, size_t column, const Selection& rows, std::byte* to) {
  for (uint32_t i = 0; i < rows.rows; ++i) {
    if (block.IsValid(column, rows.At(i))) continue;
    auto word = LoadAt<uint64_t>(to, i >> 6);
    word |= uint64_t{1} << (i & 63);
    std::memcpy(to + (i >> 6) * sizeof word, &word, sizeof word);
  }
}

uint64_t EncodeText(const RowBlock& block, size_t column, const Selection& rows,
                    ArrayWriter* arrays) {
  std::byte* lengths = arrays->Add(rows.rows * sizeof(uint32_t));
  uint64_t total = 0;
  for (uint32_t i = 0; i < rows.rows; ++i) {
    const ByteSpan text = block.text(column, rows.At(i));
    const auto length = static_cast<uint32_t>(text.size());
    std::memcpy(lengths + i * sizeof length, &length, sizeof length);
    total += length;
  }
  return total;
}

void CopyText(const RowBlock& block, size_t column, const Selection& rows, std::byte* to) {
  for (uint32_t i = 0; i < rows.rows; ++i) {
    const ByteSpan text = block.text(column, rows.At(i));
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
    to += text.size();
  }
}

}  // namespace

void BlockCodec::Encode(const RowBlock& block, const Layout& layout, uint32_t rows,
                        std::span<const uint32_t> chosen, uint8_t alignment,
                        std::vector<std::byte>* out) {
  const size_t start = out->size();
  PX_CHECK(start % alignment == 0 && rows > 0 && rows <= block.rows());
  const bool chunk = block.lsn_delta_ != nullptr;
  const Selection selection{rows, chosen};
  const size_t columns = std::min<size_t>(block.column_count_, layout.columns.size());
  out->resize(start + kBlockHeaderBytes + columns * kBlockColumnBytes);
  ArrayWriter arrays(out, alignment);
  selection.Copy(block.ts_, sizeof(int64_t), arrays.Add(rows * sizeof(int64_t)));
  selection.Copy(block.seq_, sizeof(uint64_t), arrays.Add(rows * sizeof(uint64_t)));
  if (chunk) {
    selection.Copy(block.lsn_delta_, sizeof(uint32_t), arrays.Add(rows * sizeof(uint32_t)));
  } else {
    selection.Copy(block.lsn_, sizeof(uint64_t), arrays.Add(rows * sizeof(uint64_t)));
    selection.Copy(block.op_, 1, arrays.Add(rows));
    selection.Copy(block.published_, sizeof(int64_t), arrays.Add(rows * sizeof(int64_t)));
  }
  for (size_t c = 0; c < columns; ++c) {
    const RowBlock::Column& column = block.columns_[c];
    const column::TypeKind kind = column.kind;
    const bool text = kind == column::TypeKind::kString;
    const bool nulls = column.nulls.load(std::memory_order_acquire) != nullptr;
    uint64_t text_bytes = 0;
    if (column.own && text) {
      text_bytes = EncodeText(block, c, selection, &arrays);
    } else if (column.own) {
      const size_t width = column::WidthOf(kind);
      selection.Copy(column.values, width, arrays.Add(rows * width));
    }
    if (nulls) EncodeNulls(block, c, selection, arrays.Add((rows + 63) / 64 * sizeof(uint64_t)));
    if (text_bytes > 0) CopyText(block, c, selection, arrays.Add(text_bytes));
    std::byte* entry = out->data() + start + kBlockHeaderBytes + c * kBlockColumnBytes;
    StoreField(entry, column_field::kKind, static_cast<uint8_t>(kind));
    const int flags = (column.own ? kOwnFlag : 0) | (nulls ? kNullsFlag : 0);
    StoreField(entry, column_field::kFlags, static_cast<uint8_t>(flags));
    StoreField(entry, column_field::kTextBytes, text_bytes);
  }
  arrays.Finish();

  std::byte* header = out->data() + start;
  namespace f = block_field;
  StoreField(header, f::kMagic, kBlockMagic);
  StoreField(header, f::kKind,
             static_cast<uint8_t>(chunk ? BlockKind::kChunk : BlockKind::kOverlay));
  StoreField(header, f::kAlignment, alignment);
  StoreField(header, f::kColumns, static_cast<uint16_t>(columns));
  StoreField(header, f::kRows, rows);
  StoreField(header, f::kCapacity, chunk ? block.capacity_ : rows);
  StoreField(header, f::kId, block.id_);
  StoreField(header, f::kLsnBase, block.lsn_base_);
  StoreField(header, f::kPublished, Blocks::LastPublished(block));
  StoreField(header, f::kLength, uint64_t{out->size() - start});
  StoreField(header, f::kChecksum, ChecksumOfBlock(ByteSpan(*out).subspan(start)));
}

namespace {

/// Takes arrays off an encoded block, in the order in which they were put.
class ArrayReader {
 public:
  ArrayReader(ByteSpan block, size_t at, uint8_t alignment)
      : block_(block), at_(at), alignment_(alignment) {}
  StatusOr<ByteSpan> Take(uint64_t count, uint64_t width) {
    const uint64_t begin = AlignedTo(at_, alignment_);
    if (begin > block_.size() || (width > 0 && count > (block_.size() - begin) / width)) {
      return DataLoss("an array of {} values passes the block's end", count);
    }
    at_ = begin + count * width;
    return block_.subspan(begin, count * width);
  }
  [[nodiscard]] bool AtEnd() const { return AlignedTo(at_, alignment_) == block_.size(); }

 private:
  ByteSpan block_;
  uint64_t at_;
  uint8_t alignment_;
};

Status CheckOrder(const EncodedBlock& block) {
  for (uint32_t row = 1; row < block.rows; ++row) {
    const auto before = std::tuple(block.ts_at(row - 1), block.seq_at(row - 1));
    const auto key = std::tuple(block.ts_at(row), block.seq_at(row));
    const bool ordered =
        block.kind == BlockKind::kChunk
            ? before < key
            : before < key || (before == key && block.lsn_at(row - 1) < block.lsn_at(row));
    if (!ordered) return DataLoss("row {} is out of order", row);
  }
  for (const std::byte op : block.op) {
    if (op > std::byte{1}) return DataLoss("a row's op is {}", static_cast<int>(op));
  }
  return OkStatus();
}

bool IsNull(const EncodedColumn& column, uint32_t row) {
  return !column.nulls.empty() &&
         ((LoadAt<uint64_t>(column.nulls.data(), row >> 6) >> (row & 63)) & 1) != 0;
}

Status CheckColumn(const EncodedColumn& column, uint32_t rows, uint32_t strings) {
  if (!column.own) return OkStatus();
  if (column.kind == column::TypeKind::kSymbol) {
    for (uint32_t row = 0; row < rows; ++row) {
      if (!IsNull(column, row) && LoadAt<uint32_t>(column.values.data(), row) >= strings) {
        return DataLoss("the symbol of row {} is not in the dictionary", row);
      }
    }
  }
  if (column.kind == column::TypeKind::kString) {
    uint64_t total = 0;
    for (uint32_t row = 0; row < rows; ++row) total += LoadAt<uint32_t>(column.values.data(), row);
    if (total != column.text.size()) return DataLoss("its strings do not have their length");
  }
  return OkStatus();
}

Status DecodeColumns(ByteSpan bytes, uint32_t strings, ArrayReader* arrays, EncodedBlock* block) {
  for (size_t c = 0; c < block->columns.size(); ++c) {
    const std::byte* entry = bytes.data() + kBlockHeaderBytes + c * kBlockColumnBytes;
    EncodedColumn& column = block->columns[c];
    const auto kind = LoadField<uint8_t>(entry, column_field::kKind);
    const auto flags = LoadField<uint8_t>(entry, column_field::kFlags);
    if (kind < static_cast<uint8_t>(column::TypeKind::kBool) ||
        kind > static_cast<uint8_t>(column::TypeKind::kSymbol) ||
        (flags & ~(kOwnFlag | kNullsFlag)) != 0) {
      return DataLoss("column {}: kind {} and flags {} are not known", c, kind, flags);
    }
    column.kind = static_cast<column::TypeKind>(kind);
    column.own = (flags & kOwnFlag) != 0;
    const bool text = column.kind == column::TypeKind::kString;
    if (column.own) {
      const size_t width = text ? sizeof(uint32_t) : column::WidthOf(column.kind);
      PX_ASSIGN_OR_RETURN(column.values, arrays->Take(block->rows, width));
    }
    if ((flags & kNullsFlag) != 0) {
      PX_ASSIGN_OR_RETURN(column.nulls, arrays->Take((block->rows + 63) / 64, sizeof(uint64_t)));
    }
    const auto text_bytes = LoadField<uint64_t>(entry, column_field::kTextBytes);
    if (text_bytes > 0) {
      PX_ASSIGN_OR_RETURN(column.text, arrays->Take(text_bytes, 1));
    }
    PX_RETURN_IF_ERROR(CheckColumn(column, block->rows, strings));
  }
  return OkStatus();
}

}  // namespace

StatusOr<uint64_t> BlockCodec::LengthOf(ByteSpan bytes) {
  if (bytes.size() < kBlockHeaderBytes ||
      LoadField<uint32_t>(bytes.data(), block_field::kMagic) != kBlockMagic) {
    return DataLoss("no block starts here");
  }
  const auto length = LoadField<uint64_t>(bytes.data(), block_field::kLength);
  if (length < kBlockHeaderBytes) return DataLoss("its length of {} bytes is impossible", length);
  return length;
}

StatusOr<EncodedBlock> BlockCodec::Decode(ByteSpan bytes, uint32_t strings) {
  namespace f = block_field;
  PX_ASSIGN_OR_RETURN(const uint64_t length, LengthOf(bytes));
  if (length > bytes.size()) {
    return DataLoss("it has {} bytes, {} are there", length, bytes.size());
  }
  bytes = bytes.first(length);
  const std::byte* header = bytes.data();
  if (LoadField<uint64_t>(header, f::kChecksum) != ChecksumOfBlock(bytes)) {
    return DataLoss("its checksum does not match");
  }
  EncodedBlock block;
  const auto kind = LoadField<uint8_t>(header, f::kKind);
  const auto alignment = LoadField<uint8_t>(header, f::kAlignment);
  block.kind = static_cast<BlockKind>(kind);
  block.alignment = alignment;
  block.bytes = length;
  block.rows = LoadField<uint32_t>(header, f::kRows);
  block.capacity = LoadField<uint32_t>(header, f::kCapacity);
  block.id = LoadField<uint64_t>(header, f::kId);
  block.lsn_base = LoadField<uint64_t>(header, f::kLsnBase);
  block.last_published = LoadField<int64_t>(header, f::kPublished);
  const bool chunk = block.kind == BlockKind::kChunk;
  if ((!chunk && block.kind != BlockKind::kOverlay) ||
      (alignment != kFileAlignment && alignment != kInlineAlignment)) {
    return DataLoss("kind {} and alignment {} are not known", kind, alignment);
  }
  if (block.rows == 0 || block.rows > block.capacity || chunk != (block.id != 0) ||
      (chunk && block.capacity > kMaxEncodedChunkRows)) {
    return DataLoss("{} rows of {} with id {} are impossible", block.rows, block.capacity,
                    block.id);
  }
  block.columns.resize(LoadField<uint16_t>(header, f::kColumns));
  ArrayReader arrays(bytes, kBlockHeaderBytes, kInlineAlignment);
  PX_RETURN_IF_ERROR(arrays.Take(block.columns.size(), kBlockColumnBytes).status());
  arrays =
      ArrayReader(bytes, kBlockHeaderBytes + block.columns.size() * kBlockColumnBytes, alignment);
  PX_ASSIGN_OR_RETURN(block.ts, arrays.Take(block.rows, sizeof(int64_t)));
  PX_ASSIGN_OR_RETURN(block.seq, arrays.Take(block.rows, sizeof(uint64_t)));
  PX_ASSIGN_OR_RETURN(block.lsn,
                      arrays.Take(block.rows, chunk ? sizeof(uint32_t) : sizeof(uint64_t)));
  if (!chunk) {
    PX_ASSIGN_OR_RETURN(block.op, arrays.Take(block.rows, 1));
    PX_ASSIGN_OR_RETURN(block.published, arrays.Take(block.rows, sizeof(int64_t)));
  }
  PX_RETURN_IF_ERROR(CheckOrder(block));
  PX_RETURN_IF_ERROR(DecodeColumns(bytes, strings, &arrays, &block));
  if (!arrays.AtEnd()) return DataLoss("bytes stand behind its last column");
  return block;
}

}  // namespace proxist::hot::internal
