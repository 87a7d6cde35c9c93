// A stream of batches against servers that ack, refuse, and go away.
#include "proxist/client/write_stream.h"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include "proxist/client/client.h"
#include "proxist/v1/proxist.grpc.pb.h"

namespace proxist::client {
namespace {

using ::testing::HasSubstr;
using Stream = grpc::ServerReaderWriter<v1::WriteResponse, v1::WriteRequest>;

// Keeps the numbers that it has applied, as a shard does; `fault` decides about each batch that
// arrives, by how many have arrived before.
class FakeIngest final : public v1::Ingest::Service {
 public:
  enum class Fault { kNone, kLoseAck, kDropBatch, kRefuse, kFull, kWrongAck };

  grpc::Status WriteStream(grpc::ServerContext* /*context*/, Stream* stream) override {
    ++streams;
    v1::WriteRequest request;
    while (stream->Read(&request)) {
      const Fault fault = fault_of(arrived++);
      if (fault == Fault::kDropBatch) return {grpc::StatusCode::UNAVAILABLE, "going away"};
      if (fault == Fault::kFull) return {grpc::StatusCode::RESOURCE_EXHAUSTED, "backlog"};
      if (fault == Fault::kRefuse) return {grpc::StatusCode::INVALID_ARGUMENT, "row 3: bad"};
      v1::WriteResponse response;
      response.set_batch_number(request.batch_number() + (fault == Fault::kWrongAck ? 1 : 0));
      {
        const std::lock_guard<std::mutex> lock(mutex);
        response.set_duplicate(request.batch_number() <= applied.size());
        if (request.batch_number() > applied.size() + 1) {
          return {grpc::StatusCode::FAILED_PRECONDITION, "a gap"};
        }
        if (!response.duplicate()) applied.push_back(request.columns(0).values());
      }
      if (fault == Fault::kLoseAck) return {grpc::StatusCode::UNAVAILABLE, "ack lost"};
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  std::function<Fault(uint64_t)> fault_of = [](uint64_t) { return Fault::kNone; };
  std::atomic<uint64_t> arrived{0};
  std::atomic<uint64_t> streams{0};
  std::mutex mutex;
  std::vector<std::string> applied;  // the first column's bytes of each batch
};

class WriteStreamTest : public ::testing::Test {
 protected:
  void SetUp() override {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&ingest_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    address_ = "127.0.0.1:" + std::to_string(port);
    client_ = std::make_unique<Client>(address_);
    column::TableSchema schema;
    schema.name = "t";
    schema_ = std::make_shared<const column::TableSchema>(schema);
  }
  void TearDown() override {
    client_.reset();
    server_->Shutdown(std::chrono::system_clock::now());
  }

  column::Batch BatchOf(uint64_t n) const {
    column::BatchBuilder builder(schema_);
    for (uint64_t i = 0; i <= n % 3; ++i) builder.AddRow("S", Timestamp(1), n * 10 + i);
    return builder.Build();
  }

  std::unique_ptr<WriteStream> Open(Duration retry_for = Duration::Seconds(20),
                                    size_t max_in_flight = 4) {
    return client_->OpenWriteStream({.producer = "p",
                                     .max_in_flight = max_in_flight,
                                     .retry_for = retry_for,
                                     .on_ack = [this](const WriteAck& ack) {
                                       numbers_.push_back(ack.number.value());
                                       duplicates_ += ack.duplicate ? 1 : 0;
                                     }});
  }

  FakeIngest ingest_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  std::unique_ptr<Client> client_;
  column::SchemaPtr schema_;
  std::vector<uint64_t> numbers_;
  uint64_t duplicates_ = 0;
};

TEST_F(WriteStreamTest, AcksComeInOrder) {
  const auto stream = Open();
  for (uint64_t n = 0; n < 50; ++n) ASSERT_TRUE(stream->Send(BatchOf(n)).ok());
  ASSERT_TRUE(stream->Finish().ok());
  ASSERT_EQ(numbers_.size(), 50U);
  for (uint64_t n = 0; n < 50; ++n) EXPECT_EQ(numbers_[n], n + 1);
  EXPECT_EQ(stream->acked(), BatchNumber(50));
  EXPECT_EQ(stream->reconnects(), 0U);
  EXPECT_EQ(ingest_.applied.size(), 50U);
}

TEST_F(WriteStreamTest, GoesOnAfterWaitingForAcks) {
  ingest_.fault_of = [](uint64_t arrived) {
    return arrived == 2 ? FakeIngest::Fault::kLoseAck : FakeIngest::Fault::kNone;
  };
  const auto stream = Open();
  EXPECT_TRUE(stream->AwaitAcks().ok());
  for (uint64_t n = 0; n < 9; ++n) {
    ASSERT_TRUE(stream->Send(BatchOf(n)).ok());
    if (n % 3 != 2) continue;
    ASSERT_TRUE(stream->AwaitAcks().ok());
    EXPECT_EQ(stream->acked(), BatchNumber(n + 1));
    EXPECT_EQ(numbers_.size(), n + 1);
  }
  ASSERT_TRUE(stream->Finish().ok());
  EXPECT_EQ(ingest_.applied.size(), 9U);
  EXPECT_EQ(stream->reconnects(), 1U);
}

TEST_F(WriteStreamTest, NothingIsAwaitedOfALostServerThatAckedAll) {
  const auto stream = Open(Duration::Millis(1));
  ASSERT_TRUE(stream->Send(BatchOf(0)).ok());
  ASSERT_TRUE(stream->AwaitAcks().ok());
  server_->Shutdown(std::chrono::system_clock::now());
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // longer than it would retry
  EXPECT_TRUE(stream->AwaitAcks().ok());
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(stream->reconnects(), 0U);
}

TEST_F(WriteStreamTest, NothingSentIsNothingToFinish) { EXPECT_TRUE(Open()->Finish().ok()); }

TEST_F(WriteStreamTest, LostConnectionsLoseAndDoubleNothing) {
  ingest_.fault_of = [](uint64_t arrived) {
    if (arrived == 5 || arrived == 11) return FakeIngest::Fault::kLoseAck;
    if (arrived == 7 || arrived == 8 || arrived == 20) return FakeIngest::Fault::kDropBatch;
    return FakeIngest::Fault::kNone;
  };
  const auto stream = Open();
  for (uint64_t n = 0; n < 20; ++n) {
    const Status sent = stream->Send(BatchOf(n));
    ASSERT_TRUE(sent.ok()) << sent;
  }
  const Status finished = stream->Finish();
  ASSERT_TRUE(finished.ok()) << finished;
  ASSERT_EQ(numbers_.size(), 20U);
  for (uint64_t n = 0; n < 20; ++n) EXPECT_EQ(numbers_[n], n + 1);
  EXPECT_EQ(ingest_.applied.size(), 20U);
  EXPECT_GE(duplicates_, 2U);
  EXPECT_EQ(stream->reconnects(), 5U);
}

TEST_F(WriteStreamTest, AFullServerIsTriedAgain) {
  ingest_.fault_of = [](uint64_t arrived) {
    return arrived < 2 ? FakeIngest::Fault::kFull : FakeIngest::Fault::kNone;
  };
  const auto stream = Open();
  ASSERT_TRUE(stream->Send(BatchOf(0)).ok());
  ASSERT_TRUE(stream->Finish().ok());
  EXPECT_EQ(stream->reconnects(), 2U);
}

TEST_F(WriteStreamTest, ARefusedBatchEndsTheStream) {
  ingest_.fault_of = [](uint64_t arrived) {
    return arrived == 3 ? FakeIngest::Fault::kRefuse : FakeIngest::Fault::kNone;
  };
  const auto stream = Open();
  Status status;
  for (uint64_t n = 0; n < 100 && status.ok(); ++n) status = stream->Send(BatchOf(n));
  if (status.ok()) status = stream->Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Message(status), "row 3: bad");
  EXPECT_EQ(stream->acked(), BatchNumber(3));
  EXPECT_EQ(stream->Send(BatchOf(9)), status);
  EXPECT_EQ(stream->Finish(), status);
  EXPECT_EQ(stream->reconnects(), 0U);
}

TEST_F(WriteStreamTest, GivesUpWithoutProgress) {
  ingest_.fault_of = [](uint64_t) { return FakeIngest::Fault::kDropBatch; };
  const auto stream = Open(Duration::Millis(60));
  Status status = stream->Send(BatchOf(0));
  if (status.ok()) status = stream->Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(Message(status)), HasSubstr(address_));
  EXPECT_EQ(stream->acked(), BatchNumber(0));
}

TEST_F(WriteStreamTest, AckOfAnotherBatchIsAnError) {
  ingest_.fault_of = [](uint64_t) { return FakeIngest::Fault::kWrongAck; };
  const auto stream = Open();
  Status status = stream->Send(BatchOf(0));
  if (status.ok()) status = stream->Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
}

TEST_F(WriteStreamTest, MayBeLeftUnfinished) {
  const auto stream = Open();
  ASSERT_TRUE(stream->Send(BatchOf(0)).ok());
}

TEST(Client, SaysWhichServerIsAway) {
  Client client("127.0.0.1:1");
  const auto tables = client.Tables("default");
  EXPECT_EQ(tables.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(Message(tables.status())), HasSubstr("server 127.0.0.1:1: "));
}

}  // namespace
}  // namespace proxist::client
