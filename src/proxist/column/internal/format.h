// Constants of the durable encodings; FORMAT.md repeats them and a test compares the two.
#pragma once

#include <cstddef>
#include <cstdint>

namespace proxist::column {

inline constexpr uint32_t kSchemaMagic = 0x43535850;  // "PXSC"
/// What is written for a table with history settings or changed columns, for others with a memory
/// limit, and for the rest. 1, which has no durability either, is read as well.
inline constexpr uint16_t kSchemaFormat = 4;
inline constexpr uint16_t kSchemaFormatWithMemory = 3;
inline constexpr uint16_t kSchemaFormatWithoutMemory = 2;

inline constexpr uint16_t kBatchFormat = 1;
inline constexpr size_t kBatchHeaderBytes = 8;
inline constexpr size_t kColumnHeaderBytes = 12;
inline constexpr uint8_t kBatchHasSeq = 1;
inline constexpr uint8_t kBatchHasOps = 2;
inline constexpr uint8_t kColumnHasValidity = 1;
inline constexpr uint8_t kColumnDropped = 1;

}  // namespace proxist::column
