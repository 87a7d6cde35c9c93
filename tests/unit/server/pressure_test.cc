// A node with a memory limit far below what is written to it: nothing is lost, memory stays
// bounded, what cannot be taken is refused whole and taken when it comes again.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <future>
#include <map>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "proxist/server/node.h"

namespace proxist::server {
namespace {

using testing::HasSubstr;

constexpr uint64_t kLimit = 8ull << 20;
constexpr size_t kRows = 2000;
constexpr size_t kSymbols = 20;

class PressureTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::temp_directory_path() / fmt::format("proxist_press_{}", getpid());
    std::filesystem::remove_all(directory_);
  }
  void TearDown() override {
    node_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Open(uint64_t limit, const std::string& history = "none", uint64_t table_limit = 0) {
    node_.reset();
    NodeOptions options;
    options.data_directory = directory_.string();
    options.history = history;
    options.shards = 2;
    options.memory_limit_bytes = limit;
    auto node = Node::Open(options);
    ASSERT_TRUE(node.ok()) << node.status();
    node_ = std::move(*node);
    column::TableSchema table;
    table.name = "ticks";
    table.columns = {{ColumnId(0), "price", {column::TypeKind::kInt64, 0}, false},
                     {ColumnId(0), "note", {column::TypeKind::kString, 0}, true}};
    table.hot_memory_bytes = table_limit;
    const auto applied = node_->ApplyTable(table, "test");
    ASSERT_TRUE(applied.ok()) << applied.status();
    schema_ = *applied;
  }

  column::Batch Batch(uint64_t number) const {
    column::BatchBuilder builder(schema_);
    for (size_t i = 0; i < kRows; ++i) {
      const uint64_t at = number * kRows + i;
      builder.AddRow(fmt::format("S{}", i % kSymbols), Timestamp(static_cast<int64_t>(at)), at);
      builder.SetInt(0, static_cast<int64_t>(at * 7));
      if (at % 3 != 0) builder.SetText(1, fmt::format("note {}", at));
    }
    return builder.Build();
  }
  Status Send(uint64_t number) {
    std::promise<WriteResult> done;
    node_->Write({"p", BatchNumber(number), Batch(number)},
                 [&](WriteResult result) { done.set_value(std::move(result)); });
    return done.get_future().get().status;
  }
  /// Sends again what is refused for want of memory; how often it was.
  uint64_t SendAll(uint64_t first, uint64_t last, const std::string& limit = "--memory-limit-mb") {
    uint64_t refused = 0;
    for (uint64_t number = first; number <= last; ++number) {
      Status sent = Send(number);
      for (; absl::IsResourceExhausted(sent); sent = Send(number)) {
        ++refused;
        EXPECT_THAT(sent.ToString(), HasSubstr(limit));
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
      EXPECT_TRUE(sent.ok()) << sent;
      if (!sent.ok()) break;
      greatest_use_ = std::max(greatest_use_, node_->State().memory.used_bytes);
    }
    return refused;
  }
  /// Every row in memory or files is what was sent; how many there are.
  uint64_t CheckRows() {
    uint64_t rows = 0;
    const query::Plan plan{query::Range{.from = {.table = "ticks"}}, std::nullopt};
    const Status status = node_->engine().Run(
        plan, {},
        [&](query::ResultBatch batch) {
          const auto* at = batch.columns[1].column.data<int64_t>();
          const auto* price = batch.columns[3].column.data<int64_t>();
          const auto* note = batch.columns[4].column.data<std::string_view>();
          for (size_t row = 0; row < batch.rows(); ++row, ++rows) {
            EXPECT_EQ(price[row], at[row] * 7);
            EXPECT_EQ(batch.columns[4].column.IsValid(row), at[row] % 3 != 0);
            if (at[row] % 3 == 0) continue;
            EXPECT_EQ(note[row], fmt::format("note {}", at[row]));
          }
          return OkStatus();
        },
        nullptr);
    EXPECT_TRUE(status.ok()) << status;
    return rows;
  }

  std::filesystem::path directory_;
  std::unique_ptr<Node> node_;
  column::SchemaPtr schema_;
  uint64_t greatest_use_ = 0;
};

TEST_F(PressureTest, WithoutHistoryChunksSpillAndEveryRowIsThere) {
  Open(kLimit);
  constexpr uint64_t kBatches = 250;
  SendAll(1, kBatches);
  const MemoryState memory = node_->State().memory;
  EXPECT_GT(memory.spilled_chunks, 0u);
  EXPECT_GT(memory.spilled_bytes, kLimit);
  EXPECT_GT(memory.pressure.spilled_bytes, 0u);
  EXPECT_EQ(memory.pressure.evicted_rows, 0u);
  EXPECT_EQ(memory.pressure.last_error, "");
  // What was queued when it was admitted may pass the limit by a little.
  EXPECT_LT(greatest_use_, kLimit + kLimit / 4);
  EXPECT_EQ(CheckRows(), kBatches * kRows);

  Open(kLimit);
  EXPECT_GT(node_->State().memory.spilled_chunks, 0u);
  // Rows of the log come back to memory first.
  const auto late = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (node_->State().memory.used_bytes >= kLimit && std::chrono::steady_clock::now() < late) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_LT(node_->State().memory.used_bytes, kLimit);
  EXPECT_EQ(CheckRows(), kBatches * kRows);
  SendAll(kBatches + 1, kBatches + 20);
  EXPECT_EQ(CheckRows(), (kBatches + 20) * kRows);
  SendAll(5, 5);  // a duplicate
  EXPECT_EQ(CheckRows(), (kBatches + 20) * kRows);
}

TEST_F(PressureTest, ABacklogThatCannotGoIsRefusedWholeAndComesAgain) {
  Open(kLimit, "http://127.0.0.1:9");
  uint64_t number = 1;
  Status sent;
  for (; number < 1000; ++number) {
    sent = Send(number);
    if (!sent.ok()) break;
  }
  ASSERT_TRUE(absl::IsResourceExhausted(sent)) << sent;
  EXPECT_THAT(sent.ToString(), HasSubstr(std::to_string(kLimit)));
  EXPECT_THAT(sent.ToString(), HasSubstr("retry"));
  const uint64_t rows = (number - 1) * kRows;
  EXPECT_EQ(CheckRows(), rows);
  // The refused number is still the next one.
  const Status after = Send(number + 1);
  EXPECT_TRUE(absl::IsFailedPrecondition(after) || absl::IsResourceExhausted(after)) << after;
  const NodeState state = node_->State();
  EXPECT_GT(state.memory.refused_writes, 0u);
  EXPECT_GT(state.memory.backlog_bytes, 0u);
  EXPECT_LE(state.memory.used_bytes, kLimit + kLimit / 4);

  // More memory: it goes on where it was refused.
  Open(8 * kLimit, "http://127.0.0.1:9");
  EXPECT_EQ(CheckRows(), rows);
  EXPECT_TRUE(absl::IsFailedPrecondition(Send(number + 1)));
  EXPECT_TRUE(Send(number).ok());
  EXPECT_TRUE(Send(number + 1).ok());
  EXPECT_EQ(CheckRows(), rows + 2 * kRows);
}

TEST_F(PressureTest, ATableHasALimitOfItsOwn) {
  Open(0, "none", kLimit / 2);
  constexpr uint64_t kBatches = 150;
  SendAll(1, kBatches, "hot memory");
  const NodeState state = node_->State();
  EXPECT_GT(state.memory.spilled_bytes, kLimit / 2);
  EXPECT_EQ(state.tables[0].stats.spilled_bytes, state.memory.spilled_bytes);
  EXPECT_LT(state.tables[0].stats.bytes, kLimit / 2 + kLimit / 8);
  EXPECT_EQ(CheckRows(), kBatches * kRows);
}

TEST_F(PressureTest, WithoutALimitNothingIsDone) {
  Open(0);
  EXPECT_EQ(SendAll(1, 60), 0u);
  const MemoryState memory = node_->State().memory;
  EXPECT_EQ(memory.limit_bytes, 0u);
  EXPECT_GT(memory.used_bytes, 0u);
  EXPECT_EQ(memory.spilled_chunks, 0u);
  EXPECT_EQ(CheckRows(), 60 * kRows);
}

TEST(StandardMemoryLimit, IsAShareOfTheMachine) {
  EXPECT_GT(StandardMemoryLimit(), 0u);
  EXPECT_LT(StandardMemoryLimit(), static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                                       static_cast<uint64_t>(sysconf(_SC_PAGESIZE)));
}

}  // namespace
}  // namespace proxist::server
