// Copies rows out, so that an answer outlives the cut it came from.
#include "proxist/query/internal/output.h"

#include <algorithm>
#include <deque>
#include <numeric>
#include <string>
#include <utility>

#include "proxist/base/check.h"
#include "proxist/exec/value_order.h"

namespace proxist::query::internal {
namespace {

constexpr uint64_t kHeldBytes = 32ull << 20;

}  // namespace

struct Output::Texts {
  std::deque<std::string> blocks;  // never move
  uint64_t bytes = 0;
};

uint64_t BytesOf(const ResultBatch& batch) {
  uint64_t bytes = 0;
  for (const exec::NamedColumn& one : batch.columns) {
    bytes += one.column.rows() * one.column.stride();
    if (one.column.type().kind != column::TypeKind::kString) continue;
    const auto* texts = one.column.data<std::string_view>();
    for (size_t row = 0; row < one.column.rows(); ++row) bytes += texts[row].size();
  }
  return bytes;
}

std::string UniqueName(std::string name, std::vector<std::string>* taken, std::string_view prefix) {
  while (std::find(taken->begin(), taken->end(), name) != taken->end()) {
    name.insert(0, prefix.empty() ? "right_" : prefix);
  }
  taken->push_back(name);
  return name;
}

void Output::AddColumn(std::string name, column::Type type) {
  if (names_.empty()) names_.reserve(16);
  names_.emplace_back(std::move(name), type);
}

std::vector<exec::Column> Output::EmptyColumns() const {
  std::vector<exec::Column> columns;
  columns.reserve(names_.size());
  for (const auto& [name, type] : names_) columns.emplace_back(type);
  return columns;
}

void Output::Open() {
  if (!open_.empty()) return;
  open_ = EmptyColumns();
  symbols_ = shared_ != nullptr ? shared_ : std::make_shared<exec::Symbols>(nullptr);
  translated_.clear();
  adopted_.clear();
  texts_ = nullptr;
}

uint64_t Output::TextBytes() const { return texts_ == nullptr ? 0 : texts_->bytes; }

void Output::Take(const std::vector<exec::Column>& columns, size_t begin, size_t end,
                  const exec::Symbols* symbols) {
  for (size_t c = 0; c < columns.size(); ++c) {
    exec::Column& out = open_[c];
    const size_t base = out.rows();
    out.AppendRange(columns[c], begin, end);
    if (out.type().kind == column::TypeKind::kString) {
      auto* views = out.data<std::string_view>();
      if (texts_ == nullptr) texts_ = std::make_shared<Texts>();
      std::string& block = texts_->blocks.emplace_back();
      size_t bytes = 0;
      for (size_t row = base; row < out.rows(); ++row) bytes += views[row].size();
      block.reserve(bytes);
      for (size_t row = base; row < out.rows(); ++row) {
        const size_t at = block.size();
        block.append(views[row]);
        views[row] = {block.data() + at, views[row].size()};
      }
      texts_->bytes += bytes;
    } else if (out.type().kind == column::TypeKind::kSymbol && symbols != symbols_.get()) {
      auto* codes = out.data<uint32_t>();
      std::optional<uint32_t> last;  // neighbours are often of one symbol
      uint32_t code = 0;
      for (size_t row = base; row < out.rows(); ++row) {
        if (!out.IsValid(row)) continue;
        if (last != codes[row]) {
          last = codes[row];
          const auto [it, added] = translated_.try_emplace({symbols, *last}, 0);
          if (added) it->second = symbols_->Code(symbols->Text(*last));
          code = it->second;
        }
        codes[row] = code;
      }
    }
  }
}

Status Output::Append(std::vector<exec::Column> columns,
                      const std::shared_ptr<const exec::Symbols>& symbols) {
  PX_CHECK(columns.size() == names_.size());
  size_t rows = columns[0].rows();
  for (const exec::Column& column : columns) PX_CHECK(column.rows() == rows);
  if (!order_.empty()) {
    PX_RETURN_IF_ERROR(CheckOrder());
    Open();
    Take(columns, 0, rows, symbols.get());
    rows_ += rows;
    constexpr uint64_t kSlackRows = 65536;
    if (limit_.has_value() && open_[0].rows() / 2 > std::max(*limit_, kSlackRows)) KeepFirst();
    return Account();
  }
  if (limit_.has_value()) rows = std::min<uint64_t>(rows, *limit_ - rows_);
  for (size_t begin = 0; begin < rows;) {
    Open();
    const size_t end = std::min<uint64_t>(rows, begin + batch_rows_ - open_[0].rows());
    Take(columns, begin, end, symbols.get());
    begin = end;
    if (open_[0].rows() == batch_rows_) PX_RETURN_IF_ERROR(CutFull());
  }
  rows_ += rows;
  return Account();
}

bool Output::WritesInPlace(const std::shared_ptr<exec::Symbols>& symbols) const {
  return symbols == shared_ && order_.empty() &&
         std::none_of(names_.begin(), names_.end(), [](const auto& column) {
           return column.second.kind == column::TypeKind::kString;
         });
}

std::span<exec::Column> Output::InPlace(size_t* rows) {
  if (open_.empty()) {
    Open();
    // After a full batch another one is likely.
    const uint64_t likely = rows_ >= batch_rows_ ? batch_rows_ : *rows;
    for (exec::Column& column : open_) column.Reserve(std::min(likely, batch_rows_));
  }
  *rows = std::min<uint64_t>(*rows, batch_rows_ - open_[0].rows());
  if (limit_.has_value()) *rows = std::min<uint64_t>(*rows, *limit_ - rows_);
  return open_;
}

Status Output::Wrote(size_t rows) {
  rows_ += rows;
  return open_[0].rows() == batch_rows_ ? CutFull() : Account();
}

void Output::Hold() {
  ResultBatch batch;
  batch.columns.reserve(open_.size());
  for (size_t c = 0; c < open_.size(); ++c) {
    held_bytes_ += open_[c].rows() * open_[c].stride();
    batch.columns.push_back({names_[c].first, std::move(open_[c])});
  }
  held_bytes_ += TextBytes();
  batch.symbols = symbols_;
  if (texts_ != nullptr) batch.keepalive.push_back(texts_);
  held_.push_back(std::move(batch));
  open_.clear();
}

Status Output::CutFull() {
  Hold();
  return Show();
}

Status Output::Cut() {
  if (!open_.empty()) Hold();
  return Flush();
}

Status Output::Adopt(ResultBatch batch) {
  // Fewer rows than that are copied behind those before them.
  constexpr size_t kFewRows = 1024;
  if (names_.empty()) {
    for (const exec::NamedColumn& one : batch.columns) AddColumn(one.name, one.column.type());
  }
  const size_t rows = batch.rows();
  if (rows == 0) return OkStatus();
  if (rows < kFewRows) {
    std::vector<exec::Column> columns;
    for (exec::NamedColumn& one : batch.columns) columns.push_back(std::move(one.column));
    PX_RETURN_IF_ERROR(Append(std::move(columns), batch.symbols));
    // Translations of the batch at hand go by their address, which nothing else may get meanwhile.
    if (adopted_.empty() || adopted_.back() != batch.symbols) adopted_.push_back(batch.symbols);
    return OkStatus();
  }
  if (!open_.empty()) Hold();
  held_bytes_ += BytesOf(batch);
  rows_ += rows;
  held_.push_back(std::move(batch));
  return Show();
}

Status Output::Show() {
  if (!streams_.has_value()) streams_ = safe_ != nullptr && safe_();
  return *streams_ || held_bytes_ > kHeldBytes ? Flush() : OkStatus();
}

Status Output::Flush() {
  for (ResultBatch& batch : held_) {
    PX_RETURN_IF_ERROR((*sink_)(std::move(batch)));
  }
  held_.clear();
  held_bytes_ = 0;
  return OkStatus();
}

/// Counts what is held until the end.
Status Output::Account() {
  if (budget_ == nullptr || open_.empty()) return OkStatus();
  uint64_t bytes = TextBytes();
  for (const exec::Column& column : open_) bytes += column.rows() * column.stride();
  const uint64_t before = std::exchange(kept_bytes_, 0);
  PX_RETURN_IF_ERROR(budget_->Keep(before, bytes));
  kept_bytes_ = bytes;
  return OkStatus();
}

Status Output::CheckOrder() {
  if (!order_columns_.empty()) return OkStatus();
  for (const OrderKey& key : order_) {
    const auto at = std::find_if(names_.begin(), names_.end(),
                                 [&](const auto& column) { return column.first == key.column; });
    if (at == names_.end()) {
      std::string names;
      for (const auto& [name, type] : names_) names += (names.empty() ? "" : ", ") + name;
      return InvalidArgument("order: the answer has no column '{}'; it has {}", key.column, names);
    }
    order_columns_.push_back(static_cast<size_t>(at - names_.begin()));
  }
  return OkStatus();
}

std::vector<int64_t> Output::Sorted() const {
  std::vector<exec::ValueOrder> columns;
  for (const size_t column : order_columns_) columns.emplace_back(open_[column], *symbols_);
  std::vector<int64_t> rows(open_[0].rows());
  std::iota(rows.begin(), rows.end(), 0);
  std::stable_sort(rows.begin(), rows.end(), [&](int64_t a, int64_t b) {
    for (size_t k = 0; k < columns.size(); ++k) {
      const int sign = columns[k].Compare(static_cast<uint32_t>(a), static_cast<uint32_t>(b));
      if (sign != 0) return order_[k].descending ? sign > 0 : sign < 0;
    }
    return false;
  });
  return rows;
}

/// Forgets rows that cannot be among the first ones any more.
void Output::KeepFirst() {
  std::vector<int64_t> rows = Sorted();
  rows.resize(*limit_);
  const std::vector<exec::Column> all = std::exchange(open_, {});
  const std::shared_ptr<Texts> texts = std::exchange(texts_, nullptr);
  open_ = EmptyColumns();
  std::vector<exec::Column> first;
  for (const exec::Column& column : all) {
    first.emplace_back(column.type()).AppendGather(column, rows.data(), rows.size());
  }
  Take(first, 0, rows.size(), symbols_.get());
}

void Output::CutSorted() {
  std::vector<int64_t> rows = Sorted();
  if (limit_.has_value() && rows.size() > *limit_) rows.resize(*limit_);
  const std::vector<exec::Column> all = std::exchange(open_, {});
  for (size_t begin = 0; begin == 0 || begin < rows.size();) {
    const size_t end = std::min<uint64_t>(rows.size(), begin + batch_rows_);
    open_ = EmptyColumns();
    for (size_t c = 0; c < all.size(); ++c) {
      open_[c].AppendGather(all[c], rows.data() + begin, end - begin);
    }
    Hold();
    if (end == begin) break;
    begin = end;
  }
}

Status Output::Finish() {
  if (open_.empty() && rows_ == 0) Open();
  if (!order_.empty()) {
    PX_RETURN_IF_ERROR(CheckOrder());
    if (!open_.empty()) CutSorted();
    return Flush();
  }
  if (!open_.empty()) Hold();
  return Flush();
}

}  // namespace proxist::query::internal
