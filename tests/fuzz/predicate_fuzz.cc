// Any bytes as a predicate, as a value and as an aggregate: compiles or is refused with a place,
// and evaluates within bounds.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "proxist/base/check.h"
#include "proxist/exec/expression.h"

namespace {

using proxist::column::Type;
using proxist::column::TypeKind;

/// A frame of three rows, the last null, with a column of every kind.
struct Rows {
  Rows() : symbols(nullptr) {
    columns = {{"symbol", {TypeKind::kSymbol, 0}},
               {"ts", {TypeKind::kTimestamp, 0}},
               {"seq", {TypeKind::kUint64, 0}}};
    frame.ts = {1, 2, 3};
    frame.seq = {1, 1, 2};
    for (uint8_t kind = 1; kind <= 15; ++kind) {
      const auto type = Type{static_cast<TypeKind>(kind), static_cast<uint8_t>(kind == 12 ? 4 : 0)};
      columns.push_back({std::string(1, static_cast<char>('a' + kind - 1)), type});
      slots.push_back(static_cast<int>(frame.columns.size()));
      proxist::exec::Column& column = frame.columns.emplace_back(type);
      column.Extend(3);
      if (type.kind == TypeKind::kSymbol) {
        for (int row = 0; row < 3; ++row) column.data<uint32_t>()[row] = symbols.Code("P");
      }
      column.SetNull(2);
    }
    symbol = symbols.Code("AIG");
  }
  proxist::exec::Symbols symbols;
  std::vector<proxist::exec::PredicateColumn> columns;
  proxist::exec::Frame frame;
  std::vector<int> slots;
  uint32_t symbol = 0;
};

template <typename Compiled>
bool Usable(const proxist::StatusOr<Compiled>& compiled) {
  PX_CHECK(compiled.ok() || compiled.status().code() == absl::StatusCode::kInvalidArgument);
  return compiled.ok();
}

void CheckCalls(std::string_view text) {
  std::vector<proxist::exec::Column> calls;
  const auto value = proxist::exec::Expression::CompileCalls(
      text, [&](const proxist::exec::CallSyntax& call) -> proxist::StatusOr<Type> {
        for (const std::string& argument : call.arguments) {
          PX_CHECK(argument.size() <= text.size());
        }
        PX_CHECK(call.at >= 1 && call.at <= text.size());
        const auto kind = static_cast<TypeKind>(1 + call.name.size() % 15);
        calls.emplace_back(Type{kind, 0}).Extend(2);
        return Type{kind, 0};
      });
  if (Usable(value)) PX_CHECK(value->EvaluateCalls(calls, 2).rows() == 2);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Rows rows;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const proxist::exec::PredicateInput input{&rows.frame, rows.symbol, &rows.symbols, rows.slots};
  const auto predicate = proxist::exec::Predicate::Compile(text, rows.columns);
  if (Usable(predicate)) {
    std::vector<uint32_t> selected;
    predicate->Select(input, &selected);
    for (const uint32_t row : selected) PX_CHECK(row < 3);
  }
  const auto value = proxist::exec::Expression::Compile(text, rows.columns);
  if (Usable(value)) PX_CHECK(value->Evaluate(input).rows() == 3);
  CheckCalls(text);
  return 0;
}
