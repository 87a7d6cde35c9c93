// Answers as text, to the byte.
#include "proxist/client/answer_writer.h"

#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace proxist::client {
namespace {

using column::Type;
using column::TypeKind;

// Columns and the bytes behind them.
class Answer {
 public:
  template <typename T>
  Answer& Add(std::string_view name, Type type, const std::vector<T>& values,
              const std::vector<bool>& valid = {}) {
    column::ColumnView view;
    view.type = type;
    std::vector<std::byte> bytes(values.size() * sizeof(T));
    for (size_t i = 0; i < values.size(); ++i) {
      const T value = values[i];
      std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
    }
    view.values = Keep(std::move(bytes));
    SetValidity(valid, &view);
    columns_.push_back({name, view});
    return *this;
  }
  Answer& AddTexts(std::string_view name, const std::vector<std::string>& texts,
                   const std::vector<bool>& valid = {}) {
    std::vector<std::byte> offsets;
    std::vector<std::byte> text;
    ByteWriter offset_writer(&offsets);
    offset_writer.Put(uint32_t{0});
    for (const std::string& t : texts) {
      ByteWriter(&text).PutBytes(AsBytes(t));
      offset_writer.Put(static_cast<uint32_t>(text.size()));
    }
    column::ColumnView view;
    view.type = {TypeKind::kString};
    view.values = Keep(std::move(offsets));
    view.text = Keep(std::move(text));
    SetValidity(valid, &view);
    columns_.push_back({name, view});
    return *this;
  }

  std::string Print(OutputFormat format, TimeFormat time, size_t rows) const {
    std::string out;
    const auto writer = MakeAnswerWriter(format, time, [&](std::string_view text) {
      out += text;
      return OkStatus();
    });
    EXPECT_TRUE(writer->Write(columns_, rows).ok());
    EXPECT_TRUE(writer->Finish().ok());
    return out;
  }
  const std::vector<api::NamedView>& columns() const { return columns_; }

 private:
  ByteSpan Keep(std::vector<std::byte> bytes) {
    kept_.push_back(std::make_unique<std::vector<std::byte>>(std::move(bytes)));
    return *kept_.back();
  }
  void SetValidity(const std::vector<bool>& valid, column::ColumnView* view) {
    if (valid.empty()) return;
    std::vector<std::byte> bits((valid.size() + 7) / 8);
    for (size_t i = 0; i < valid.size(); ++i) {
      if (valid[i]) bits[i / 8] |= std::byte{1} << (i % 8);
    }
    view->validity = Keep(std::move(bits));
  }
  std::vector<std::unique_ptr<std::vector<std::byte>>> kept_;
  std::vector<api::NamedView> columns_;
};

Answer Extremes() {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  Answer answer;
  answer.Add<int64_t>("ts", {TypeKind::kTimestamp}, {1'381'327'200'123'456'789, 0})
      .Add<uint64_t>("seq", {TypeKind::kUint64}, {std::numeric_limits<uint64_t>::max(), 0})
      .Add<int64_t>("px", {TypeKind::kDecimal, 4}, {475000, -1})
      .Add<double>("f", {TypeKind::kFloat64}, {0.1, -kInf})
      .Add<float>("g", {TypeKind::kFloat32}, {0.1F, std::numeric_limits<float>::quiet_NaN()})
      .Add<int8_t>("i8", {TypeKind::kInt8}, {-128, 65})
      .Add<uint8_t>("b", {TypeKind::kBool}, {1, 0}, {true, false})
      .AddTexts("s", {"a,\"b\"\n", ""}, {true, true})
      .AddTexts("n", {"", "\xc3\xa9\xff\x01"}, {false, true});
  return answer;
}

TEST(AnswerWriter, Csv) {
  EXPECT_EQ(Extremes().Print(OutputFormat::kCsv, TimeFormat::kIso, 2),
            "ts,seq,px,f,g,i8,b,s,n\n"
            "2013-10-09T14:00:00.123456789Z,18446744073709551615,47.5000,0.1,0.1,-128,true,"
            "\"a,\"\"b\"\"\n\",\n"
            "1970-01-01T00:00:00.000000000Z,0,-0.0001,-inf,nan,65,,\"\",\xc3\xa9\xff\x01\n");
  Answer times;
  times.Add<int64_t>("ts", {TypeKind::kTimestamp}, {1'381'327'200'123'456'789});
  EXPECT_EQ(times.Print(OutputFormat::kCsv, TimeFormat::kNanoseconds, 1),
            "ts\n1381327200123456789\n");
}

TEST(AnswerWriter, JsonLines) {
  EXPECT_EQ(
      Extremes().Print(OutputFormat::kJson, TimeFormat::kIso, 2),
      "{\"ts\":\"2013-10-09T14:00:00.123456789Z\",\"seq\":18446744073709551615,"
      "\"px\":47.5000,\"f\":0.1,\"g\":0.1,\"i8\":-128,\"b\":true,\"s\":\"a,\\\"b\\\"\\u000a\","
      "\"n\":null}\n"
      "{\"ts\":\"1970-01-01T00:00:00.000000000Z\",\"seq\":0,\"px\":-0.0001,\"f\":\"-inf\","
      "\"g\":\"nan\",\"i8\":65,\"b\":null,\"s\":\"\",\"n\":\"\xc3\xa9\\ufffd\\u0001\"}\n");
}

TEST(AnswerWriter, JsonRefusesBytesThatOnlyLookLikeUtf8) {
  // Overlong, surrogate, beyond Unicode, cut.
  Answer answer;
  answer.AddTexts("s", {"\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"});
  EXPECT_EQ(answer.Print(OutputFormat::kJson, TimeFormat::kIso, 4),
            "{\"s\":\"\\ufffd\\ufffd\"}\n{\"s\":\"\\ufffd\\ufffd\\ufffd\"}\n"
            "{\"s\":\"\\ufffd\\ufffd\\ufffd\\ufffd\"}\n{\"s\":\"\\ufffd\\ufffd\"}\n");
}

TEST(AnswerWriter, Table) {
  Answer answer;
  answer.AddTexts("symbol", {"A", "\xc3\xa9t\n", ""}, {true, true, false})
      .Add<int64_t>("size", {TypeKind::kInt64}, {5, -1000000, 0}, {true, true, false})
      .AddTexts("note", {"x", "", "long"});
  EXPECT_EQ(answer.Print(OutputFormat::kTable, TimeFormat::kIso, 3),
            "symbol      size  note\n"
            "A              5  x\n"
            "\xc3\xa9t\\x0a  -1000000  \n"
            "                  long\n");
}

TEST(AnswerWriter, AnEmptyAnswerHasItsHeader) {
  Answer answer;
  answer.Add<int64_t>("a", {TypeKind::kInt64}, {}).AddTexts("b", {});
  EXPECT_EQ(answer.Print(OutputFormat::kCsv, TimeFormat::kIso, 0), "a,b\n");
  EXPECT_EQ(answer.Print(OutputFormat::kTable, TimeFormat::kIso, 0), "a  b\n");
  EXPECT_EQ(answer.Print(OutputFormat::kJson, TimeFormat::kIso, 0), "");
}

TEST(AnswerWriter, SeveralBatchesAreOneAnswer) {
  Answer first;
  first.Add<int64_t>("a", {TypeKind::kInt64}, {1});
  Answer second;
  second.Add<int64_t>("a", {TypeKind::kInt64}, {100});
  const auto print = [&](OutputFormat format) {
    std::string out;
    const auto writer = MakeAnswerWriter(format, TimeFormat::kIso, [&](std::string_view text) {
      out += text;
      return OkStatus();
    });
    EXPECT_TRUE(writer->Write(first.columns(), 1).ok());
    EXPECT_TRUE(writer->Write(second.columns(), 1).ok());
    EXPECT_TRUE(writer->Finish().ok());
    return out;
  };
  EXPECT_EQ(print(OutputFormat::kCsv), "a\n1\n100\n");
  EXPECT_EQ(print(OutputFormat::kJson), "{\"a\":1}\n{\"a\":100}\n");
  EXPECT_EQ(print(OutputFormat::kTable), "  a\n  1\n100\n");
}

TEST(AnswerWriter, DoesNotCollectALongAnswer) {
  const std::vector<int64_t> values(10'000, 123'456'789);
  Answer answer;
  answer.Add<int64_t>("a", {TypeKind::kInt64}, values);
  for (const auto format : {OutputFormat::kCsv, OutputFormat::kJson, OutputFormat::kTable}) {
    size_t calls = 0;
    size_t largest = 0;
    const auto writer = MakeAnswerWriter(format, TimeFormat::kIso, [&](std::string_view text) {
      ++calls;
      largest = std::max(largest, text.size());
      return OkStatus();
    });
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(writer->Write(answer.columns(), 10'000).ok());
    EXPECT_GT(calls, 10U);
    EXPECT_LT(largest, size_t{128} << 10);
  }
}

TEST(AnswerWriter, StopsWhenTheSinkDoes) {
  Answer answer;
  answer.Add<int64_t>("a", {TypeKind::kInt64}, {1});
  for (const auto format : {OutputFormat::kCsv, OutputFormat::kJson, OutputFormat::kTable}) {
    const auto writer = MakeAnswerWriter(format, TimeFormat::kIso,
                                         [](std::string_view) { return Cancelled("enough"); });
    ASSERT_TRUE(writer->Write(answer.columns(), 1).ok());
    EXPECT_EQ(writer->Finish().code(), absl::StatusCode::kCancelled);
  }
}

}  // namespace
}  // namespace proxist::client
