#include "proxist/shard/record.h"

namespace proxist::shard {

void EncodeRecordHeader(const RecordHeader& header, ByteWriter* out) {
  out->Put(kBatchRecord);
  out->Put(kRecordVersion);
  out->Put(uint16_t{0});
  out->Put(header.slot_map_version);
  out->Put(header.table.value());
  out->Put(header.schema_version.value());
  out->Put(header.number.value());
  out->Put(header.server_time.ns());
  out->PutString(header.tenant);
  out->PutString(header.producer);
  out->PadTo(8);
}

void EncodeRecord(const RecordHeader& header, const column::Batch& batch, ByteWriter* out) {
  EncodeRecordHeader(header, out);
  column::EncodeBatch(batch, out);
}

StatusOr<DecodedRecord> DecodeRecord(ByteSpan payload) {
  ByteReader in(payload, "log record");
  PX_ASSIGN_OR_RETURN(const auto kind, in.Get<uint8_t>());
  PX_ASSIGN_OR_RETURN(const auto version, in.Get<uint8_t>());
  if (kind != kBatchRecord || version != kRecordVersion) {
    return DataLoss("log record of kind {} version {}: this program reads kind {} version {}", kind,
                    version, kBatchRecord, kRecordVersion);
  }
  PX_RETURN_IF_ERROR(in.GetBytes(2).status());
  DecodedRecord record;
  RecordHeader& header = record.header;
  PX_ASSIGN_OR_RETURN(header.slot_map_version, in.Get<uint32_t>());
  PX_ASSIGN_OR_RETURN(const auto table, in.Get<uint32_t>());
  PX_ASSIGN_OR_RETURN(const auto schema_version, in.Get<uint32_t>());
  PX_ASSIGN_OR_RETURN(const auto number, in.Get<uint64_t>());
  PX_ASSIGN_OR_RETURN(const auto server_time, in.Get<int64_t>());
  header.table = TableId(table);
  header.schema_version = SchemaVersion(schema_version);
  header.number = BatchNumber(number);
  header.server_time = Timestamp(server_time);
  PX_ASSIGN_OR_RETURN(header.tenant, in.GetString());
  PX_ASSIGN_OR_RETURN(header.producer, in.GetString());
  PX_RETURN_IF_ERROR(in.SkipTo(8));
  PX_ASSIGN_OR_RETURN(record.batch, in.GetBytes(in.remaining()));
  return record;
}

}  // namespace proxist::shard
