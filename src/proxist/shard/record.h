// What a log record of a shard says: a producer's batch with everything replay needs (FORMAT.md).
#pragma once

#include <cstdint>
#include <string_view>

#include "proxist/base/bytes.h"
#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/column/batch.h"

namespace proxist::shard {

/// The header of a batch record. Views point into the record.
struct RecordHeader {
  uint32_t slot_map_version = 1;
  TableId table;
  SchemaVersion schema_version;
  BatchNumber number;
  Timestamp server_time;  // publication time: what hot retention counts from, also after replay
  std::string_view tenant;
  std::string_view producer;  // empty: the batch has no producer
};

inline constexpr uint8_t kBatchRecord = 1;
inline constexpr uint8_t kRecordVersion = 1;

/// Appends what stands before the batch to `out`, which is empty or 8-byte aligned in size.
void EncodeRecordHeader(const RecordHeader& header, ByteWriter* out);
/// Appends header and batch, likewise.
void EncodeRecord(const RecordHeader& header, const column::Batch& batch, ByteWriter* out);

struct DecodedRecord {
  RecordHeader header;
  ByteSpan batch;  // for column::DecodeBatch with the schema that the header names
};

/// DATA_LOSS says what does not fit.
StatusOr<DecodedRecord> DecodeRecord(ByteSpan payload);

}  // namespace proxist::shard
