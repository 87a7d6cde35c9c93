// CSV records as rows of a table, chunk by chunk.
#include "proxist/client/row_mapper.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "proxist/base/check.h"
#include "proxist/client/internal/cell_parser.h"
#include "proxist/client/internal/chunk_column.h"
#include "proxist/client/internal/fixed_point.h"

namespace proxist::client {
namespace {

using column::SeqMode;
using column::TypeKind;

// Slots of a chunk: the columns that every table has, then the table's own.
constexpr size_t kSymbolSlot = 0;
constexpr size_t kTsSlot = 1;
constexpr size_t kSeqSlot = 2;
constexpr size_t kOpSlot = 3;
constexpr size_t kFirstColumnSlot = 4;

// A chunk is closed early when its texts reach this, so that it fits a message.
constexpr size_t kMaxChunkTextBytes = size_t{16} << 20;

struct Chunk {
  std::vector<ChunkColumn> slots;
};

// A slot that takes its values from the file.
struct FieldCell {
  size_t slot;
  size_t field;  // from 0
  CellParser parser;
};

// A slot whose value is the same in every row; no parser: null.
struct FixedCell {
  size_t slot;
  std::optional<CellParser> parser;
  std::string text;
};

}  // namespace

struct RowMapper::State {
  ImportMap map;
  column::SchemaPtr schema;
  size_t chunk_rows = 0;
  std::vector<CellTarget> targets;      // of every slot
  std::vector<std::string> slot_names;  // as the map names them
  std::vector<FieldCell> fields;
  std::vector<FixedCell> fixed;
  std::vector<size_t> line_slots;
  std::vector<bool> mapped;  // of every slot
  std::shared_ptr<Chunk> chunk;
  size_t rows = 0;
  size_t text_bytes = 0;        // of the chunk
  size_t fixed_text_bytes = 0;  // that constants add to every row
  size_t expected_fields = 0;   // 0: not known yet
  uint64_t expected_line = 0;   // where expected_fields comes from
  bool positions_checked = false;

  Status AddRule(const NamedRule& named);
  Status RequireMapped();
  Status CheckFieldCount(const CsvRecord& record);
  void StartChunk();
  [[nodiscard]] std::optional<size_t> SlotOf(std::string_view column) const;
  [[nodiscard]] Status MapError(int line, std::string_view message) const {
    return InvalidArgument("{} line {}: {}", map.file, line, message);
  }
};

std::optional<size_t> RowMapper::State::SlotOf(std::string_view column) const {
  const auto at = std::find(slot_names.begin(), slot_names.end(), column);
  if (at != slot_names.end()) return static_cast<size_t>(at - slot_names.begin());
  const std::optional<size_t> by_alias = schema->Find(column);
  if (!by_alias) return std::nullopt;
  return slot_names.size() - schema->columns.size() + *by_alias;
}

Status RowMapper::State::AddRule(const NamedRule& named) {
  const CellRule& rule = named.rule;
  const std::optional<size_t> slot = SlotOf(named.column);
  if (!slot) {
    return MapError(rule.map_line, fmt::format("table {} has no column {}, only: {}", schema->name,
                                               Quoted(named.column), fmt::join(slot_names, ", ")));
  }
  if (*slot == kSeqSlot && schema->seq == SeqMode::kAssigned) {
    return MapError(rule.map_line, fmt::format("table {} assigns seq, so the map must leave it out",
                                               schema->name));
  }
  StatusOr<CellParser> parser = CellParser::Create(rule, targets[*slot]);
  if (!parser.ok()) {
    return MapError(rule.map_line,
                    fmt::format("column {}: {}", named.column, Message(parser.status())));
  }
  mapped[*slot] = true;
  switch (rule.source) {
    case CellRule::Source::kConst: {
      ChunkColumn trial(targets[*slot].type, 1);
      const Status parsed = parser->Parse({rule.text, true}, &trial);
      if (!parsed.ok()) {
        return MapError(rule.map_line, fmt::format("column {}: {}", named.column, Message(parsed)));
      }
      fixed.push_back({*slot, *std::move(parser), rule.text});
      if (targets[*slot].type.kind == TypeKind::kString) fixed_text_bytes += rule.text.size();
      return OkStatus();
    }
    case CellRule::Source::kLine:
      line_slots.push_back(*slot);
      return OkStatus();
    case CellRule::Source::kPosition:
      fields.push_back({*slot, rule.position - 1, *std::move(parser)});
      return OkStatus();
    case CellRule::Source::kName:
      fields.push_back({*slot, 0, *std::move(parser)});
      return OkStatus();
  }
  return OkStatus();
}

// What the map leaves out must be optional; columns left out are null.
Status RowMapper::State::RequireMapped() {
  for (size_t slot = 0; slot < slot_names.size(); ++slot) {
    if (mapped[slot] || slot == kOpSlot) continue;
    if (slot == kSeqSlot && schema->seq == SeqMode::kAssigned) continue;
    if (!targets[slot].nullable) {
      return MapError(map.line, fmt::format("the map lacks column {}, which every row needs",
                                            slot_names[slot]));
    }
    fixed.push_back({slot, std::nullopt, {}});
    mapped[slot] = true;
  }
  return OkStatus();
}

void RowMapper::State::StartChunk() {
  chunk = std::make_shared<Chunk>();
  chunk->slots.reserve(targets.size());
  for (size_t slot = 0; slot < targets.size(); ++slot) {
    chunk->slots.emplace_back(targets[slot].type, mapped[slot] ? chunk_rows : 0);
  }
  rows = 0;
  text_bytes = 0;
}

Status RowMapper::State::CheckFieldCount(const CsvRecord& record) {
  if (expected_fields == 0) {
    expected_fields = record.fields.size();
    expected_line = record.line;
  }
  if (record.fields.size() != expected_fields) {
    return InvalidArgument("line {}: it has {} columns, line {} has {}", record.line,
                           record.fields.size(), expected_line, expected_fields);
  }
  if (positions_checked) return OkStatus();
  positions_checked = true;
  for (const FieldCell& cell : fields) {
    if (cell.field < expected_fields) continue;
    return InvalidArgument("line {}, column {} ({}): the line has only {} columns", record.line,
                           cell.field + 1, slot_names[cell.slot], expected_fields);
  }
  return OkStatus();
}

RowMapper::RowMapper(std::unique_ptr<State> state) : state_(std::move(state)) {}
RowMapper::~RowMapper() = default;

StatusOr<std::unique_ptr<RowMapper>> RowMapper::Create(const ImportMap& map,
                                                       column::SchemaPtr schema,
                                                       size_t chunk_rows) {
  PX_CHECK(chunk_rows > 0);
  auto state = std::make_unique<State>();
  state->map = map;
  state->chunk_rows = chunk_rows;
  state->slot_names = {"symbol", "ts", "seq", "op"};
  state->targets = {{.type = {TypeKind::kSymbol}, .row_symbol = true},
                    {.type = {TypeKind::kTimestamp}, .row_time = true},
                    {.type = {TypeKind::kUint64}},
                    {.type = {TypeKind::kUint8}, .row_op = true}};
  for (const column::ColumnDef& column : schema->columns) {
    state->slot_names.push_back(column.name);
    state->targets.push_back({.type = column.type, .nullable = column.nullable});
  }
  state->mapped.resize(state->slot_names.size());
  state->schema = std::move(schema);
  for (const NamedRule& rule : map.columns) PX_RETURN_IF_ERROR(state->AddRule(rule));
  PX_RETURN_IF_ERROR(state->RequireMapped());
  state->StartChunk();
  return std::unique_ptr<RowMapper>(new RowMapper(std::move(state)));
}

Status RowMapper::BindHeader(const CsvRecord& header) {
  State& s = *state_;
  for (const NamedRule& named : s.map.columns) {
    if (named.rule.source != CellRule::Source::kName) continue;
    const auto matches = [&](const CsvField& field) { return field.text == named.rule.text; };
    const auto at = std::find_if(header.fields.begin(), header.fields.end(), matches);
    if (at == header.fields.end()) {
      std::vector<std::string_view> names;
      for (const CsvField& field : header.fields) names.push_back(field.text);
      return s.MapError(named.rule.map_line,
                        fmt::format("the header in line {} has no column {}, only: {}", header.line,
                                    Quoted(named.rule.text), fmt::join(names, ", ")));
    }
    if (std::find_if(at + 1, header.fields.end(), matches) != header.fields.end()) {
      return s.MapError(named.rule.map_line,
                        fmt::format("the header in line {} has column {} twice", header.line,
                                    Quoted(named.rule.text)));
    }
    const std::optional<size_t> slot = s.SlotOf(named.column);
    for (FieldCell& cell : s.fields) {
      if (cell.slot == slot) cell.field = static_cast<size_t>(at - header.fields.begin());
    }
  }
  s.expected_fields = header.fields.size();
  s.expected_line = header.line;
  return OkStatus();
}

Status RowMapper::Add(const CsvRecord& record) {
  State& s = *state_;
  PX_CHECK(!full());
  PX_RETURN_IF_ERROR(s.CheckFieldCount(record));
  for (FieldCell& cell : s.fields) {
    const CsvField& field = record.fields[cell.field];
    const Status parsed = cell.parser.Parse(field, &s.chunk->slots[cell.slot]);
    if (!parsed.ok()) {
      return InvalidArgument("line {}, column {} ({}): {}", record.line, cell.field + 1,
                             s.slot_names[cell.slot], Message(parsed));
    }
    s.text_bytes += field.text.size();
  }
  for (const size_t slot : s.line_slots) s.chunk->slots[slot].Put(record.line);
  s.text_bytes += s.fixed_text_bytes;
  ++s.rows;
  return OkStatus();
}

size_t RowMapper::rows() const { return state_->rows; }
bool RowMapper::full() const {
  return state_->rows == state_->chunk_rows || state_->text_bytes >= kMaxChunkTextBytes;
}

column::Batch RowMapper::Take() {
  State& s = *state_;
  PX_CHECK(s.rows > 0);
  for (FixedCell& cell : s.fixed) {
    ChunkColumn& column = s.chunk->slots[cell.slot];
    if (cell.parser) {
      PX_CHECK_OK(cell.parser->Parse({cell.text, true}, &column));
    } else {
      column.PutNull();
    }
    column.Repeat(s.rows);
  }
  column::Batch batch;
  batch.schema = s.schema;
  batch.rows = s.rows;
  const std::vector<ChunkColumn>& slots = s.chunk->slots;
  batch.symbol = slots[kSymbolSlot].View();
  batch.ts = slots[kTsSlot].View();
  batch.seq = slots[kSeqSlot].View();
  batch.op = slots[kOpSlot].View();
  for (size_t slot = kFirstColumnSlot; slot < slots.size(); ++slot) {
    batch.columns.push_back(slots[slot].View());
  }
  batch.owner = std::move(s.chunk);
  s.StartChunk();
  return batch;
}

}  // namespace proxist::client
