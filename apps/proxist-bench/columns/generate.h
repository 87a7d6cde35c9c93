// Makes data for `query --columns`: a day of a market with few busy symbols, bursts and ties.
#pragma once

#include <cstdint>
#include <string>

#include "proxist/base/status.h"

namespace proxist::bench {

struct GenerateOptions {
  std::string directory;  // created when missing; its files are replaced
  uint64_t quotes = 10'000'000;
  uint64_t trades = 1'000'000;
  uint32_t symbols = 1000;
  uint32_t keys = 1000;
  uint64_t seed = 1;
};

/// Writes the files that ColumnData::Open reads; the same options give the same bytes.
Status Generate(const GenerateOptions& options);

}  // namespace proxist::bench
