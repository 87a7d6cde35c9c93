// Query answers onto the wire.
#include "proxist/api/answer.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <unordered_map>

#include "proxist/api/column_message.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::api {
namespace {

using column::TypeKind;

/// Gives the codes of one message's column small codes of their own, in order of appearance.
class Recoder {
 public:
  Recoder(const exec::Symbols& symbols, v1::Column* out) : symbols_(symbols), out_(out) {}

  uint32_t Recode(uint32_t code) {
    Recent& recent = recent_[code % recent_.size()];
    if (recent.used && recent.code == code) return recent.local;
    const auto [found, added] =
        codes_.try_emplace(code, static_cast<uint32_t>(out_->dictionary_size()));
    if (added) {
      const std::string_view text = symbols_.Text(code);
      out_->add_dictionary(text.data(), text.size());
    }
    recent = {code, found->second, true};
    return found->second;
  }

 private:
  struct Recent {
    uint32_t code = 0;
    uint32_t local = 0;
    bool used = false;
  };
  const exec::Symbols& symbols_;
  v1::Column* out_;
  std::array<Recent, 64> recent_;
  std::unordered_map<uint32_t, uint32_t> codes_;
};

template <typename T>
void Put(std::string* bytes, size_t index, T value) {
  std::memcpy(bytes->data() + index * sizeof(T), &value, sizeof value);
}

void EncodeSymbols(const exec::Column& column, const exec::Symbols& symbols, size_t begin,
                   size_t end, v1::Column* out) {
  Recoder recoder(symbols, out);
  std::string* values = out->mutable_values();
  values->resize((end - begin) * sizeof(uint32_t));
  const uint32_t* codes = column.data<uint32_t>();
  for (size_t row = begin; row < end; ++row) {
    Put(values, row - begin, column.IsValid(row) ? recoder.Recode(codes[row]) : 0u);
  }
}

void EncodeStrings(const exec::Column& column, size_t begin, size_t end, v1::Column* out) {
  std::string* values = out->mutable_values();
  std::string* text = out->mutable_text();
  values->resize((end - begin + 1) * sizeof(uint32_t));
  const auto* strings = column.data<std::string_view>();
  for (size_t row = begin; row < end; ++row) {
    if (column.IsValid(row)) text->append(strings[row]);
    Put(values, row - begin + 1, static_cast<uint32_t>(text->size()));
  }
}

void EncodeFixed(const exec::Column& column, size_t begin, size_t end, v1::Column* out) {
  const size_t width = column.stride();
  std::string* values = out->mutable_values();
  values->assign(column.data<char>() + begin * width, (end - begin) * width);
  if (!column.has_nulls()) return;
  for (size_t row = begin; row < end; ++row) {
    if (!column.IsValid(row)) std::fill_n(values->begin() + (row - begin) * width, width, '\0');
  }
}

void EncodeValidity(const exec::Column& column, size_t begin, size_t end, v1::Column* out) {
  if (!column.has_nulls()) return;
  std::string bits((end - begin + 7) / 8, '\0');
  bool nulls = false;
  for (size_t row = begin; row < end; ++row) {
    const size_t i = row - begin;
    if (column.IsValid(row)) {
      bits[i >> 3] = static_cast<char>(bits[i >> 3] | (1 << (i & 7)));
    } else {
      nulls = true;
    }
  }
  if (nulls) out->set_validity(std::move(bits));
}

}  // namespace

size_t RowsThatFit(const query::ResultBatch& batch, size_t begin, size_t max_bytes) {
  const size_t rows = batch.rows();
  if (begin >= rows) return 0;
  size_t fixed = 0;
  std::vector<const exec::Column*> strings;
  for (const exec::NamedColumn& named : batch.columns) {
    const bool text = named.column.type().kind == TypeKind::kString;
    fixed += text ? sizeof(uint32_t) : named.column.stride();
    if (text) strings.push_back(&named.column);
  }
  if (strings.empty()) return std::min(rows - begin, std::max<size_t>(1, max_bytes / fixed));
  size_t bytes = 0;
  size_t row = begin;
  for (; row < rows; ++row) {
    bytes += fixed;
    for (const exec::Column* column : strings) {
      if (column->IsValid(row)) bytes += column->data<std::string_view>()[row].size();
    }
    if (bytes > max_bytes) break;
  }
  return std::min(rows - begin, std::max<size_t>(1, row - begin));
}

void EncodeRows(const query::ResultBatch& batch, size_t begin, size_t end,
                v1::QueryResponse* response) {
  response->set_rows(end - begin);
  for (const exec::NamedColumn& named : batch.columns) {
    v1::Column* out = response->add_columns();
    out->set_name(named.name);
    EncodeType(named.column.type(), out->mutable_type());
    switch (named.column.type().kind) {
      case TypeKind::kSymbol:
        EncodeSymbols(named.column, *batch.symbols, begin, end, out);
        break;
      case TypeKind::kString:
        EncodeStrings(named.column, begin, end, out);
        break;
      default:
        EncodeFixed(named.column, begin, end, out);
    }
    EncodeValidity(named.column, begin, end, out);
  }
}

void EncodeExplain(const query::Explain& explain, v1::Explain* message) {
  for (const query::Explain::Seam& seam : explain.seams) {
    v1::Explain::Seam* out = message->add_seams();
    out->set_shard(seam.shard.value());
    out->set_table(seam.table);
    out->set_cut(seam.cut.value());
    out->set_persisted(seam.persisted.value());
    out->set_floor(seam.floor.ns());
  }
  message->set_rows_hot(explain.rows_hot);
  message->set_rows_cold(explain.rows_cold);
  message->set_rows_in_totals(explain.rows_in_totals);
  message->set_history_reads(explain.history_reads);
  message->set_attempts(explain.attempts);
  message->set_plan_ns(explain.plan.ns());
  message->set_hot_ns(explain.hot.ns());
  message->set_cold_ns(explain.cold.ns());
  message->set_compute_ns(explain.compute.ns());
}

query::Explain DecodeExplain(const v1::Explain& message) {
  query::Explain explain;
  for (const v1::Explain::Seam& seam : message.seams()) {
    explain.seams.push_back({ShardId(static_cast<uint16_t>(seam.shard())), seam.table(),
                             Lsn(seam.cut()), Lsn(seam.persisted()), Timestamp(seam.floor())});
  }
  explain.rows_hot = message.rows_hot();
  explain.rows_cold = message.rows_cold();
  explain.rows_in_totals = message.rows_in_totals();
  explain.history_reads = message.history_reads();
  explain.attempts = message.attempts();
  explain.plan = Duration(message.plan_ns());
  explain.hot = Duration(message.hot_ns());
  explain.cold = Duration(message.cold_ns());
  explain.compute = Duration(message.compute_ns());
  return explain;
}

void EncodeMissing(const query::Explain& explain, v1::QueryResponse* response) {
  for (const query::Explain::Missing& missing : explain.missing) {
    v1::MissingRows* out = response->add_missing();
    out->set_shard(missing.shard.value());
    out->set_table(missing.table);
    out->set_from(missing.from.ns());
    out->set_to(missing.to.ns());
  }
}

std::vector<query::Explain::Missing> DecodeMissing(const v1::QueryResponse& response) {
  std::vector<query::Explain::Missing> out;
  for (const v1::MissingRows& missing : response.missing()) {
    out.push_back({ShardId(static_cast<uint16_t>(missing.shard())), missing.table(),
                   Timestamp(missing.from()), Timestamp(missing.to())});
  }
  return out;
}

}  // namespace proxist::api
