// As-of: each left row with the rows of other tables that prevail, or come next, in its group.
#include "proxist/exec/asof.h"

#include <algorithm>

#include "proxist/query/internal/asof_hot.h"
#include "proxist/query/internal/asof_table.h"
#include "proxist/query/internal/operators.h"

namespace proxist::query::internal {
namespace {

class AsofJoin {
 public:
  AsofJoin(const Asof& plan, Side left, std::vector<Side> rights, const Run& run)
      : plan_(plan), left_(std::move(left)), run_(run) {
    for (size_t i = 0; i < rights.size(); ++i) {
      rights_.emplace_back(plan.rights[i], std::move(rights[i]));
    }
  }

  Status Start() {
    if (rights_.empty()) return InvalidArgument("asof: there is no right table");
    PX_ASSIGN_OR_RETURN(choice_, Choice::Make(&left_, plan_.columns));
    for (size_t i = 0; i < rights_.size(); ++i) {
      if (plan_.left.tenant != plan_.rights[i].from.tenant) {
        return InvalidArgument("asof: all tables must belong to one tenant");
      }
      PX_RETURN_IF_ERROR(rights_[i].Resolve(&left_));
    }
    AddColumns();
    ChooseInMemory();
    const Span span = SpanOf(plan_.begin, plan_.end);
    return ForEachSymbol(
        run_, &left_, [&](const SymbolScan&) { return span; },
        [&](SymbolScan& symbol) -> Status {
          PX_ASSIGN_OR_RETURN(const bool answered, InMemory(symbol, span));
          if (answered) return OkStatus();
          PX_ASSIGN_OR_RETURN(const exec::Frame frame, symbol.Read(span, {}));
          return OneSymbol(symbol, frame);
        },
        [&](std::span<SymbolScan* const> symbols) -> Status {
          for (AsofTable& right : rights_) {
            PX_RETURN_IF_ERROR(right.Open(run_.context, symbols, span));
          }
          return OkStatus();
        });
  }

 private:
  /// What AsofInMemory takes, if it can answer such a plan.
  void ChooseInMemory() {
    if (rights_.size() > 1 || plan_.times != AsofTimes::kBoth) return;
    const std::optional<std::vector<size_t>> slots = choice_.Slots();
    if (!slots.has_value() || left_.given() != nullptr || !BlockFilter::Fits(left_)) return;
    std::optional<AsofColumns> columns = rights_[0].InMemory();
    if (!columns.has_value()) return;
    for (const size_t slot : *slots) {
      const column::TypeKind kind = left_.DefOf(slot).type.kind;
      if (kind == column::TypeKind::kString) return;
      columns->left.push_back({left_.ColumnOf(slot), column::WidthOf(kind)});
    }
    in_memory_ = std::move(columns);
    filters_ = {BlockFilter::Of(&left_), BlockFilter::Of(&rights_[0].side())};
  }

  StatusOr<bool> InMemory(SymbolScan& symbol, Span span) {
    if (!in_memory_.has_value()) return false;
    const Stopwatch watch(run_.context->budget->clock(), &run_.context->explain->hot);
    return AsofInMemory(symbol, rights_[0].Of(symbol), span, rights_[0].rule(), *in_memory_,
                        &filters_, run_.output);
  }

  /// What stands before the name of a right column when it is taken.
  [[nodiscard]] std::string ClashPrefix(const AsofRight& right) const {
    if (!right.prefix.empty()) return right.prefix;
    return rights_.size() == 1 || right.from.table.empty() ? "right_" : right.from.table + "_";
  }

  void AddColumns() {
    std::vector<std::string> taken;
    taken.reserve(16);
    const auto add = [&](const std::string& name, column::Type type, const std::string& prefix) {
      run_.output->AddColumn(UniqueName(name, &taken, prefix), type);
    };
    add("symbol", {column::TypeKind::kSymbol, 0}, "");
    add("ts", {column::TypeKind::kTimestamp, 0}, "");
    add("seq", {column::TypeKind::kUint64, 0}, "");
    for (size_t i = 0; i < choice_.size(); ++i) add(choice_.name(i), choice_.type(i), "");
    for (size_t r = 0; r < rights_.size(); ++r) {
      const AsofTable& right = rights_[r];
      const std::string& prefix = plan_.rights[r].prefix;
      const std::string clash = ClashPrefix(plan_.rights[r]);
      for (size_t i = 0; i < right.choice().size(); ++i) {
        add(prefix + right.choice().name(i), right.choice().type(i), clash);
      }
      if (right.shows_seq()) add(prefix + "seq", {column::TypeKind::kUint64, 0}, clash);
      if (plan_.times == AsofTimes::kBoth) {
        add(clash + "ts", {column::TypeKind::kTimestamp, 0}, clash);
      }
    }
  }

  Status OneSymbol(SymbolScan& symbol, const exec::Frame& left) {
    std::vector<uint32_t> rows;
    left_.Select(left, symbol, &rows);
    if (run_.output->room().has_value() && rows.size() > *run_.output->room()) {
      rows.resize(*run_.output->room());
    }
    if (rows.empty()) return OkStatus();
    const std::vector<int64_t> left_rows(rows.begin(), rows.end());
    std::vector<exec::Column> columns = KeyColumns(left, symbol.code(), left_rows);
    choice_.Append(left, symbol, left_rows, &columns);
    std::vector<AsofTable::Matches> matches;
    for (size_t r = 0; r < rights_.size(); ++r) {
      PX_ASSIGN_OR_RETURN(matches.emplace_back(), rights_[r].Match(symbol, left, rows));
      AsofTable::Matches& right = matches.back();
      for (exec::Column& column : right.columns) columns.push_back(std::move(column));
      constexpr size_t kTs = 1;
      if (plan_.times == AsofTimes::kBoth) columns.push_back(std::move(right.times));
      if (plan_.times == AsofTimes::kRight && r == 0) columns[kTs] = std::move(right.times);
    }
    return run_.output->Append(std::move(columns), symbol.table().cut().symbols);
  }

  const Asof& plan_;
  Side left_;
  std::vector<AsofTable> rights_;
  const Run& run_;
  Choice choice_;
  std::optional<AsofColumns> in_memory_;
  AsofFilters filters_;
};

}  // namespace

Status RunAsof(const Asof& plan, Side left, std::vector<Side> rights, const Run& run) {
  return AsofJoin(plan, std::move(left), std::move(rights), run).Start();
}

}  // namespace proxist::query::internal
