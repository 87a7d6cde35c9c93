// Tokens, status codes and table declarations.
#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/api/ack_token.h"
#include "proxist/api/rpc_status.h"
#include "proxist/api/table_message.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::api {
namespace {

using history::LsnRange;
using testing::ElementsAreArray;
using testing::HasSubstr;

TEST(AckToken, ComesBackAsItWas) {
  const std::vector<LsnRange> ranges = {
      {ShardId(0), Lsn(1), Lsn(10)},
      {ShardId::Max(), Lsn(std::numeric_limits<uint64_t>::max()), Lsn::Max()}};
  const StatusOr<std::vector<LsnRange>> back = DecodeToken(EncodeToken(ranges));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_THAT(*back, ElementsAreArray(ranges));
  const StatusOr<std::vector<LsnRange>> none = DecodeToken(EncodeToken({}));
  ASSERT_TRUE(none.ok());
  EXPECT_TRUE(none->empty());
}

TEST(AckToken, GarbageIsRefused) {
  const std::vector<LsnRange> ranges = {{ShardId(1), Lsn(2), Lsn(3)}};
  const std::string good = EncodeToken(ranges);
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(DecodeToken(good.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(DecodeToken(good + "x").ok());
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    const Status status = DecodeToken(bad).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bit;
  }
  std::string future = good;
  future[3] = 2;
  EXPECT_THAT(DecodeToken(future).status().ToString(),
              HasSubstr("a token of version 2; this server reads version 1"));
  std::string huge = good;
  huge[4] = huge[5] = huge[6] = huge[7] = '\xff';
  EXPECT_THAT(DecodeToken(huge).status().ToString(), HasSubstr("4294967295 shards"));
}

TEST(RpcStatus, EveryCodeKeepsItsNumberAndMessage) {
  for (int code = 0; code <= 16; ++code) {
    const Status status(static_cast<absl::StatusCode>(code), "what, where, why: \"\xc3\xa9\"");
    const grpc::Status rpc = ToRpc(status);
    EXPECT_EQ(static_cast<int>(rpc.error_code()), code);
    EXPECT_EQ(FromRpc(rpc), status);
    EXPECT_EQ(ExitCode(status), code == 0 ? 0 : 10 + code);
  }
  EXPECT_EQ(FromRpc(grpc::Status(static_cast<grpc::StatusCode>(20), "odd")).code(),
            absl::StatusCode::kUnknown);
}

TEST(RpcStatus, LongMessagesAreCut) {
  const grpc::Status rpc = ToRpc(InvalidArgument("{}", std::string(100'000, 'x')));
  EXPECT_EQ(rpc.error_message().size(), 4096u);
  EXPECT_THAT(rpc.error_message(), testing::EndsWith("x..."));
}

TEST(TableMessage, ComesBackAsItWas) {
  column::TableSchema schema;
  schema.tenant = "acme";
  schema.name = "quotes";
  schema.columns = {{ColumnId(1), "bid", {column::TypeKind::kDecimal, 4}, true},
                    {ColumnId(2), "venue", {column::TypeKind::kSymbol}, false}};
  schema.series = {1};
  schema.seq = column::SeqMode::kAssigned;
  schema.hot_retain = Duration::Hours(3);
  schema.hot_memory_bytes = 5u << 20;
  schema.durability = column::Durability::kProcess;
  v1::Table message;
  EncodeTable(schema, &message);
  const StatusOr<column::TableSchema> back = DecodeTable(message);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, schema);
}

TEST(TableMessage, StandardsAndDefects) {
  v1::Table message;
  message.set_name("quotes");
  StatusOr<column::TableSchema> schema = DecodeTable(message);
  ASSERT_TRUE(schema.ok());
  EXPECT_EQ(schema->tenant, "default");
  EXPECT_EQ(schema->seq, column::SeqMode::kProducer);
  EXPECT_EQ(schema->hot_retain, Duration::Hours(24));
  EXPECT_EQ(schema->durability, column::Durability::kSync);

  message.add_series("venue");
  EXPECT_THAT(DecodeTable(message).status().ToString(),
              HasSubstr("table quotes: series column venue is not declared"));
  message.clear_series();
  message.set_hot_retain_ns(-1);
  EXPECT_THAT(DecodeTable(message).status().ToString(), HasSubstr("-1 ns is negative"));
  message.set_hot_retain_ns(0);
  message.set_durability(static_cast<v1::Durability>(9));
  EXPECT_THAT(DecodeTable(message).status().ToString(),
              HasSubstr("table quotes: durability 9 is not known"));
  message.clear_durability();
  message.set_seq(static_cast<v1::SeqMode>(9));
  EXPECT_THAT(DecodeTable(message).status().ToString(), HasSubstr("seq mode 9 is not known"));
  message.clear_seq();
  message.add_columns()->set_name("bid");
  EXPECT_THAT(DecodeTable(message).status().ToString(),
              HasSubstr("table quotes: column bid: type kind 0 is not known"));
}

}  // namespace
}  // namespace proxist::api
