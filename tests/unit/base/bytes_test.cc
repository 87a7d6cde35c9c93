// Bounded reading, writing, aligned buffers, checksum, typed ids and status annotation.
#include "proxist/base/bytes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/base/check.h"
#include "proxist/base/ids.h"

namespace proxist {
namespace {

using ::testing::HasSubstr;

TEST(BytesTest, ReadsBackWhatItWrites) {
  std::vector<std::byte> bytes;
  ByteWriter out(&bytes);
  out.Put(uint8_t{7});
  out.Put(int64_t{-2});
  out.PutString("tick");
  out.PutString("");
  out.PutBytes({});
  out.PadTo(8);
  EXPECT_EQ(bytes.size(), 24u);
  ByteReader in(bytes, "record");
  EXPECT_EQ(in.Get<uint8_t>().value(), 7);
  EXPECT_EQ(in.Get<int64_t>().value(), -2);
  EXPECT_EQ(in.GetString().value(), "tick");
  EXPECT_EQ(in.GetString().value(), "");
  EXPECT_TRUE(in.SkipTo(8).ok());
  EXPECT_EQ(in.remaining(), 0u);
}

TEST(BytesTest, IsLittleEndian) {
  std::vector<std::byte> bytes;
  ByteWriter(&bytes).Put(uint32_t{0x01020304});
  EXPECT_EQ(AsText(bytes), std::string_view("\x04\x03\x02\x01"));
}

TEST(BytesTest, NeverReadsPastTheEnd) {
  const std::vector<std::byte> three(3);
  ByteReader in(three, "frame");
  const Status shortage = in.Get<uint32_t>().status();
  EXPECT_EQ(shortage.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Message(shortage), "frame ends at byte 0: 4 more bytes expected, 3 left");
  EXPECT_FALSE(in.GetBytes(4).ok());
  EXPECT_FALSE(in.GetBytes(std::numeric_limits<size_t>::max()).ok());
  EXPECT_FALSE(in.SkipTo(8).ok() && in.Get<uint8_t>().ok() && in.SkipTo(8).ok());
  std::vector<std::byte> lying;
  ByteWriter(&lying).Put(uint32_t{0xffffffff});
  ByteReader liar(lying, "string");
  EXPECT_EQ(liar.GetString().status().code(), absl::StatusCode::kDataLoss);
}

TEST(BytesTest, AlignedBuffersAreAlignedAndZero) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{4096}, size_t{5000}}) {
    const AlignedBytes bytes = AllocateAligned(size, 4096);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes.get()) % 4096, 0u);
    for (size_t i = 0; i < size; ++i) ASSERT_EQ(bytes[i], std::byte{0});
  }
}

TEST(BytesTest, ChecksumIsXxh3) {
  EXPECT_EQ(Checksum({}), 0x2d06800538d394c2u);
  EXPECT_NE(Checksum(AsBytes("tick")), Checksum(AsBytes("tock")));
  EXPECT_NE(Checksum(AsBytes("tick"), 1), Checksum(AsBytes("tick"), 2));
}

TEST(CheckDeathTest, NamesTheCondition) {
  EXPECT_DEATH(PX_CHECK(1 + 1 == 3), "check failed: 1 \\+ 1 == 3");
  EXPECT_DEATH(PX_CHECK_OK(DataLoss("gone")), "gone");
}

TEST(StatusTest, AnnotatePutsContextFirst) {
  EXPECT_TRUE(Annotate(OkStatus(), "opening").ok());
  const Status status = Annotate(NotFound("no table {}", "quotes"), "opening");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Message(status), "opening: no table quotes");
}

TEST(IdsTest, OrderAndHash) {
  EXPECT_LT(Lsn(1), Lsn(2));
  EXPECT_EQ(Lsn(1).Next(), Lsn(2));
  EXPECT_EQ(std::hash<Lsn>{}(Lsn(5)), std::hash<uint64_t>{}(5));
  EXPECT_EQ(Lsn::Max().value(), std::numeric_limits<uint64_t>::max());
}

}  // namespace
}  // namespace proxist
