// Batches off the wire: what a good one decodes to, and every structural defect by its message.
#include "proxist/api/write_request.h"

#include <functional>
#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include "proxist/v1/proxist.pb.h"

namespace proxist::api {
namespace {

using column::SeqMode;
using column::TableSchema;
using column::TypeKind;
using testing::HasSubstr;

column::SchemaPtr QuotesSchema(SeqMode seq = SeqMode::kProducer) {
  auto schema = std::make_shared<TableSchema>();
  schema->id = TableId(7);
  schema->name = "quotes";
  schema->columns = {{ColumnId(1), "venue", {TypeKind::kSymbol}, false},
                     {ColumnId(2), "bid", {TypeKind::kDecimal, 4}, false},
                     {ColumnId(3), "size", {TypeKind::kInt64}, true},
                     {ColumnId(4), "note", {TypeKind::kString}, true},
                     {ColumnId(5), "flag", {TypeKind::kBool}, true},
                     {ColumnId(6), "tag", {TypeKind::kSymbol}, true}};
  schema->series = {0};
  schema->seq = seq;
  return schema;
}

template <typename T>
std::string Bytes(std::initializer_list<T> values) {
  std::string bytes;
  for (const T value : values) bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  return bytes;
}

v1::Column* Add(v1::WriteRequest* request, const char* name, v1::TypeKind kind,
                std::string values) {
  v1::Column* column = request->add_columns();
  column->set_name(name);
  column->mutable_type()->set_kind(kind);
  column->set_values(std::move(values));
  return column;
}

v1::Column* Find(v1::WriteRequest* request, std::string_view name) {
  for (v1::Column& column : *request->mutable_columns()) {
    if (column.name() == name) return &column;
  }
  return nullptr;
}

void Drop(v1::WriteRequest* request, std::string_view name) {
  for (int i = 0; i < request->columns_size(); ++i) {
    if (request->columns(i).name() == name) {
      request->mutable_columns()->DeleteSubrange(i, 1);
      return;
    }
  }
}

/// Three rows; note is given, size, flag and tag are left out.
v1::WriteRequest GoodRequest() {
  v1::WriteRequest request;
  request.set_table("quotes");
  Add(&request, "bid", v1::TYPE_KIND_DECIMAL, Bytes<int64_t>({475000, -1, 0}))
      ->mutable_type()
      ->set_scale(4);
  v1::Column* symbol = Add(&request, "symbol", v1::TYPE_KIND_SYMBOL, Bytes<uint32_t>({1, 0, 1}));
  symbol->add_dictionary("AIG");
  symbol->add_dictionary("IBM");
  Add(&request, "ts", v1::TYPE_KIND_TIMESTAMP, Bytes<int64_t>({10, 20, 30}));
  Add(&request, "seq", v1::TYPE_KIND_UINT64,
      Bytes<uint64_t>({1, 2, std::numeric_limits<uint64_t>::max()}));
  v1::Column* venue = Add(&request, "venue", v1::TYPE_KIND_SYMBOL, Bytes<uint32_t>({0, 0, 0}));
  venue->add_dictionary("P");
  v1::Column* note = Add(&request, "note", v1::TYPE_KIND_STRING, Bytes<uint32_t>({0, 2, 2, 5}));
  note->set_text("hiyou");
  note->set_validity(std::string(1, '\x05'));
  return request;
}

StatusOr<column::Batch> Decode(v1::WriteRequest request,
                               const column::SchemaPtr& schema = QuotesSchema()) {
  return DecodeWriteRequest(std::make_shared<v1::WriteRequest>(std::move(request)), schema);
}

TEST(WriteRequest, DecodesToViewsIntoTheMessage) {
  auto request = std::make_shared<v1::WriteRequest>(GoodRequest());
  const std::string* bids = &request->columns(0).values();
  const StatusOr<column::Batch> batch = DecodeWriteRequest(request, QuotesSchema());
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_TRUE(ValidateBatch(*batch).ok()) << ValidateBatch(*batch);
  EXPECT_EQ(batch->rows, 3u);
  EXPECT_EQ(static_cast<const void*>(batch->columns[1].values.data()), bids->data());
  EXPECT_EQ(batch->symbol.TextAt(0), "IBM");
  EXPECT_EQ(batch->symbol.TextAt(1), "AIG");
  EXPECT_EQ(batch->ts.At<int64_t>(2), 30);
  EXPECT_EQ(batch->seq.At<uint64_t>(2), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(batch->columns[1].At<int64_t>(1), -1);
  EXPECT_EQ(batch->columns[3].TextAt(0), "hi");
  EXPECT_FALSE(batch->columns[3].IsValid(1));
  EXPECT_EQ(batch->columns[3].TextAt(2), "you");
  EXPECT_EQ(batch->OpAt(0), column::Op::kPut);
}

TEST(WriteRequest, KeepsTheMessageAlive) {
  auto request = std::make_shared<v1::WriteRequest>(GoodRequest());
  const std::weak_ptr<v1::WriteRequest> watched = request;
  StatusOr<column::Batch> batch = DecodeWriteRequest(std::move(request), QuotesSchema());
  ASSERT_TRUE(batch.ok());
  EXPECT_FALSE(watched.expired());
  *batch = column::Batch();
  EXPECT_TRUE(watched.expired());
}

TEST(WriteRequest, ColumnsLeftOutAreNull) {
  const StatusOr<column::Batch> batch = Decode(GoodRequest());
  ASSERT_TRUE(batch.ok());
  for (const size_t column : {2, 4, 5}) {
    for (size_t row = 0; row < 3; ++row) EXPECT_FALSE(batch->columns[column].IsValid(row));
  }
}

TEST(WriteRequest, TakesOps) {
  v1::WriteRequest request = GoodRequest();
  Add(&request, "_op", v1::TYPE_KIND_UINT8, std::string("\0\1\0", 3));
  const StatusOr<column::Batch> batch = Decode(request);
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_EQ(batch->OpAt(1), column::Op::kCancel);
  EXPECT_EQ(batch->OpAt(2), column::Op::kPut);
}

TEST(WriteRequest, SeqIsLeftOutWhereTheTableAssignsIt) {
  v1::WriteRequest request = GoodRequest();
  EXPECT_THAT(Decode(request, QuotesSchema(SeqMode::kAssigned)).status().ToString(),
              HasSubstr("column seq: the table assigns seq"));
  Drop(&request, "seq");
  const StatusOr<column::Batch> batch = Decode(request, QuotesSchema(SeqMode::kAssigned));
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_TRUE(batch->seq.values.empty());
  EXPECT_TRUE(ValidateBatch(*batch).ok()) << ValidateBatch(*batch);
}

TEST(WriteRequest, EncodesWhatItDecodes) {
  const StatusOr<column::Batch> batch = Decode(GoodRequest());
  ASSERT_TRUE(batch.ok());
  v1::WriteRequest request;
  EncodeWriteRequest(*batch, &request);
  EXPECT_EQ(request.table(), "quotes");
  EXPECT_EQ(request.tenant(), "default");
  const StatusOr<column::Batch> again = Decode(request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->columns[3].TextAt(2), "you");
  EXPECT_EQ(again->symbol.TextAt(1), "AIG");
  EXPECT_FALSE(again->columns[5].IsValid(0));
}

struct Defect {
  const char* name;
  std::function<void(v1::WriteRequest*)> make;
  const char* message;
};

TEST(WriteRequest, NamesEveryDefect) {
  const Defect defects[] = {
      {"no columns", [](auto* r) { r->clear_columns(); }, "the batch has no columns and no rows"},
      {"no rows",
       [](auto* r) {
         for (auto& column : *r->mutable_columns()) column.clear_values();
       },
       "the batch has no rows"},
      {"unknown column", [](auto* r) { Find(r, "bid")->set_name("colour"); },
       "column colour: unknown; the table has symbol ts seq venue bid size note flag tag"},
      {"duplicate column", [](auto* r) { *r->add_columns() = *Find(r, "bid"); },
       "column bid: given twice"},
      {"duplicate symbol", [](auto* r) { *r->add_columns() = *Find(r, "symbol"); },
       "column symbol: given twice"},
      {"wrong type", [](auto* r) { Find(r, "ts")->mutable_type()->set_kind(v1::TYPE_KIND_INT64); },
       "column ts: type int64 where the table has timestamp_ns"},
      {"wrong scale", [](auto* r) { Find(r, "bid")->mutable_type()->set_scale(2); },
       "column bid: type decimal(2) where the table has decimal(4)"},
      {"scale above 18", [](auto* r) { Find(r, "bid")->mutable_type()->set_scale(260); },
       "column bid: decimal scale 260 is above 18"},
      {"scale of an integer", [](auto* r) { Find(r, "seq")->mutable_type()->set_scale(1); },
       "column seq: only decimals have a scale"},
      {"no type", [](auto* r) { Find(r, "bid")->clear_type(); },
       "column bid: type kind 0 is not known"},
      {"type of the future",
       [](auto* r) { Find(r, "bid")->mutable_type()->set_kind(static_cast<v1::TypeKind>(99)); },
       "column bid: type kind 99 is not known"},
      {"one row short", [](auto* r) { Find(r, "bid")->mutable_values()->resize(16); },
       "column bid: 2 rows where 3 are expected"},
      {"half a value", [](auto* r) { Find(r, "bid")->mutable_values()->resize(20); },
       "column bid: 20 bytes of values are not a multiple of 8 (decimal(4))"},
      {"symbol longer than the rest",
       [](auto* r) { Find(r, "symbol")->mutable_values()->append(4, '\0'); },
       "3 rows where 4 are expected"},
      {"offsets short", [](auto* r) { Find(r, "note")->mutable_values()->resize(12); },
       "column note: 2 rows where 3 are expected"},
      {"no offsets", [](auto* r) { Find(r, "note")->clear_values(); },
       "column note: no offsets; a string column of n rows has n+1"},
      {"validity too long", [](auto* r) { Find(r, "note")->set_validity("12"); },
       "column note: 2 bytes of validity where 3 rows need 1 or none"},
      {"text in a number", [](auto* r) { Find(r, "bid")->set_text("x"); },
       "column bid: text in a column of type decimal(4)"},
      {"dictionary in a string", [](auto* r) { Find(r, "note")->add_dictionary("x"); },
       "column note: a dictionary in a column of type string"},
      {"no symbol", [](auto* r) { Drop(r, "symbol"); }, "column symbol: missing"},
      {"no ts", [](auto* r) { Drop(r, "ts"); }, "column ts: missing"},
      {"no seq", [](auto* r) { Drop(r, "seq"); },
       "column seq: missing; the table takes seq from the producer"},
      {"no bid", [](auto* r) { Drop(r, "bid"); }, "column bid: missing, and it is not nullable"},
      {"ops of the wrong type",
       [](auto* r) { Add(r, "_op", v1::TYPE_KIND_BOOL, std::string(3, '\0')); },
       "column _op: type bool where the table has uint8"},
  };
  for (const Defect& defect : defects) {
    v1::WriteRequest request = GoodRequest();
    defect.make(&request);
    const StatusOr<column::Batch> batch = Decode(std::move(request));
    EXPECT_EQ(batch.status().code(), absl::StatusCode::kInvalidArgument) << defect.name;
    EXPECT_THAT(std::string(Message(batch.status())), HasSubstr(defect.message)) << defect.name;
    EXPECT_THAT(std::string(Message(batch.status())), testing::StartsWith("table quotes: "));
  }
}

// Whatever bytes arrive: decoding and validating ends in a status, never out of bounds.
TEST(WriteRequest, SurvivesDamagedMessages) {
  const std::string good = GoodRequest().SerializeAsString();
  const google::protobuf::LogSilencer silence;
  std::mt19937 random(20131009);
  size_t decoded = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = good;
    const size_t changes = 1 + random() % 3;
    for (size_t i = 0; i < changes; ++i)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    if (random() % 8 == 0) bytes.resize(random() % bytes.size());
    auto request = std::make_shared<v1::WriteRequest>();
    if (!request->ParseFromString(bytes)) continue;
    const StatusOr<column::Batch> batch = DecodeWriteRequest(request, QuotesSchema());
    if (!batch.ok()) continue;
    ++decoded;
    if (ValidateBatch(*batch).ok()) {
      for (size_t row = 0; row < batch->rows; ++row) {
        EXPECT_FALSE(batch->symbol.TextAt(row).empty());
        if (batch->columns[3].IsValid(row)) (void)std::string(batch->columns[3].TextAt(row));
      }
    }
  }
  EXPECT_GT(decoded, 100u);
}

}  // namespace
}  // namespace proxist::api
