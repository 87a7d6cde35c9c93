// An encoded block as rows, for looking at what a snapshot holds without a store.
#include "proxist/hot/block_rows.h"

#include <algorithm>

#include "proxist/column/widen.h"
#include "proxist/hot/internal/block_codec.h"

namespace proxist::hot {
namespace {

using column::TypeKind;
using internal::BlockKind;
using internal::EncodedBlock;
using internal::EncodedColumn;

/// Copies one column's cells into the builder's rows, one row after another.
class CellReader {
 public:
  CellReader(const EncodedColumn& column, size_t index, std::string_view series_value,
             const BlockContext& context)
      : column_(column), index_(index), series_value_(series_value), context_(context) {}

  void Set(uint32_t row, column::BatchBuilder* out) {
    const size_t text_at = text_at_;
    if (column_.own && column_.kind == TypeKind::kString) {
      text_at_ += LoadAt<uint32_t>(column_.values.data(), row);
    }
    if (IsNull(row)) return;
    const std::byte* values = column_.values.data();
    switch (column_.kind) {
      case TypeKind::kString:
        return out->SetText(index_, AsText(column_.text.subspan(text_at, text_at_ - text_at)));
      case TypeKind::kSymbol:
        return out->SetText(
            index_, column_.own ? context_.strings[LoadAt<uint32_t>(values, row)] : series_value_);
      case TypeKind::kFloat32:
        return out->SetFloat(index_, LoadAt<float>(values, row));
      case TypeKind::kFloat64:
        return out->SetFloat(index_, LoadAt<double>(values, row));
      default:
        return out->SetInt(index_, column::IntegerAt(column_.kind, values, row));
    }
  }

 private:
  [[nodiscard]] bool IsNull(uint32_t row) const {
    if (column_.nulls.empty()) return false;
    return ((LoadAt<uint64_t>(column_.nulls.data(), row >> 6) >> (row & 63)) & 1) != 0;
  }

  const EncodedColumn& column_;
  const size_t index_;
  const std::string_view series_value_;
  const BlockContext& context_;
  size_t text_at_ = 0;  // where the row's text begins
};

Status CheckFits(const EncodedBlock& block, const BlockContext& context) {
  const column::TableSchema& schema = *context.schema;
  if (block.columns.size() > schema.columns.size()) {
    return DataLoss("a block has {} columns, its table {}", block.columns.size(),
                    schema.columns.size());
  }
  for (size_t c = 0; c < block.columns.size(); ++c) {
    const bool series = std::ranges::find(schema.series, c) != schema.series.end();
    const bool own = block.kind == BlockKind::kOverlay || !series;
    if (!column::MayBeStoredAs(block.columns[c].kind, schema.columns[c].type.kind) ||
        block.columns[c].own != own) {
      return DataLoss("column {} of a block is not as its table has it", c);
    }
  }
  if (context.codes.size() != 1 + schema.series.size()) {
    return DataLoss("a series has {} strings, its table {}", context.codes.size(),
                    1 + schema.series.size());
  }
  for (const uint32_t code : context.codes) {
    if (code >= context.strings.size()) {
      return DataLoss("a series' string {} is not in the dictionary", code);
    }
  }
  return OkStatus();
}

}  // namespace

StatusOr<BlockRows> ReadBlockRows(ByteSpan bytes, const BlockContext& context) {
  PX_ASSIGN_OR_RETURN(
      const EncodedBlock block,
      internal::BlockCodec::Decode(bytes, static_cast<uint32_t>(context.strings.size())));
  PX_RETURN_IF_ERROR(CheckFits(block, context));
  const std::vector<size_t>& series = context.schema->series;
  std::vector<CellReader> cells;
  for (size_t c = 0; c < block.columns.size(); ++c) {
    const auto at = std::ranges::find(series, c);
    const size_t code = at == series.end() ? 0 : 1 + static_cast<size_t>(at - series.begin());
    cells.emplace_back(block.columns[c], c, context.strings[context.codes[code]], context);
  }
  BlockRows out;
  out.id = block.id;
  out.lsns.reserve(block.rows);
  column::BatchBuilder builder(context.schema);
  const std::string& symbol = context.strings[context.codes[0]];
  for (uint32_t row = 0; row < block.rows; ++row) {
    const auto op = block.op.empty() ? column::Op::kPut : static_cast<column::Op>(block.op[row]);
    builder.AddRow(symbol, Timestamp(block.ts_at(row)), block.seq_at(row), op);
    for (CellReader& cell : cells) cell.Set(row, &builder);
    out.lsns.emplace_back(block.lsn_at(row));
  }
  out.batch = builder.Build();
  return out;
}

}  // namespace proxist::hot
