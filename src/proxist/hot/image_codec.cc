// How a snapshot tells of a series.
#include "proxist/hot/image.h"
#include "proxist/hot/internal/block_codec.h"

namespace proxist::hot {
namespace {

void PutBlock(ByteSpan block, ByteWriter* out) {
  out->Put(uint64_t{block.size()});
  out->PutBytes(block);
  out->PadTo(internal::kInlineAlignment);
}

StatusOr<ByteSpan> GetBlock(ByteReader* in) {
  PX_ASSIGN_OR_RETURN(const auto size, in->Get<uint64_t>());
  PX_ASSIGN_OR_RETURN(const ByteSpan block, in->GetBytes(size));
  PX_RETURN_IF_ERROR(in->SkipTo(internal::kInlineAlignment));
  return block;
}

Status GetTime(ByteReader* in, Timestamp* out) {
  PX_ASSIGN_OR_RETURN(const auto ns, in->Get<int64_t>());
  *out = Timestamp(ns);
  return OkStatus();
}

StatusOr<StoredChunk> GetChunk(ByteReader* in) {
  StoredChunk chunk;
  PX_ASSIGN_OR_RETURN(chunk.id, in->Get<uint64_t>());
  PX_ASSIGN_OR_RETURN(chunk.place.file, in->Get<uint64_t>());
  PX_ASSIGN_OR_RETURN(chunk.place.offset, in->Get<uint64_t>());
  PX_ASSIGN_OR_RETURN(chunk.place.bytes, in->Get<uint64_t>());
  PX_ASSIGN_OR_RETURN(chunk.place.checksum, in->Get<uint64_t>());
  PX_RETURN_IF_ERROR(GetTime(in, &chunk.first));
  PX_RETURN_IF_ERROR(GetTime(in, &chunk.last));
  PX_ASSIGN_OR_RETURN(const auto max_lsn, in->Get<uint64_t>());
  chunk.max_lsn = Lsn(max_lsn);
  PX_ASSIGN_OR_RETURN(chunk.rows, in->Get<uint32_t>());
  PX_RETURN_IF_ERROR(in->Get<uint32_t>().status());
  return chunk;
}

}  // namespace

void EncodeStoredSeries(const StoredSeries& series, std::vector<std::byte>* bytes) {
  ByteWriter out(bytes);
  out.Put(series.table.value());
  for (const uint32_t code : series.codes) out.Put(code);
  out.Put(static_cast<uint32_t>(series.boundary));
  out.Put(series.floor.ns());
  out.Put(series.watch.ns());
  out.Put(series.dropped_low.ns());
  out.Put(series.dropped_high.ns());
  out.Put(series.boundary_as_of.value());
  out.Put(uint64_t{series.chunks.size()});
  for (const StoredChunk& chunk : series.chunks) {
    out.Put(chunk.id);
    out.Put(chunk.place.file);
    out.Put(chunk.place.offset);
    out.Put(chunk.place.bytes);
    out.Put(chunk.place.checksum);
    out.Put(chunk.first.ns());
    out.Put(chunk.last.ns());
    out.Put(chunk.max_lsn.value());
    out.Put(chunk.rows);
    out.Put(uint32_t{0});
  }
  PutBlock(series.tail, &out);
  PutBlock(series.overlay, &out);
  PutBlock(series.boundary_rows, &out);
}

StatusOr<StoredSeries> DecodeStoredSeries(ByteReader* in) {
  StoredSeries series;
  PX_ASSIGN_OR_RETURN(const auto table, in->Get<uint32_t>());
  series.table = TableId(table);
  for (uint32_t& code : series.codes) {
    PX_ASSIGN_OR_RETURN(code, in->Get<uint32_t>());
  }
  PX_ASSIGN_OR_RETURN(const auto boundary, in->Get<uint32_t>());
  if (boundary > static_cast<uint32_t>(StoredSeries::Boundary::kUnknown)) {
    return DataLoss("a series' boundary is of kind {}", boundary);
  }
  series.boundary = static_cast<StoredSeries::Boundary>(boundary);
  PX_RETURN_IF_ERROR(GetTime(in, &series.floor));
  PX_RETURN_IF_ERROR(GetTime(in, &series.watch));
  PX_RETURN_IF_ERROR(GetTime(in, &series.dropped_low));
  PX_RETURN_IF_ERROR(GetTime(in, &series.dropped_high));
  PX_ASSIGN_OR_RETURN(const auto as_of, in->Get<uint64_t>());
  series.boundary_as_of = Lsn(as_of);
  PX_ASSIGN_OR_RETURN(const auto chunks, in->Get<uint64_t>());
  for (uint64_t i = 0; i < chunks; ++i) {
    PX_ASSIGN_OR_RETURN(StoredChunk chunk, GetChunk(in));
    series.chunks.push_back(chunk);
  }
  PX_ASSIGN_OR_RETURN(series.tail, GetBlock(in));
  PX_ASSIGN_OR_RETURN(series.overlay, GetBlock(in));
  PX_ASSIGN_OR_RETURN(series.boundary_rows, GetBlock(in));
  return series;
}

StatusOr<BlockSummary> DescribeBlock(ByteSpan bytes) {
  PX_ASSIGN_OR_RETURN(const auto block, internal::BlockCodec::Decode(bytes, UINT32_MAX));
  BlockSummary summary{.id = block.id,
                       .rows = block.rows,
                       .columns = static_cast<uint32_t>(block.columns.size()),
                       .first = Timestamp(block.ts_at(0)),
                       .last = Timestamp(block.ts_at(block.rows - 1)),
                       .min_lsn = Lsn(block.lsn_at(0)),
                       .max_lsn = Lsn(block.lsn_at(0))};
  for (uint32_t row = 0; row < block.rows; ++row) {
    summary.min_lsn = std::min(summary.min_lsn, Lsn(block.lsn_at(row)));
    summary.max_lsn = std::max(summary.max_lsn, Lsn(block.lsn_at(row)));
  }
  return summary;
}

}  // namespace proxist::hot
