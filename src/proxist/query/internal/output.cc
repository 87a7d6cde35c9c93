// Copies rows out, so that an answer outlives the cut it came from.
#include "proxist/query/internal/output.h"

#include <algorithm>
#include <deque>
#include <string>

#include "proxist/base/check.h"

namespace proxist::query::internal {
namespace {

constexpr uint64_t kHeldBytes = 32ull << 20;

}  // namespace

struct Output::Texts {
  std::deque<std::string> blocks;  // never move
  uint64_t bytes = 0;
};

std::string UniqueName(std::string name, std::vector<std::string>* taken) {
  while (std::find(taken->begin(), taken->end(), name) != taken->end()) name = "right_" + name;
  taken->push_back(name);
  return name;
}

void Output::AddColumn(std::string name, column::Type type) {
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
  texts_ = std::make_shared<Texts>();
}

void Output::Take(const std::vector<exec::Column>& columns, size_t begin, size_t end,
                  const exec::Symbols* symbols) {
  for (size_t c = 0; c < columns.size(); ++c) {
    exec::Column& out = open_[c];
    const size_t base = out.rows();
    out.AppendRange(columns[c], begin, end);
    if (out.type().kind == column::TypeKind::kString) {
      auto* views = out.data<std::string_view>();
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
  if (limit_.has_value()) rows = std::min<uint64_t>(rows, *limit_ - rows_);
  for (size_t begin = 0; begin < rows;) {
    Open();
    const size_t end = std::min<uint64_t>(rows, begin + batch_rows_ - open_[0].rows());
    Take(columns, begin, end, symbols.get());
    begin = end;
    if (open_[0].rows() == batch_rows_) PX_RETURN_IF_ERROR(CutFull());
  }
  rows_ += rows;
  return OkStatus();
}

bool Output::WritesInPlace(const std::shared_ptr<exec::Symbols>& symbols) const {
  return symbols == shared_ && std::none_of(names_.begin(), names_.end(), [](const auto& column) {
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
  return open_[0].rows() == batch_rows_ ? CutFull() : OkStatus();
}

Status Output::Cut() {
  ResultBatch batch;
  for (size_t c = 0; c < open_.size(); ++c) {
    held_bytes_ += open_[c].rows() * open_[c].stride();
    batch.columns.push_back({names_[c].first, std::move(open_[c])});
  }
  held_bytes_ += texts_->bytes;
  batch.symbols = symbols_;
  batch.keepalive.push_back(texts_);
  held_.push_back(std::move(batch));
  open_.clear();
  return OkStatus();
}

Status Output::CutFull() {
  PX_RETURN_IF_ERROR(Cut());
  if (!streams_.has_value()) streams_ = safe_ != nullptr && safe_();
  return *streams_ || held_bytes_ > kHeldBytes ? Flush() : OkStatus();
}

Status Output::Flush() {
  for (ResultBatch& batch : held_) {
    started_ = true;
    PX_RETURN_IF_ERROR((*sink_)(std::move(batch)));
  }
  held_.clear();
  held_bytes_ = 0;
  return OkStatus();
}

Status Output::Finish() {
  if (open_.empty() && rows_ == 0) Open();
  if (!open_.empty()) PX_RETURN_IF_ERROR(Cut());
  return Flush();
}

}  // namespace proxist::query::internal
