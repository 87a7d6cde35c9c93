// Answers onto the wire and back into views.
#include "proxist/api/answer.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/api/column_message.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::api {
namespace {

using column::Type;
using column::TypeKind;
using query::ResultBatch;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr size_t kRows = 5;

/// Five rows: symbols of the shard's dictionary and of the query's own, doubles with their odd
/// values, strings, nulls.
struct Answer {
  column::Dictionary dictionary;
  ResultBatch batch;

  Answer() {
    dictionary.Intern("UNUSED");
    dictionary.Intern("AIG");
    auto symbols = std::make_shared<exec::Symbols>(&dictionary);
    const uint32_t aig = symbols->Code("AIG");
    const uint32_t cold = symbols->Code("COLD");
    AddColumn<uint32_t>("symbol", {TypeKind::kSymbol}, {aig, aig, cold, cold, aig});
    AddColumn<int64_t>("ts", {TypeKind::kTimestamp},
                       {0, 1, 1, 2, std::numeric_limits<int64_t>::max()});
    AddColumn<double>("price", {TypeKind::kFloat64},
                      {0.1, -0.0, std::nan(""), std::numeric_limits<double>::infinity(), 5});
    batch.columns[2].column.SetNull(4);
    AddColumn<std::string_view>("note", {TypeKind::kString}, {"", "ab", "c", "", "\xff\0x"});
    batch.columns[3].column.SetNull(3);
    AddColumn<uint32_t>("venue", {TypeKind::kSymbol}, {cold, cold, cold, cold, cold});
    for (size_t row = 0; row < kRows; ++row) batch.columns[4].column.SetNull(row);
    AddColumn<int8_t>("small", {TypeKind::kInt8}, {-128, -1, 0, 1, 127});
    batch.symbols = symbols;
  }

  template <typename T>
  void AddColumn(const char* name, Type type, std::initializer_list<T> values) {
    exec::Column column(type);
    for (const T value : values) column.Append<T>(value);
    batch.columns.push_back({name, std::move(column)});
  }
};

TEST(Answer, ComesBackAsItWas) {
  const Answer answer;
  v1::QueryResponse response;
  EncodeRows(answer.batch, 0, kRows, &response);
  EXPECT_EQ(response.rows(), kRows);
  const StatusOr<std::vector<NamedView>> views = DecodeAnswer(response);
  ASSERT_TRUE(views.ok()) << views.status();
  ASSERT_EQ(views->size(), 6u);
  EXPECT_THAT(response.columns(0).dictionary(), ElementsAre("AIG", "COLD"));
  const auto& symbol = (*views)[0].view;
  EXPECT_EQ((*views)[0].name, "symbol");
  EXPECT_EQ(symbol.TextAt(0), "AIG");
  EXPECT_EQ(symbol.TextAt(3), "COLD");
  EXPECT_EQ(symbol.TextAt(4), "AIG");
  EXPECT_EQ((*views)[1].view.At<int64_t>(4), std::numeric_limits<int64_t>::max());
  const auto& price = (*views)[2].view;
  EXPECT_EQ(price.At<double>(0), 0.1);
  EXPECT_TRUE(std::signbit(price.At<double>(1)));
  EXPECT_TRUE(std::isnan(price.At<double>(2)));
  EXPECT_FALSE(price.IsValid(4));
  EXPECT_EQ(price.At<double>(4), 0.0) << "what stands below a null is not told";
  const auto& note = (*views)[3].view;
  EXPECT_EQ(note.TextAt(1), "ab");
  EXPECT_EQ(note.TextAt(2), "c");
  EXPECT_FALSE(note.IsValid(3));
  EXPECT_EQ(note.TextAt(4), std::string_view("\xff"));
  const auto& venue = (*views)[4].view;
  for (size_t row = 0; row < kRows; ++row) EXPECT_FALSE(venue.IsValid(row));
  EXPECT_EQ(response.columns(4).dictionary_size(), 0);
  EXPECT_EQ((*views)[5].view.At<int8_t>(0), -128);
  EXPECT_TRUE(response.columns(5).validity().empty());
}

TEST(Answer, PartsCarryTheirOwnDictionaryAndOffsets) {
  const Answer answer;
  v1::QueryResponse response;
  EncodeRows(answer.batch, 2, 4, &response);
  const StatusOr<std::vector<NamedView>> views = DecodeAnswer(response);
  ASSERT_TRUE(views.ok()) << views.status();
  EXPECT_EQ(response.rows(), 2u);
  EXPECT_THAT(response.columns(0).dictionary(), ElementsAre("COLD"));
  EXPECT_EQ((*views)[3].view.TextAt(0), "c");
  EXPECT_FALSE((*views)[3].view.IsValid(1));
  EXPECT_TRUE(response.columns(2).validity().empty()) << "no null among these rows";
}

TEST(Answer, AnEmptyOneHasItsColumns) {
  const Answer answer;
  v1::QueryResponse response;
  EncodeRows(answer.batch, 3, 3, &response);
  const StatusOr<std::vector<NamedView>> views = DecodeAnswer(response);
  ASSERT_TRUE(views.ok()) << views.status();
  EXPECT_EQ(response.rows(), 0u);
  EXPECT_EQ(views->size(), 6u);
}

TEST(Answer, ManySymbolsKeepTheirTexts) {
  column::Dictionary dictionary;
  ResultBatch batch;
  exec::Column column({TypeKind::kSymbol});
  for (uint32_t i = 0; i < 3000; ++i) dictionary.Intern("S" + std::to_string(i));
  for (uint32_t i = 0; i < 9000; ++i) column.Append<uint32_t>((i * 7919) % 3000);
  batch.columns.push_back({"symbol", std::move(column)});
  batch.symbols = std::make_shared<exec::Symbols>(&dictionary);
  v1::QueryResponse response;
  EncodeRows(batch, 0, 9000, &response);
  const StatusOr<std::vector<NamedView>> views = DecodeAnswer(response);
  ASSERT_TRUE(views.ok()) << views.status();
  EXPECT_EQ(response.columns(0).dictionary_size(), 3000);
  for (uint32_t i = 0; i < 9000; ++i) {
    ASSERT_EQ((*views)[0].view.TextAt(i), "S" + std::to_string((i * 7919) % 3000));
  }
}

TEST(Answer, RowsThatFitCountsBytes) {
  const Answer answer;
  EXPECT_EQ(RowsThatFit(answer.batch, 0, 1 << 20), kRows);
  EXPECT_EQ(RowsThatFit(answer.batch, 3, 1 << 20), 2u);
  EXPECT_EQ(RowsThatFit(answer.batch, 5, 1 << 20), 0u);
  EXPECT_EQ(RowsThatFit(answer.batch, 0, 1), 1u) << "one row always goes";
  // 29 bytes a row, and 2 and 1 of text in rows 1 and 2.
  EXPECT_EQ(RowsThatFit(answer.batch, 0, 29 + 31), 2u);
  EXPECT_EQ(RowsThatFit(answer.batch, 0, 29 + 30), 1u);
  EXPECT_EQ(RowsThatFit(ResultBatch(), 0, 100), 0u);
}

TEST(Answer, DamageIsNamed) {
  const Answer answer;
  v1::QueryResponse good;
  EncodeRows(answer.batch, 0, kRows, &good);
  v1::QueryResponse bad = good;
  bad.mutable_columns(0)->clear_dictionary();
  EXPECT_THAT(DecodeAnswer(bad).status().ToString(),
              HasSubstr("column symbol, row 0: code 0 of a dictionary of 0"));
  bad = good;
  bad.mutable_columns(3)->set_text("a");
  EXPECT_EQ(DecodeAnswer(bad).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(DecodeAnswer(bad).status().ToString(), HasSubstr("column note, row 1: offset 2"));
  bad = good;
  bad.set_rows(6);
  EXPECT_THAT(DecodeAnswer(bad).status().ToString(), HasSubstr("5 rows where 6 are expected"));
  bad = good;
  bad.set_rows(std::numeric_limits<uint64_t>::max());
  EXPECT_FALSE(DecodeAnswer(bad).ok());
}

TEST(Answer, WhatIsMissingComesBack) {
  query::Explain explain;
  explain.missing = {{ShardId(2), "quotes", Timestamp::Min(), Timestamp(7)}};
  v1::QueryResponse message;
  EncodeMissing(explain, &message);
  const auto back = DecodeMissing(message);
  ASSERT_EQ(back.size(), 1u);
  EXPECT_EQ(back[0].shard, ShardId(2));
  EXPECT_EQ(back[0].table, "quotes");
  EXPECT_EQ(back[0].from, Timestamp::Min());
  EXPECT_EQ(back[0].to, Timestamp(7));
  EXPECT_TRUE(DecodeMissing(v1::QueryResponse()).empty());
}

TEST(Explain, ComesBackAsItWas) {
  query::Explain explain;
  explain.seams = {{ShardId(3), "quotes", Lsn(9), Lsn(8), Timestamp::Min()}};
  explain.rows_hot = 1;
  explain.rows_cold = 2;
  explain.rows_in_totals = 9;
  explain.history_reads = 3;
  explain.attempts = 4;
  explain.plan = Duration(5);
  explain.hot = Duration(6);
  explain.cold = Duration(7);
  explain.compute = Duration(8);
  v1::Explain message;
  EncodeExplain(explain, &message);
  const query::Explain back = DecodeExplain(message);
  ASSERT_EQ(back.seams.size(), 1u);
  EXPECT_EQ(back.seams[0].shard, ShardId(3));
  EXPECT_EQ(back.seams[0].table, "quotes");
  EXPECT_EQ(back.seams[0].cut, Lsn(9));
  EXPECT_EQ(back.seams[0].persisted, Lsn(8));
  EXPECT_EQ(back.seams[0].floor, Timestamp::Min());
  EXPECT_EQ(back.rows_hot, 1u);
  EXPECT_EQ(back.rows_cold, 2u);
  EXPECT_EQ(back.rows_in_totals, 9u);
  EXPECT_EQ(back.history_reads, 3u);
  EXPECT_EQ(back.attempts, 4u);
  EXPECT_EQ(back.plan, Duration(5));
  EXPECT_EQ(back.hot, Duration(6));
  EXPECT_EQ(back.cold, Duration(7));
  EXPECT_EQ(back.compute, Duration(8));
}

}  // namespace
}  // namespace proxist::api
