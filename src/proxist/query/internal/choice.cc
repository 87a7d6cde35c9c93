// Names first, expressions where a name does not do.
#include "proxist/query/internal/choice.h"

#include <algorithm>

namespace proxist::query::internal {
namespace {

bool IsKey(std::string_view name) { return name == "symbol" || name == "ts" || name == "seq"; }

bool IsName(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

StatusOr<Choice> Choice::Make(Side* side, const std::vector<std::string>& items) {
  return MakeOf(side, items, /*keys=*/false);
}

StatusOr<Choice> Choice::WithKeys(Side* side, const std::vector<std::string>& items) {
  return MakeOf(side, items, /*keys=*/true);
}

StatusOr<Choice> Choice::MakeOf(Side* side, const std::vector<std::string>& items, bool keys) {
  Choice choice;
  if (items.empty()) {
    for (const column::ColumnDef& def : side->schema()->columns) {
      if (def.dropped) continue;
      PX_RETURN_IF_ERROR(choice.Add(side, def.name, keys));
    }
    return choice;
  }
  choice.items_.reserve(items.size());  // names stay where they are
  std::vector<std::string_view> seen;
  seen.reserve(items.size());
  for (const std::string& text : items) {
    const bool shown = IsKey(text) && (!keys || text == "symbol");  // in the answer anyway
    if (!shown) PX_RETURN_IF_ERROR(choice.Add(side, text, keys));
    const std::string& name = shown ? text : choice.items_.back().name;
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
      return InvalidArgument("columns: '{}' is chosen twice", name);
    }
    seen.push_back(name);
  }
  return choice;
}

Status Choice::Add(Side* side, const std::string& text, bool keys) {
  Item item{text, {}, std::nullopt, std::nullopt};
  if (side->schema()->Find(text).has_value() || (IsName(text) && !IsKey(text))) {
    PX_ASSIGN_OR_RETURN(item.slot, side->Slot(text, "columns"));
    item.type = side->DefOf(*item.slot).type;
  } else {
    PX_ASSIGN_OR_RETURN(Value value, Value::Make(side, text, "columns"));
    item.name = value.name();
    item.type = value.type();
    item.slot = value.slot();
    if (!item.slot.has_value()) item.value = std::move(value);
    if (IsKey(item.name) && !(keys && item.name == text)) {
      return InvalidArgument("columns: '{}' is a name that answers have already", item.name);
    }
  }
  items_.push_back(std::move(item));
  return OkStatus();
}

std::optional<std::vector<size_t>> Choice::Slots() const {
  std::vector<size_t> slots;
  for (const Item& item : items_) {
    if (!item.slot.has_value()) return std::nullopt;
    slots.push_back(*item.slot);
  }
  return slots;
}

void Choice::Append(const exec::Frame& frame, SymbolScan& symbol, std::span<const int64_t> rows,
                    std::vector<exec::Column>* out) const {
  for (const Item& item : items_) {
    exec::Column& column = out->emplace_back(item.type);
    if (frame.rows() == 0) {  // it may lack columns
      for (size_t i = 0; i < rows.size(); ++i) column.AppendNull();
      continue;
    }
    exec::Column own;
    const exec::Column& all =
        item.slot.has_value() ? frame.columns[*item.slot] : item.value->Of(frame, symbol, &own);
    column.AppendGather(all, rows.data(), rows.size());
  }
}

}  // namespace proxist::query::internal
