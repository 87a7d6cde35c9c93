// Last rows of long series, at every moment: searches over many chunks and over full ones.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/hot/rows.h"

namespace proxist::hot {
namespace {

constexpr std::array<const char*, 3> kSymbols = {"A", "B", "C"};

/// Row i of each symbol; three rows in a row tie, and times leave gaps.
int64_t TimeOf(size_t i) { return 10 + static_cast<int64_t>(i / 3) * 4; }

class LastRowsTest : public testing::TestWithParam<std::pair<uint32_t, size_t>> {
 protected:
  void SetUp() override {
    const auto [chunk_rows, rows] = GetParam();
    store_ = std::make_unique<Store>(StoreOptions{.chunk_rows = chunk_rows, .huge_pages = false});
    store_->SetSchema(schema_);
    Lsn last;
    for (size_t i = 0; i < rows; ++i) {
      column::BatchBuilder builder(schema_);
      for (size_t s = 0; s < kSymbols.size(); ++s) {
        // B has two series, whose rows take turns.
        builder.AddRow(kSymbols[s], Timestamp(TimeOf(i)), i);
        builder.SetText(0, s == 1 && i % 2 == 1 ? "Y" : "X");
        for (size_t c = 1; c <= 3; ++c) builder.SetInt(c, static_cast<int64_t>(i));
        builder.SetFloat(4, 0);
      }
      const column::Batch batch = builder.Build();
      store_->Scatter(batch, Lsn(last.value() + 1), Timestamp(1));
      last = Lsn(last.value() + batch.rows);
      store_->Publish(last);
    }
  }

  static void Check(const LastRow& found, size_t upto, int64_t at) {
    ASSERT_TRUE(found.known);
    ASSERT_EQ(found.run.block != nullptr, upto > 0) << at;
    if (upto == 0) return;
    ASSERT_EQ(SeqsOf(*found.run.block)[found.run.begin], upto - 1) << at;
    ASSERT_EQ(found.run.end, found.run.begin + 1);
  }

  const column::SchemaPtr schema_ = Quotes();
  std::unique_ptr<Store> store_;
};

TEST_P(LastRowsTest, AreThoseOfAPlainSearch) {
  const size_t rows = GetParam().second;
  const ReadGuard guard = store_->Read();
  std::vector<uint32_t> codes;
  for (const char* symbol : kSymbols) codes.push_back(*store_->dictionary().Find(symbol));
  guard.Prefetch(kTable, codes);
  for (int64_t at = 8; at <= TimeOf(rows) + 2; ++at) {
    size_t upto = 0;
    while (upto < rows && TimeOf(upto) <= at) upto += 3;
    upto = std::min(upto, rows);
    std::array<LastRow, 3> together;
    guard.LastRows(kTable, codes, Timestamp(at), together.data());
    for (size_t s = 0; s < codes.size(); ++s) {
      Check(together[s], upto, at);
      LastRow alone;
      guard.LastRows(kTable, {&codes[s], 1}, Timestamp(at), &alone);
      Check(alone, upto, at);
      if (HasFatalFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, LastRowsTest,
                         testing::Values(std::pair{4u, size_t{1}}, std::pair{4u, size_t{30}},
                                         std::pair{4u, size_t{700}},
                                         std::pair{kChunkRows, size_t{9}},
                                         std::pair{kChunkRows, size_t{1024}},
                                         std::pair{kChunkRows, size_t{1100}}));

}  // namespace
}  // namespace proxist::hot
