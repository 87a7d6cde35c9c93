// Views over owned columns.
#include "proxist/column/internal/owned_column.h"

namespace proxist::column {

uint32_t OwnedColumn::AddEntry(std::string_view entry) {
  ByteWriter(&text).PutBytes(AsBytes(entry));
  entry_ends.push_back(static_cast<uint32_t>(text.size()));
  return static_cast<uint32_t>(entry_ends.size() - 1);
}

ColumnView OwnedColumn::View() const {
  ColumnView view;
  view.type = type;
  view.values = values;
  view.validity = validity;
  if (type.kind == TypeKind::kString) view.text = text;
  view.dictionary.reserve(entry_ends.size());
  uint32_t begin = 0;
  for (uint32_t end : entry_ends) {
    view.dictionary.push_back(AsText(text).substr(begin, end - begin));
    begin = end;
  }
  return view;
}

Batch ViewOf(std::shared_ptr<const OwnedBatch> owned, SchemaPtr schema, size_t rows) {
  Batch batch;
  batch.schema = std::move(schema);
  batch.rows = rows;
  batch.symbol = owned->symbol.View();
  batch.ts = owned->ts.View();
  batch.seq = owned->seq.View();
  batch.op = owned->op.View();
  batch.columns.reserve(owned->columns.size());
  for (const OwnedColumn& column : owned->columns) batch.columns.push_back(column.View());
  batch.owner = std::move(owned);
  return batch;
}

}  // namespace proxist::column
