// Answers as text: CSV, JSON lines, or a table for eyes.
#include "proxist/client/answer_writer.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "proxist/column/cell_text.h"

namespace proxist::client {
namespace {

using column::AppendCell;
using column::AppendCsvCell;
using column::AppendCsvText;
using column::AppendJsonCell;
using column::AppendJsonText;
using column::AppendPrintable;
using column::ColumnView;

constexpr size_t kFlushBytes = size_t{1} << 16;
// The widths of a table follow the header and this many rows.
constexpr size_t kMeasuredRows = 1000;
constexpr std::string_view kBetweenColumns = "  ";

// Text on its way to the sink.
class Output {
 public:
  explicit Output(TextSink sink) : sink_(std::move(sink)) {}
  std::string* text() { return &text_; }
  Status FlushIfLarge() { return text_.size() >= kFlushBytes ? Flush() : OkStatus(); }
  Status Flush() {
    if (text_.empty()) return OkStatus();
    Status taken = sink_(text_);
    text_.clear();
    return taken;
  }

 private:
  TextSink sink_;
  std::string text_;
};

class CsvWriter final : public AnswerWriter {
 public:
  CsvWriter(TimeFormat time, TextSink sink) : time_(time), out_(std::move(sink)) {}

  Status Write(std::span<const api::NamedView> columns, size_t rows) override {
    std::string* text = out_.text();
    if (!has_header_) {
      has_header_ = true;
      for (size_t i = 0; i < columns.size(); ++i) {
        if (i > 0) *text += ',';
        AppendCsvText(columns[i].name, text);
      }
      *text += '\n';
    }
    for (size_t row = 0; row < rows; ++row) {
      for (size_t i = 0; i < columns.size(); ++i) {
        if (i > 0) *text += ',';
        AppendCsvCell(columns[i].view, row, time_, text);
      }
      *text += '\n';
      PX_RETURN_IF_ERROR(out_.FlushIfLarge());
    }
    return OkStatus();
  }

  Status Finish() override { return out_.Flush(); }

 private:
  TimeFormat time_;
  Output out_;
  bool has_header_ = false;
};

class JsonWriter final : public AnswerWriter {
 public:
  JsonWriter(TimeFormat time, TextSink sink) : time_(time), out_(std::move(sink)) {}

  Status Write(std::span<const api::NamedView> columns, size_t rows) override {
    std::string* text = out_.text();
    if (keys_.empty()) {
      for (const api::NamedView& column : columns) {
        std::string key(keys_.empty() ? "{" : ",");
        AppendJsonText(column.name, &key);
        keys_.push_back(key + ":");
      }
    }
    for (size_t row = 0; row < rows; ++row) {
      for (size_t i = 0; i < columns.size(); ++i) {
        *text += keys_[i];
        AppendJsonCell(columns[i].view, row, time_, text);
      }
      *text += "}\n";
      PX_RETURN_IF_ERROR(out_.FlushIfLarge());
    }
    return OkStatus();
  }

  Status Finish() override { return out_.Flush(); }

 private:
  TimeFormat time_;
  Output out_;
  std::vector<std::string> keys_;
};

class TableWriter final : public AnswerWriter {
 public:
  TableWriter(TimeFormat time, TextSink sink) : time_(time), out_(std::move(sink)) {}

  Status Write(std::span<const api::NamedView> columns, size_t rows) override {
    if (widths_.empty()) StartTable(columns);
    for (size_t row = 0; row < rows; ++row) {
      Cells cells(columns.size());
      for (size_t i = 0; i < columns.size(); ++i) cells[i] = Format(columns[i].view, row);
      if (printing_) {
        Print(cells);
        PX_RETURN_IF_ERROR(out_.FlushIfLarge());
        continue;
      }
      Measure(cells);
      held_.push_back(std::move(cells));
      if (held_.size() == kMeasuredRows + 1) PrintHeld();
    }
    return OkStatus();
  }

  Status Finish() override {
    if (!printing_) PrintHeld();
    return out_.Flush();
  }

 private:
  struct Cell {
    std::string text;
    size_t width = 0;
  };
  using Cells = std::vector<Cell>;

  void StartTable(std::span<const api::NamedView> columns) {
    widths_.resize(columns.size());
    Cells header(columns.size());
    for (size_t i = 0; i < columns.size(); ++i) {
      header[i].width = AppendPrintable(columns[i].name, &header[i].text);
      right_.push_back(column::IsNumeric(columns[i].view.type.kind));
    }
    Measure(header);
    held_.push_back(std::move(header));
  }

  Cell Format(const ColumnView& view, size_t row) const {
    Cell cell;
    if (!view.IsValid(row)) return cell;
    if (column::IsText(view.type.kind)) {
      cell.width = AppendPrintable(view.TextAt(row), &cell.text);
      return cell;
    }
    AppendCell(view, row, time_, &cell.text);
    cell.width = cell.text.size();
    return cell;
  }

  void Measure(const Cells& cells) {
    for (size_t i = 0; i < cells.size(); ++i) widths_[i] = std::max(widths_[i], cells[i].width);
  }

  void Print(const Cells& cells) {
    std::string* text = out_.text();
    for (size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) *text += kBetweenColumns;
      const size_t padding = widths_[i] > cells[i].width ? widths_[i] - cells[i].width : 0;
      if (right_[i]) text->append(padding, ' ');
      *text += cells[i].text;
      const bool last = i + 1 == cells.size();
      if (!right_[i] && !last) text->append(padding, ' ');
    }
    *text += '\n';
  }

  void PrintHeld() {
    printing_ = true;
    for (const Cells& cells : held_) Print(cells);
    held_.clear();
  }

  TimeFormat time_;
  Output out_;
  std::vector<size_t> widths_;
  std::vector<bool> right_;
  std::vector<Cells> held_;  // the header and the rows that are measured
  bool printing_ = false;
};

}  // namespace

std::unique_ptr<AnswerWriter> MakeAnswerWriter(OutputFormat format, TimeFormat time,
                                               TextSink sink) {
  switch (format) {
    case OutputFormat::kCsv:
      return std::make_unique<CsvWriter>(time, std::move(sink));
    case OutputFormat::kJson:
      return std::make_unique<JsonWriter>(time, std::move(sink));
    case OutputFormat::kTable:
      break;
  }
  return std::make_unique<TableWriter>(time, std::move(sink));
}

}  // namespace proxist::client
