// The gRPC services over a real socket and a real node without history.
#include "proxist/server/grpc_server.h"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "proxist/api/column_message.h"
#include "proxist/api/rpc_status.h"
#include "proxist/api/write_request.h"
#include "proxist/v1/proxist.grpc.pb.h"

namespace proxist::server {
namespace {

using grpc::StatusCode;
using testing::HasSubstr;

constexpr uint64_t kMaxMessage = 1u << 20;
constexpr size_t kUnackedBatches = 4;
constexpr std::chrono::minutes kLongEnough(5);

class GrpcServerTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::temp_directory_path() / fmt::format("proxist_grpc_{}", getpid());
    std::filesystem::remove_all(directory_);
    NodeOptions options;
    options.data_directory = directory_.string();
    options.history = "none";
    options.shards = 2;
    auto node = Node::Open(options);
    ASSERT_TRUE(node.ok()) << node.status();
    node_ = std::move(*node);
    Serve({});
    ApplyTable();
  }
  void TearDown() override {
    server_.reset();
    node_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Serve(GrpcServerOptions options) {
    server_.reset();
    options.address = {"127.0.0.1", 0};
    options.max_message_bytes = kMaxMessage;
    options.stream_unacked_batches = kUnackedBatches;
    auto server = GrpcServer::Start(options, node_.get(), &metrics_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(*server);
    grpc::ChannelArguments arguments;
    arguments.SetMaxSendMessageSize(-1);
    channel_ = grpc::CreateCustomChannel(Format(server_->address()),
                                         grpc::InsecureChannelCredentials(), arguments);
  }

  void ApplyTable(v1::Durability durability = v1::DURABILITY_UNSPECIFIED) {
    v1::ApplyTableRequest request;
    v1::Table* table = request.mutable_table();
    table->set_name("ticks");
    table->set_durability(durability);
    v1::ColumnDef* price = table->add_columns();
    price->set_name("price");
    price->mutable_type()->set_kind(v1::TYPE_KIND_FLOAT64);
    v1::ApplyTableResponse response;
    grpc::ClientContext context;
    const grpc::Status status =
        v1::Admin::NewStub(channel_)->ApplyTable(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(response.changed());
    schema_ = *node_->catalog().Find("default", "ticks");
  }

  /// Rows with ts and seq first, first+1...
  [[nodiscard]] v1::WriteRequest Batch(int64_t first, size_t rows, uint64_t number = 0) const {
    column::BatchBuilder builder(schema_);
    for (size_t i = 0; i < rows; ++i) {
      const int64_t at = first + static_cast<int64_t>(i);
      builder.AddRow(fmt::format("S{}", i % 10), Timestamp(at), static_cast<uint64_t>(at));
      builder.SetFloat(0, static_cast<double>(at));
    }
    v1::WriteRequest request;
    api::EncodeWriteRequest(builder.Build(), &request);
    if (number != 0) request.set_producer("p");
    request.set_batch_number(number);
    return request;
  }

  grpc::Status Write(const v1::WriteRequest& request, v1::WriteResponse* response) {
    grpc::ClientContext context;
    return v1::Ingest::NewStub(channel_)->Write(&context, request, response);
  }

  struct Answer {
    grpc::Status status;
    uint64_t rows = 0;
    size_t messages = 0;
    v1::QueryResponse last;
    std::vector<double> prices;
  };
  Answer Ask(const v1::QueryRequest& request, std::chrono::milliseconds timeout = kLongEnough) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + timeout);
    const auto stub = v1::Query::NewStub(channel_);
    const auto reader = stub->Run(&context, request);
    Answer answer;
    v1::QueryResponse response;
    while (reader->Read(&response)) {
      ++answer.messages;
      answer.rows += response.rows();
      const auto views = api::DecodeAnswer(response);
      EXPECT_TRUE(views.ok()) << views.status();
      for (const api::NamedView& column : *views) {
        if (column.name != "price") continue;
        for (size_t row = 0; row < response.rows(); ++row) {
          answer.prices.push_back(column.view.At<double>(row));
        }
      }
      answer.last = response;
    }
    answer.status = reader->Finish();
    return answer;
  }
  /// A stream that asks one query again and again, under ids from 0 on.
  class Asking {
   public:
    Asking(v1::Query::Stub* stub, v1::QueryRequest query)
        : query_(std::move(query)), stream_(stub->RunStream(&context_)) {}
    bool Ask(uint64_t queries) {
      v1::QueryStreamRequest request;
      for (uint64_t i = 0; i < queries; ++i) {
        v1::StreamedQuery* query = request.add_queries();
        query->set_id(asked_++);
        *query->mutable_query() = query_;
      }
      return stream_->Write(request);
    }
    /// Reads until `waiting` queries at most have no whole answer.
    void ReadDownTo(uint64_t waiting) {
      v1::QueryStreamResponse response;
      while (asked_ - ended_ > waiting && stream_->Read(&response)) {
        for (const v1::StreamedAnswer& answer : response.answers()) {
          EXPECT_EQ(answer.id(), ended_);
          EXPECT_EQ(answer.code(), 0u) << answer.message();
          rows_ += answer.answer().rows();
          if (answer.last()) ++ended_;
        }
      }
    }
    /// Every query had one row.
    void End() {
      stream_->WritesDone();
      ReadDownTo(0);
      EXPECT_TRUE(stream_->Finish().ok());
      EXPECT_EQ(ended_, asked_);
      EXPECT_EQ(rows_, asked_);
    }

   private:
    const v1::QueryRequest query_;
    grpc::ClientContext context_;
    std::unique_ptr<grpc::ClientReaderWriter<v1::QueryStreamRequest, v1::QueryStreamResponse>>
        stream_;
    uint64_t asked_ = 0;
    uint64_t ended_ = 0;
    uint64_t rows_ = 0;
  };
  static v1::QueryRequest LastOf(const std::string& symbol) {
    v1::QueryRequest request;
    request.mutable_last_by()->mutable_from()->set_table("ticks");
    request.mutable_last_by()->mutable_from()->add_symbols(symbol);
    return request;
  }
  static v1::QueryRequest RangeOf(const std::string& symbol) {
    v1::QueryRequest request;
    request.mutable_range()->mutable_from()->set_table("ticks");
    if (!symbol.empty()) request.mutable_range()->mutable_from()->add_symbols(symbol);
    return request;
  }

  observe::Metrics metrics_;
  std::filesystem::path directory_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  column::SchemaPtr schema_;
};

TEST_F(GrpcServerTest, AnAckSaysHowDurableTheBatchIs) {
  for (const auto durability : {v1::DURABILITY_PROCESS, v1::DURABILITY_SYNC}) {
    ApplyTable(durability);
    v1::WriteResponse ack;
    ASSERT_TRUE(Write(Batch(1000, 20), &ack).ok());
    EXPECT_EQ(ack.durability(), durability);
  }
}

TEST_F(GrpcServerTest, WhatIsWrittenIsRead) {
  v1::WriteResponse ack;
  const grpc::Status status = Write(Batch(1000, 20, 1), &ack);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(ack.batch_number(), 1u);
  EXPECT_EQ(ack.rows(), 20u);
  EXPECT_EQ(ack.durability(), v1::DURABILITY_SYNC);
  EXPECT_FALSE(ack.duplicate());
  EXPECT_GE(ack.ranges_size(), 1);

  v1::QueryRequest request = RangeOf("S3");
  request.set_explain(true);
  request.add_read_at_least(ack.token());
  const Answer answer = Ask(request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_THAT(answer.prices, testing::ElementsAre(1003, 1013));
  EXPECT_EQ(answer.messages, 1u) << "a small answer is one message";
  EXPECT_TRUE(answer.last.has_explain());

  v1::WriteResponse again;
  ASSERT_TRUE(Write(Batch(1000, 20, 1), &again).ok());
  EXPECT_TRUE(again.duplicate());
  EXPECT_EQ(Ask(RangeOf("")).rows, 20u);
}

TEST_F(GrpcServerTest, AnEmptyAnswerHasItsColumns) {
  const Answer answer = Ask(RangeOf("NOBODY"));
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.rows, 0u);
  EXPECT_EQ(answer.messages, 1u);
  ASSERT_EQ(answer.last.columns_size(), 4);
  EXPECT_EQ(answer.last.columns(0).name(), "symbol");
  EXPECT_EQ(answer.last.columns(3).name(), "price");
  EXPECT_FALSE(answer.last.has_explain());
}

TEST_F(GrpcServerTest, LargeAnswersComeInMessagesThatClientsTake) {
  std::vector<double> expected;
  for (int64_t batch = 0; batch < 10; ++batch) {
    v1::WriteRequest request = Batch(batch * 20'000, 20'000);
    v1::WriteResponse ack;
    const grpc::Status status = Write(request, &ack);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  const Answer answer = Ask(RangeOf(""));
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.rows, 200'000u);
  EXPECT_GT(answer.messages, 4u);
  for (int64_t symbol = 0; symbol < 10; ++symbol) {
    for (int64_t at = symbol; at < 200'000; at += 10) expected.push_back(static_cast<double>(at));
  }
  EXPECT_TRUE(answer.prices == expected);
}

TEST_F(GrpcServerTest, PointLookupsOfAnySize) {
  v1::ApplyTableRequest declare;
  v1::Table* table = declare.mutable_table();
  table->set_name("notes");
  table->add_series("venue");
  for (const auto& [name, kind] :
       {std::pair{"venue", v1::TYPE_KIND_SYMBOL}, std::pair{"text", v1::TYPE_KIND_STRING}}) {
    v1::ColumnDef* column = table->add_columns();
    column->set_name(name);
    column->mutable_type()->set_kind(kind);
  }
  v1::ApplyTableResponse declared;
  grpc::ClientContext context;
  ASSERT_TRUE(v1::Admin::NewStub(channel_)->ApplyTable(&context, declare, &declared).ok());
  schema_ = *node_->catalog().Find("default", "notes");
  v1::QueryRequest request;
  request.mutable_last_by()->mutable_from()->set_table("notes");
  request.mutable_last_by()->mutable_from()->add_symbols("S");
  request.mutable_last_by()->add_by("venue");
  // The first answer fits one message, the last takes several.
  for (int venue = 0; venue < 8; ++venue) {
    column::BatchBuilder builder(schema_);
    builder.AddRow("S", Timestamp(1), 1);
    builder.SetText(0, fmt::format("V{}", venue));
    builder.SetText(1, std::string(500'000, 'x'));
    v1::WriteRequest batch;
    api::EncodeWriteRequest(builder.Build(), &batch);
    v1::WriteResponse ack;
    ASSERT_TRUE(Write(batch, &ack).ok());
    const Answer answer = Ask(request);
    ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
    EXPECT_EQ(answer.rows, static_cast<uint64_t>(venue) + 1);
    EXPECT_EQ(answer.messages, static_cast<size_t>(venue) / 2 + 1);
  }
}

TEST_F(GrpcServerTest, RefusalsKeepTheirCodeAndMessage) {
  v1::WriteResponse ack;
  v1::WriteRequest unknown = Batch(0, 1);
  unknown.set_table("nothing");
  EXPECT_EQ(Write(unknown, &ack).error_code(), StatusCode::NOT_FOUND);
  v1::WriteRequest late = Batch(0, 2);
  late.mutable_columns(1)->mutable_values()->back() = '\x7f';
  const grpc::Status outside = Write(late, &ack);
  EXPECT_EQ(outside.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(outside.error_message(), HasSubstr("row 1, column 'ts'"));
  EXPECT_EQ(Write(Batch(0, 1, 5), &ack).error_code(), StatusCode::FAILED_PRECONDITION);
  v1::WriteRequest unnumbered = Batch(0, 1);
  unnumbered.set_producer("p");
  EXPECT_THAT(Write(unnumbered, &ack).error_message(), HasSubstr("batch numbers begin at 1"));
  v1::QueryRequest request = RangeOf("");
  request.add_read_at_least("garbage");
  EXPECT_EQ(Ask(request).status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Ask({}).status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Ask(RangeOf("")).rows, 0u) << "nothing of all that was written";
}

TEST_F(GrpcServerTest, OversizedAndBrokenMessages) {
  v1::WriteRequest huge = Batch(0, 1);
  huge.set_tenant(std::string(3 * kMaxMessage, 'x'));
  v1::WriteResponse ack;
  EXPECT_EQ(Write(huge, &ack).error_code(), StatusCode::RESOURCE_EXHAUSTED);

  grpc::ClientContext context;
  const grpc::Slice slice("\xff\xff\xff\xff broken");
  const grpc::ByteBuffer request(&slice, 1);
  grpc::ByteBuffer response;
  grpc::GenericStub stub(channel_);
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareUnaryCall(&context, "/proxist.v1.Ingest/Write", request, &queue);
  call->StartCall();
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("is no WriteRequest"));
}

TEST_F(GrpcServerTest, StreamedBatchesAreAckedInOrder) {
  constexpr uint64_t kBatches = 100;
  grpc::ClientContext context;
  const auto stub = v1::Ingest::NewStub(channel_);
  const auto stream = stub->WriteStream(&context);
  std::thread writer([&] {
    for (uint64_t i = 1; i <= kBatches; ++i) {
      EXPECT_TRUE(stream->Write(Batch(static_cast<int64_t>(i) * 100, 100, i)));
    }
    stream->WritesDone();
  });
  v1::WriteResponse ack;
  uint64_t acked = 0;
  while (stream->Read(&ack)) {
    EXPECT_EQ(ack.batch_number(), ++acked);
    EXPECT_EQ(ack.rows(), 100u);
  }
  writer.join();
  const grpc::Status status = stream->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(acked, kBatches);
  EXPECT_EQ(Ask(RangeOf("")).rows, kBatches * 100);
}

TEST_F(GrpcServerTest, ARefusedBatchEndsTheStreamAfterTheAcksBeforeIt) {
  grpc::ClientContext context;
  const auto stub = v1::Ingest::NewStub(channel_);
  const auto stream = stub->WriteStream(&context);
  ASSERT_TRUE(stream->Write(Batch(0, 10, 1)));
  ASSERT_TRUE(stream->Write(Batch(100, 10, 2)));
  v1::WriteRequest bad = Batch(200, 10, 3);
  bad.mutable_columns(0)->clear_values();
  ASSERT_TRUE(stream->Write(bad));
  v1::WriteResponse ack;
  uint64_t acked = 0;
  while (stream->Read(&ack)) EXPECT_EQ(ack.batch_number(), ++acked);
  EXPECT_EQ(acked, 2u);
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("the batch has no rows"));
}

TEST_F(GrpcServerTest, StreamsEndWithTheirClientAndWithTheServer) {
  const auto stub = v1::Ingest::NewStub(channel_);
  {
    grpc::ClientContext context;
    const auto stream = stub->WriteStream(&context);
    ASSERT_TRUE(stream->Write(Batch(0, 10, 1)));
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), StatusCode::CANCELLED);
  }
  grpc::ClientContext context;
  const auto stream = stub->WriteStream(&context);
  v1::WriteResponse ack;
  ASSERT_TRUE(stream->Write(Batch(500, 10)));
  ASSERT_TRUE(stream->Read(&ack));
  server_.reset();
  EXPECT_FALSE(stream->Read(&ack));
  EXPECT_FALSE(stream->Finish().ok());
}

TEST_F(GrpcServerTest, AClientsDeadlineHolds) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() - std::chrono::seconds(1));
  const auto stub = v1::Query::NewStub(channel_);
  const auto reader = stub->Run(&context, RangeOf(""));
  v1::QueryResponse response;
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_code(), StatusCode::DEADLINE_EXCEEDED);
}

TEST_F(GrpcServerTest, ShortQueriesDoNotWaitForLongOnes) {
  GrpcServerOptions options;
  options.query_threads = 1;
  options.max_waiting_queries = 4;
  Serve(options);
  v1::WriteResponse ack;
  for (int64_t first = 0; first < 1'000'000; first += 20'000) {
    ASSERT_TRUE(Write(Batch(first, 20'000), &ack).ok());
  }
  // Its answer, too long for what lies between them, waits for a client that does not read.
  const auto stub = v1::Query::NewStub(channel_);
  grpc::ClientContext unread_context;
  const auto unread = stub->Run(&unread_context, RangeOf(""));
  v1::QueryResponse response;
  ASSERT_TRUE(unread->Read(&response));
  // The next four wait behind it, all later ones are refused.
  StatusCode ended;
  do {
    ended = Ask(RangeOf(""), std::chrono::milliseconds(50)).status.error_code();
  } while (ended == StatusCode::DEADLINE_EXCEEDED);
  ASSERT_EQ(ended, StatusCode::RESOURCE_EXHAUSTED);
  // More at once than there are threads of gRPC for them.
  std::vector<std::thread> clients;
  for (int client = 0; client < 4; ++client) {
    clients.emplace_back([&, client] {
      const v1::QueryRequest last = LastOf(fmt::format("S{}", client));
      for (int i = 0; i < 200; ++i) {
        const Answer answer = Ask(last);
        ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
        EXPECT_EQ(answer.rows, 1u);
      }
      Asking stream(stub.get(), last);
      for (int i = 0; i < 200; ++i) {
        ASSERT_TRUE(stream.Ask(1));
        stream.ReadDownTo(0);
      }
      stream.End();
    });
  }
  for (std::thread& client : clients) client.join();
  // One that only its answer shows to be long is refused as such.
  const grpc::Status long_one = Ask(RangeOf("S1")).status;
  EXPECT_EQ(long_one.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(long_one.error_message(), HasSubstr("1 queries run and 4 wait already"));
  unread_context.TryCancel();
}

TEST_F(GrpcServerTest, ManyBusyStreamsAndCallsBesideThem) {
  v1::WriteResponse ack;
  ASSERT_TRUE(Write(Batch(0, 20), &ack).ok());
  const v1::QueryRequest last = LastOf("S1");
  const auto stub = v1::Query::NewStub(channel_);
  std::atomic<bool> enough = false;
  std::vector<std::thread> streams;
  for (size_t i = 0; i < ShortQueryThreads() + 2; ++i) {
    streams.emplace_back([&] {
      Asking stream(stub.get(), last);
      while (!enough && stream.Ask(64)) stream.ReadDownTo(1024);
      stream.End();
    });
  }
  for (int i = 0; i < 50; ++i) {
    const Answer answer = Ask(last);
    EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
  }
  enough = true;
  for (std::thread& stream : streams) stream.join();
}

TEST_F(GrpcServerTest, StatusTablesAndEcho) {
  const auto stub = v1::Admin::NewStub(channel_);
  {
    grpc::ClientContext context;
    v1::StatusResponse status;
    ASSERT_TRUE(stub->GetStatus(&context, {}, &status).ok());
    EXPECT_EQ(status.tables_size(), 1);
    EXPECT_EQ(status.shards_size(), 2);
    EXPECT_EQ(status.history().kind(), "none");
  }
  {
    grpc::ClientContext context;
    v1::ListTablesResponse tables;
    ASSERT_TRUE(stub->ListTables(&context, {}, &tables).ok());
    ASSERT_EQ(tables.tables_size(), 1);
    EXPECT_EQ(tables.tables(0).name(), "ticks");
  }
  {
    grpc::ClientContext context;
    v1::EchoRequest request;
    request.set_payload("abc");
    request.set_response_bytes(5);
    v1::EchoResponse response;
    ASSERT_TRUE(stub->Echo(&context, request, &response).ok());
    EXPECT_EQ(response.payload(), std::string("abc\0\0", 5));
  }
  {
    grpc::ClientContext context;
    v1::FlushRequest request;
    request.set_wait(true);
    v1::FlushResponse response;
    EXPECT_EQ(stub->Flush(&context, request, &response).error_code(),
              StatusCode::FAILED_PRECONDITION);
  }
}

TEST_F(GrpcServerTest, APortInUseIsAnError) {
  GrpcServerOptions options;
  options.address = server_->address();
  const Status status = GrpcServer::Start(options, node_.get(), &metrics_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(Message(status)), HasSubstr("is in use by another process"));
}

}  // namespace
}  // namespace proxist::server
