// Columns that were not asked for share one run of zeros as their values.
#include "proxist/history/internal/read_result.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "proxist/base/check.h"

namespace proxist::history {
namespace {

struct ResultOwner {
  explicit ResultOwner(NativeReader from) : reader(std::move(from)) {}
  NativeReader reader;
  std::vector<std::byte> zeros;
};

}  // namespace

StatusOr<ReadResult> MakeReadResult(const column::SchemaPtr& schema,
                                    const std::vector<size_t>& declared, NativeReader reader) {
  constexpr size_t kKeyColumns = 3;
  auto owner = std::make_shared<ResultOwner>(std::move(reader));
  const std::vector<NativeColumn>& from = owner->reader.columns();
  PX_CHECK(from.size() == kKeyColumns + declared.size() + 2);
  const size_t rows = owner->reader.rows();
  if (declared.size() < schema->columns.size()) {
    owner->zeros.resize((rows + 1) * sizeof(uint64_t));
  }

  ReadResult out;
  out.batch.schema = schema;
  out.batch.rows = rows;
  out.batch.symbol = from[0].View();
  out.batch.ts = from[1].View();
  out.batch.seq = from[2].View();
  const ByteSpan zeros(owner->zeros);
  for (const column::ColumnDef& def : schema->columns) {
    const size_t width = column::WidthOf(def.type.kind);
    const size_t bytes = width == 0 ? (rows + 1) * sizeof(uint32_t) : rows * width;
    out.batch.columns.push_back({def.type,
                                 zeros.subspan(0, std::min(bytes, zeros.size())),
                                 zeros.subspan(0, std::min((rows + 7) / 8, zeros.size())),
                                 {},
                                 {}});
  }
  for (size_t i = 0; i < declared.size(); ++i) {
    out.batch.columns[declared[i]] = from[kKeyColumns + i].View();
  }
  out.versions.resize(rows);
  const NativeColumn& versions = from[kKeyColumns + declared.size()];
  if (rows > 0) std::memcpy(out.versions.data(), versions.values.data(), rows * sizeof(uint64_t));
  out.batch.op = from[kKeyColumns + declared.size() + 1].View();
  for (size_t row = 0; row < rows; ++row) {
    const auto ts = out.batch.ts.At<int64_t>(row);
    if (out.batch.op.At<uint8_t>(row) > 1 || ts < kMinRowTimestamp.ns() ||
        ts > kMaxRowTimestamp.ns()) {
      return DataLoss("row {} of ClickHouse's answer has deleted = {}, ts = {}", row,
                      out.batch.op.At<uint8_t>(row), ts);
    }
  }
  out.batch.owner = std::move(owner);
  return out;
}

}  // namespace proxist::history
