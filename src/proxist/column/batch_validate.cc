// What a batch from outside must satisfy before anything acts on it.
#include <algorithm>

#include "proxist/base/check.h"
#include "proxist/base/time.h"
#include "proxist/column/batch.h"
#include "proxist/column/internal/column_check.h"
#include "proxist/column/internal/duplicate_key.h"

namespace proxist::column {
namespace {

Status CheckNulls(const ColumnView& column, size_t rows, std::string_view name) {
  if (column.validity.empty()) return OkStatus();
  for (size_t byte = 0; byte < column.validity.size(); ++byte) {
    if (column.validity[byte] == std::byte{0xff}) continue;
    for (size_t row = byte * 8; row < std::min(rows, byte * 8 + 8); ++row) {
      if (!column.IsValid(row)) {
        return InvalidArgument("row {}, column '{}': null, but the column is not nullable", row,
                               name);
      }
    }
  }
  return OkStatus();
}

Status CheckValues(const ColumnView& column, size_t rows, std::string_view name) {
  if (column.type.kind == TypeKind::kBool) {
    const auto row = FirstBadRow<uint8_t>(column, rows, [](uint8_t value) { return value > 1; });
    if (row) {
      return InvalidArgument("row {}, column '{}': a bool is 0 or 1, not {}", *row, name,
                             column.At<uint8_t>(*row));
    }
  }
  if (column.type.kind == TypeKind::kDecimal) {
    const auto row = FirstBadRow<int64_t>(column, rows, [](int64_t value) {
      return value >= kDecimalLimit || value <= -kDecimalLimit;
    });
    if (row) {
      return InvalidArgument("row {}, column '{}': the decimal's size is 10^18 units or more ({})",
                             *row, name, column.At<int64_t>(*row));
    }
  }
  return OkStatus();
}

Status CheckSystemColumn(const ColumnView& column, TypeKind kind, size_t rows,
                         std::string_view name) {
  if (column.type != Type{kind}) {
    return InvalidArgument("column '{}': its type is {}, expected {}", name,
                           FormatType(column.type), FormatType({kind}));
  }
  PX_RETURN_IF_ERROR(CheckStructure(column, rows, name));
  return CheckNulls(column, rows, name);
}

Status CheckSymbol(const Batch& batch) {
  PX_RETURN_IF_ERROR(CheckSystemColumn(batch.symbol, TypeKind::kSymbol, batch.rows, "symbol"));
  const auto& entries = batch.symbol.dictionary;
  const auto is_empty = [&entries](uint32_t code) { return entries[code].empty(); };
  if (std::none_of(entries.begin(), entries.end(), [](auto entry) { return entry.empty(); })) {
    return OkStatus();
  }
  const auto row = FirstBadRow<uint32_t>(batch.symbol, batch.rows, is_empty);
  if (row) return InvalidArgument("row {}, column 'symbol': it is empty", *row);
  return OkStatus();
}

Status CheckTs(const Batch& batch) {
  PX_RETURN_IF_ERROR(CheckSystemColumn(batch.ts, TypeKind::kTimestamp, batch.rows, "ts"));
  const auto row = FirstBadRow<int64_t>(batch.ts, batch.rows, [](int64_t ts) {
    return ts < kMinRowTimestamp.ns() || ts > kMaxRowTimestamp.ns();
  });
  if (row) {
    return InvalidArgument("row {}, column 'ts': {} ns is outside 1970-01-01..2148-12-31 UTC", *row,
                           batch.ts.At<int64_t>(*row));
  }
  return OkStatus();
}

Status CheckSeq(const Batch& batch) {
  if (batch.schema->seq == SeqMode::kProducer) {
    return CheckSystemColumn(batch.seq, TypeKind::kUint64, batch.rows, "seq");
  }
  if (!batch.seq.values.empty()) {
    return InvalidArgument("column 'seq': table '{}' assigns it, the batch must not carry it",
                           batch.schema->name);
  }
  return OkStatus();
}

Status CheckOps(const Batch& batch) {
  if (batch.op.values.empty()) return OkStatus();
  PX_RETURN_IF_ERROR(CheckSystemColumn(batch.op, TypeKind::kUint8, batch.rows, "op"));
  const auto unknown = FirstBadRow<uint8_t>(
      batch.op, batch.rows, [](uint8_t op) { return op > static_cast<uint8_t>(Op::kCancel); });
  if (unknown) {
    return InvalidArgument("row {}, column 'op': {} is neither 0 (put) nor 1 (cancel)", *unknown,
                           batch.op.At<uint8_t>(*unknown));
  }
  if (batch.schema->seq == SeqMode::kProducer) return OkStatus();
  const auto cancel = FirstBadRow<uint8_t>(
      batch.op, batch.rows, [](uint8_t op) { return op == static_cast<uint8_t>(Op::kCancel); });
  if (cancel) {
    return InvalidArgument(
        "row {}, column 'op': table '{}' assigns seq, so no row can be named for a cancel", *cancel,
        batch.schema->name);
  }
  return OkStatus();
}

Status CheckColumns(const Batch& batch) {
  const TableSchema& schema = *batch.schema;
  if (batch.columns.size() != schema.columns.size()) {
    return InvalidArgument("{} columns, table '{}' has {}", batch.columns.size(), schema.name,
                           schema.columns.size());
  }
  for (size_t i = 0; i < schema.columns.size(); ++i) {
    const ColumnDef& declared = schema.columns[i];
    const ColumnView& column = batch.columns[i];
    if (column.type != declared.type) {
      return InvalidArgument("column '{}': its type is {}, expected {}", declared.name,
                             FormatType(column.type), FormatType(declared.type));
    }
    PX_RETURN_IF_ERROR(CheckStructure(column, batch.rows, declared.name));
    if (!declared.nullable) PX_RETURN_IF_ERROR(CheckNulls(column, batch.rows, declared.name));
    PX_RETURN_IF_ERROR(CheckValues(column, batch.rows, declared.name));
  }
  return OkStatus();
}

Status CheckKeys(const Batch& batch) {
  if (batch.schema->seq != SeqMode::kProducer) return OkStatus();
  const std::optional<DuplicateKey> twice = FindDuplicateKey(batch);
  if (!twice) return OkStatus();
  std::string series(batch.symbol.TextAt(twice->second));
  for (size_t index : batch.schema->series) {
    series += fmt::format(", {}", batch.columns[index].TextAt(twice->second));
  }
  return InvalidArgument("row {}, column 'seq': its key ({}; ts {}, seq {}) is that of row {}",
                         twice->second, series, batch.ts.At<int64_t>(twice->second),
                         batch.seq.At<uint64_t>(twice->second), twice->first);
}

}  // namespace

Status ValidateBatch(const Batch& batch) {
  PX_CHECK(batch.schema != nullptr);
  if (batch.rows == 0) return InvalidArgument("the batch has no rows");
  if (batch.rows > kMaxBatchRows) {
    return InvalidArgument("{} rows, at most {} are allowed", batch.rows, kMaxBatchRows);
  }
  PX_RETURN_IF_ERROR(CheckSymbol(batch));
  PX_RETURN_IF_ERROR(CheckTs(batch));
  PX_RETURN_IF_ERROR(CheckSeq(batch));
  PX_RETURN_IF_ERROR(CheckOps(batch));
  PX_RETURN_IF_ERROR(CheckColumns(batch));
  return CheckKeys(batch);
}

}  // namespace proxist::column
