// The loop that gives the floors: what ClickHouse takes from a client that does nothing else.
#include "apps/proxist-bench/history/parts.h"
#include "proxist/history/insert_block.h"

namespace proxist::bench {
namespace {

constexpr Duration kInsertTimeout = Duration::Seconds(120);

column::SchemaPtr BareSchema(const std::string& database) {
  column::TableSchema schema = QuotesTable();
  schema.tenant = database;
  schema.id = TableId(1);
  schema.version = SchemaVersion(1);
  return std::make_shared<const column::TableSchema>(std::move(schema));
}

}  // namespace

BareTable::BareTable(const history::ClickHouseAddress& address, const std::string& database)
    : history_(history::MakeClickHouseHistory(address)),
      connection_(address),
      schema_(BareSchema(database)) {}

Status BareTable::Create() { return history_->EnsureTable(*schema_); }

std::vector<std::byte> BareTable::Encode(std::vector<column::Batch> batches) {
  history::InsertIntent intent;
  intent.schema = schema_;
  intent.day = DayOf(Timestamp(batches.front().ts.At<int64_t>(0)));
  intent.ranges = {{ShardId(0), Lsn(1), Lsn::Max()}};
  std::vector<history::SourceBatch> sources;
  for (column::Batch& batch : batches) {
    batch.schema = schema_;
    const uint64_t rows = batch.rows;
    sources.push_back({ShardId(0), std::move(batch), Lsn(next_lsn_)});
    next_lsn_ += rows;
  }
  return history::EncodeInsertBlock(intent, sources);
}

Status BareTable::Insert(const std::vector<std::byte>& block) {
  return connection_.Insert(history::InsertSql(*schema_), block,
                            history::InsertSettings(fmt::format("bare-{}", ++blocks_)),
                            kInsertTimeout);
}

}  // namespace proxist::bench
