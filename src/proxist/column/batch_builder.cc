// Rows gathered one cell at a time into columns.
#include <limits>

#include "proxist/base/check.h"
#include "proxist/column/batch.h"
#include "proxist/column/dictionary.h"
#include "proxist/column/internal/owned_column.h"

namespace proxist::column {
namespace {

// A column that grows by a null a row, until the row's cell is set.
class GrowingColumn {
 public:
  explicit GrowingColumn(Type type) : width_(WidthOf(type.kind)) {
    column_.type = type;
    if (type.kind == TypeKind::kSymbol) dictionary_ = std::make_unique<Dictionary>();
    if (type.kind == TypeKind::kString) Append(uint32_t{0});
  }

  [[nodiscard]] Type type() const { return column_.type; }

  void AddNull() {
    if (rows_ % 8 == 0) column_.validity.push_back(std::byte{0});
    ++rows_;
    if (column_.type.kind == TypeKind::kString) {
      Append(static_cast<uint32_t>(column_.text.size()));
    } else {
      column_.values.resize(column_.values.size() + width_);
    }
  }

  void Set(const void* value) {
    std::memcpy(column_.values.data() + (rows_ - 1) * width_, value, width_);
    MarkSet();
  }

  void SetText(std::string_view text) {
    if (dictionary_ != nullptr) {
      // Runs of equal symbols are common; they cost no lookup.
      if (dictionary_->size() == 0 || last_text_ != text) {
        last_code_ = dictionary_->Intern(text);
        last_text_ = dictionary_->At(last_code_);
      }
      return Set(&last_code_);
    }
    column_.text.resize(LoadAt<uint32_t>(column_.values.data(), rows_ - 1));
    ByteWriter(&column_.text).PutBytes(AsBytes(text));
    PX_CHECK(column_.text.size() <= std::numeric_limits<uint32_t>::max());
    const auto end = static_cast<uint32_t>(column_.text.size());
    std::memcpy(column_.values.data() + rows_ * sizeof end, &end, sizeof end);
    MarkSet();
  }

  OwnedColumn Take() {
    if (set_ == rows_) column_.validity.clear();
    if (dictionary_ != nullptr) {
      for (uint32_t code = 0; code < dictionary_->size(); ++code) {
        column_.AddEntry(dictionary_->At(code));
      }
    }
    return std::move(column_);
  }

 private:
  template <typename T>
  void Append(T value) {
    ByteWriter(&column_.values).Put(value);
  }
  void MarkSet() {
    const std::byte bit = std::byte{1} << ((rows_ - 1) & 7);
    if ((column_.validity.back() & bit) == std::byte{0}) ++set_;
    column_.validity.back() |= bit;
  }

  OwnedColumn column_;
  size_t width_;
  size_t rows_ = 0;
  size_t set_ = 0;
  std::unique_ptr<Dictionary> dictionary_;  // symbols only
  std::string_view last_text_;
  uint32_t last_code_ = 0;
};

}  // namespace

struct BatchBuilder::State {
  explicit State(SchemaPtr of)
      : schema(std::move(of)),
        symbol(Type{TypeKind::kSymbol}),
        ts(Type{TypeKind::kTimestamp}),
        seq(Type{TypeKind::kUint64}),
        op(Type{TypeKind::kUint8}) {
    columns.reserve(schema->columns.size());
    for (const ColumnDef& column : schema->columns) columns.emplace_back(column.type);
  }

  GrowingColumn& At(size_t column) {
    PX_CHECK(rows > 0);
    PX_CHECK(column < columns.size());
    return columns[column];
  }

  SchemaPtr schema;
  size_t rows = 0;
  bool cancels = false;
  GrowingColumn symbol;
  GrowingColumn ts;
  GrowingColumn seq;
  GrowingColumn op;
  std::vector<GrowingColumn> columns;
};

BatchBuilder::BatchBuilder(SchemaPtr schema) : state_(std::make_unique<State>(std::move(schema))) {}
BatchBuilder::~BatchBuilder() = default;
BatchBuilder::BatchBuilder(BatchBuilder&&) noexcept = default;
BatchBuilder& BatchBuilder::operator=(BatchBuilder&&) noexcept = default;

void BatchBuilder::AddRow(std::string_view symbol, Timestamp ts, uint64_t seq, Op op) {
  ++state_->rows;
  state_->symbol.AddNull();
  state_->symbol.SetText(symbol);
  const int64_t ns = ts.ns();
  state_->ts.AddNull();
  state_->ts.Set(&ns);
  state_->op.AddNull();
  state_->op.Set(&op);
  state_->cancels |= op != Op::kPut;
  if (state_->schema->seq == SeqMode::kProducer) {
    state_->seq.AddNull();
    state_->seq.Set(&seq);
  }
  for (GrowingColumn& column : state_->columns) column.AddNull();
}

void BatchBuilder::SetInt(size_t column, int64_t value) {
  GrowingColumn& cells = state_->At(column);
  const TypeKind kind = cells.type().kind;
  PX_CHECK(!IsFloat(kind) && !IsText(kind));
  cells.Set(&value);  // little-endian: the low bytes come first
}

void BatchBuilder::SetFloat(size_t column, double value) {
  GrowingColumn& cells = state_->At(column);
  PX_CHECK(IsFloat(cells.type().kind));
  if (cells.type().kind == TypeKind::kFloat64) return cells.Set(&value);
  const auto narrow = static_cast<float>(value);
  cells.Set(&narrow);
}

void BatchBuilder::SetText(size_t column, std::string_view value) {
  GrowingColumn& cells = state_->At(column);
  PX_CHECK(IsText(cells.type().kind));
  cells.SetText(value);
}

size_t BatchBuilder::rows() const { return state_->rows; }

Batch BatchBuilder::Build() {
  auto owned = std::make_shared<OwnedBatch>();
  owned->symbol = state_->symbol.Take();
  owned->ts = state_->ts.Take();
  owned->seq = state_->seq.Take();
  owned->op = state_->op.Take();
  if (!state_->cancels) owned->op.values.clear();
  for (GrowingColumn& column : state_->columns) owned->columns.push_back(column.Take());
  SchemaPtr schema = state_->schema;
  const size_t rows = state_->rows;
  state_ = std::make_unique<State>(schema);
  return ViewOf(std::move(owned), std::move(schema), rows);
}

}  // namespace proxist::column
