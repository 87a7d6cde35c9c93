// Queries of many kinds on one stream, over a real socket and a real node.
#include "proxist/client/query_stream.h"

#include <algorithm>
#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "proxist/server/grpc_server.h"

namespace proxist::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kRows = 60'000;

class QueryStreamTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ =
        std::filesystem::temp_directory_path() / fmt::format("proxist_stream_{}", getpid());
    std::filesystem::remove_all(directory_);
    server::NodeOptions options;
    options.data_directory = directory_.string();
    options.history = "none";
    options.shards = 2;
    auto node = server::Node::Open(options);
    ASSERT_TRUE(node.ok()) << node.status();
    node_ = std::move(*node);
    server::GrpcServerOptions served;
    served.address = {"127.0.0.1", 0};
    auto server = server::GrpcServer::Start(served, node_.get(), &metrics_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(*server);
    client_ = std::make_unique<Client>(server::Format(server_->address()));
    Fill();
    stream_ = client_->OpenQueryStream();
  }
  void TearDown() override {
    stream_.reset();
    client_.reset();
    server_.reset();
    node_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Fill() {
    column::TableSchema declared;
    declared.name = "ticks";
    declared.columns = {{ColumnId(1), "price", {column::TypeKind::kInt64, 0}, false}};
    const auto schema = node_->ApplyTable(declared, "test");
    ASSERT_TRUE(schema.ok()) << schema.status();
    column::BatchBuilder builder(*schema);
    for (int64_t i = 0; i < kRows; ++i) {
      builder.AddRow(fmt::format("S{}", i % 10), Timestamp(i), static_cast<uint64_t>(i));
      builder.SetInt(0, i);
    }
    ASSERT_TRUE(client_->Write("", {}, builder.Build()).ok());
  }

  static query::Plan LastOf(int64_t symbol, int64_t at) {
    query::LastBy op;
    op.from.table = "ticks";
    op.from.symbols = {fmt::format("S{}", symbol)};
    op.at = Timestamp(at);
    return {.op = std::move(op), .limit = {}};
  }
  static query::Plan AllRows() {
    query::Range op;
    op.from.table = "ticks";
    return {.op = std::move(op), .limit = {}};
  }

  struct Found {
    EndedQuery ended;
    std::vector<int64_t> prices;
  };
  Found Next() {
    Found found;
    const auto ended = stream_->Next([&](std::span<const api::NamedView> columns, size_t rows) {
      for (size_t row = 0; row < rows; ++row) {
        found.prices.push_back(columns.back().view.At<int64_t>(row));
      }
      return OkStatus();
    });
    EXPECT_TRUE(ended.ok()) << ended.status();
    EXPECT_TRUE(ended.ok() && ended->has_value()) << "the stream ended";
    if (ended.ok() && ended->has_value()) found.ended = **ended;
    return found;
  }

  observe::Metrics metrics_;
  std::filesystem::path directory_;
  std::unique_ptr<server::Node> node_;
  std::unique_ptr<server::GrpcServer> server_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<QueryStream> stream_;
};

TEST_F(QueryStreamTest, AnswersComeInOrderUnderTheirIds) {
  constexpr uint64_t kMessages = 12;
  constexpr uint64_t kEach = 50;
  std::thread writer([&] {
    for (uint64_t m = 0; m < kMessages; ++m) {
      std::vector<StreamedQuery> queries;
      for (uint64_t i = 0; i < kEach; ++i) {
        const auto n = static_cast<int64_t>(m * kEach + i);
        queries.push_back({1000 + m * kEach + i, LastOf(n % 10, n * 10 + 9), {}});
      }
      EXPECT_TRUE(stream_->Send(queries).ok());
    }
    EXPECT_TRUE(stream_->Close().ok());
  });
  for (uint64_t i = 0; i < kMessages * kEach; ++i) {
    const Found found = Next();
    EXPECT_EQ(found.ended.id, 1000 + i);
    EXPECT_TRUE(found.ended.status.ok()) << found.ended.status;
    const auto n = static_cast<int64_t>(i);
    EXPECT_THAT(found.prices, ElementsAre(n * 10 + n % 10));
  }
  writer.join();
  const auto end = stream_->Next([](const auto&, size_t) { return OkStatus(); });
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_FALSE(end->has_value());
}

TEST_F(QueryStreamTest, LongAndFailingOnesKeepTheirPlace) {
  query::Plan unknown = LastOf(1, 5);
  std::get<query::LastBy>(unknown.op).from.table = "nothing";
  query::Plan empty = LastOf(1, 5);
  std::get<query::LastBy>(empty.op).from.symbols = {"NOBODY"};
  const std::vector<StreamedQuery> queries = {{1, LastOf(3, 100), {}}, {2, AllRows(), {}},
                                              {3, unknown, {}},        {4, empty, {}},
                                              {4, AllRows(), {}},      {5, LastOf(4, 100), {}}};
  ASSERT_TRUE(stream_->Send(queries).ok());
  EXPECT_THAT(Next().prices, ElementsAre(93));
  std::vector<int64_t> all = Next().prices;
  ASSERT_EQ(all.size(), static_cast<size_t>(kRows));
  std::sort(all.begin(), all.end());
  for (int64_t i = 0; i < kRows; ++i) ASSERT_EQ(all[static_cast<size_t>(i)], i);
  const Found failed = Next();
  EXPECT_EQ(failed.ended.id, 3u);
  EXPECT_EQ(failed.ended.status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(Message(failed.ended.status)), HasSubstr("nothing"));
  EXPECT_TRUE(Next().prices.empty());
  const Found again = Next();
  EXPECT_EQ(again.ended.id, 4u);
  EXPECT_EQ(again.prices.size(), static_cast<size_t>(kRows));
  EXPECT_THAT(Next().prices, ElementsAre(94));
}

TEST_F(QueryStreamTest, AQueryIsCancelledOrTooLateByItself) {
  // The long answers fill what the connection holds, so that the ones behind them wait.
  std::vector<StreamedQuery> queries(20, {1, AllRows(), {}});
  queries.push_back({2, LastOf(1, 100), Duration(1)});
  queries.push_back({3, AllRows(), {}});
  queries.push_back({4, LastOf(2, 100), {}});
  ASSERT_TRUE(stream_->Send(queries).ok());
  const uint64_t id = 3;
  ASSERT_TRUE(stream_->Cancel({&id, 1}).ok());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Next().prices.size(), static_cast<size_t>(kRows));
  EXPECT_EQ(Next().ended.status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Next().ended.status.code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(Next().prices, ElementsAre(92));
}

TEST_F(QueryStreamTest, EndsWithItsClientAndWithTheServer) {
  std::vector<StreamedQuery> queries(50, {1, AllRows(), {}});
  ASSERT_TRUE(stream_->Send(queries).ok());
  EXPECT_EQ(Next().prices.size(), static_cast<size_t>(kRows));
  stream_ = client_->OpenQueryStream();  // the one before goes, unread
  ASSERT_TRUE(stream_->Send(queries).ok());
  EXPECT_EQ(Next().prices.size(), static_cast<size_t>(kRows));
  server_.reset();
  const auto drop = [](const auto&, size_t) { return OkStatus(); };
  StatusOr<std::optional<EndedQuery>> ended = stream_->Next(drop);
  while (ended.ok()) ended = stream_->Next(drop);
  EXPECT_FALSE(ended.ok());
}

TEST_F(QueryStreamTest, TooManyInOneMessageAreRefused) {
  const std::vector<StreamedQuery> queries(257, {1, LastOf(1, 100), {}});
  ASSERT_TRUE(stream_->Send(queries).ok());
  const auto ended = stream_->Next([](const auto&, size_t) { return OkStatus(); });
  EXPECT_EQ(ended.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(Message(ended.status())), HasSubstr("257 queries in one message"));
}

}  // namespace
}  // namespace proxist::client
