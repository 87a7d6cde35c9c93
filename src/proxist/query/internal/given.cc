// Checks a list of rows and takes it apart by symbol.
#include "proxist/query/internal/given.h"

#include <algorithm>
#include <set>

namespace proxist::query::internal {
namespace {

using column::TypeKind;

/// The column of that name, of the type that it must have and without nulls; nullptr: there is
/// none.
StatusOr<const exec::Column*> KeyColumn(const ResultBatch& batch, std::string_view name,
                                        TypeKind kind, std::string_view what) {
  for (const exec::NamedColumn& named : batch.columns) {
    if (named.name != name) continue;
    if (named.column.type().kind != kind) {
      return InvalidArgument("column '{}' of {} is {}, not {}", name, what,
                             column::FormatType(named.column.type()),
                             column::FormatType({kind, 0}));
    }
    for (size_t row = 0; row < named.column.rows(); ++row) {
      if (!named.column.IsValid(row)) {
        return InvalidArgument("row {} of {} has no {}", row + 1, what, name);
      }
    }
    return &named.column;
  }
  return nullptr;
}

Status CheckNames(const ResultBatch& batch, std::string_view what) {
  std::set<std::string_view> names;
  for (const exec::NamedColumn& named : batch.columns) {
    if (named.name.empty()) return InvalidArgument("a column of {} has no name", what);
    if (!names.insert(named.name).second) {
      return InvalidArgument("{} has column '{}' twice", what, named.name);
    }
    if (named.column.rows() != batch.rows()) {
      return InvalidArgument("column '{}' of {} has {} values, others have {}", named.name, what,
                             named.column.rows(), batch.rows());
    }
  }
  return OkStatus();
}

}  // namespace

StatusOr<std::shared_ptr<const GivenRows>> GivenRows::Make(std::shared_ptr<const ResultBatch> batch,
                                                           std::string_view what) {
  PX_RETURN_IF_ERROR(CheckNames(*batch, what));
  auto given = std::make_shared<GivenRows>();
  PX_ASSIGN_OR_RETURN(const exec::Column* symbol,
                      KeyColumn(*batch, "symbol", TypeKind::kSymbol, what));
  PX_ASSIGN_OR_RETURN(given->ts_, KeyColumn(*batch, "ts", TypeKind::kTimestamp, what));
  PX_ASSIGN_OR_RETURN(given->seq_, KeyColumn(*batch, "seq", TypeKind::kUint64, what));
  if (symbol == nullptr || given->ts_ == nullptr) {
    return InvalidArgument("{} has no column '{}'", what, symbol == nullptr ? "symbol" : "ts");
  }
  auto schema = std::make_shared<column::TableSchema>();
  schema->name = what;
  for (size_t c = 0; c < batch->columns.size(); ++c) {
    const std::string& name = batch->columns[c].name;
    if (name == "symbol" || name == "ts" || name == "seq") continue;
    given->columns_.push_back(c);
    schema->columns.push_back({ColumnId(static_cast<uint32_t>(given->columns_.size())), name,
                               batch->columns[c].column.type(), /*nullable=*/true});
  }
  const auto* ts = given->ts_->data<int64_t>();
  for (size_t row = 0; row < batch->rows(); ++row) {
    const Timestamp at(ts[row]);
    if (at < kMinRowTimestamp || at > kMaxRowTimestamp) {
      return InvalidArgument("row {} of {}: ts {} is not from 1970 to 2148", row + 1, what,
                             ts[row]);
    }
    const std::string_view text = batch->symbols->Text(symbol->data<uint32_t>()[row]);
    auto known = given->rows_.find(text);
    if (known == given->rows_.end()) known = given->rows_.emplace(text, 0).first;
    known->second.push_back(static_cast<int64_t>(row));
  }
  const uint64_t* seq = given->seq_ == nullptr ? nullptr : given->seq_->data<uint64_t>();
  for (auto& [text, rows] : given->rows_) {
    std::stable_sort(rows.begin(), rows.end(), [&](int64_t a, int64_t b) {
      const auto x = static_cast<size_t>(a);
      const auto y = static_cast<size_t>(b);
      return ts[x] != ts[y] ? ts[x] < ts[y] : seq != nullptr && seq[x] < seq[y];
    });
  }
  given->schema_ = std::move(schema);
  given->batch_ = std::move(batch);
  return given;
}

std::vector<std::string> GivenRows::Symbols() const {
  std::vector<std::string> out;
  for (const auto& [text, rows] : rows_) out.push_back(text);
  return out;
}

std::shared_ptr<const exec::Frame> GivenRows::FrameOf(std::string_view symbol,
                                                      std::span<const size_t> columns,
                                                      exec::Symbols* symbols) const {
  const auto found = rows_.find(symbol);
  if (found == rows_.end()) return nullptr;
  const std::vector<int64_t>& rows = found->second;
  auto frame = std::make_shared<exec::Frame>();
  for (const int64_t row : rows) {
    const auto at = static_cast<size_t>(row);
    frame->ts.push_back(ts_->data<int64_t>()[at]);
    frame->seq.push_back(seq_ == nullptr ? at + 1 : seq_->data<uint64_t>()[at]);
  }
  for (const size_t c : columns) {
    const exec::Column& from = batch_->columns[columns_[c]].column;
    exec::Column& out = frame->columns.emplace_back(from.type());
    out.AppendGather(from, rows.data(), rows.size());
    if (out.type().kind != TypeKind::kSymbol) continue;
    for (size_t row = 0; row < out.rows(); ++row) {
      uint32_t& code = out.data<uint32_t>()[row];
      if (out.IsValid(row)) code = symbols->Code(batch_->symbols->Text(code));
    }
  }
  frame->keepalive = {batch_};
  return frame;
}

}  // namespace proxist::query::internal
