// Quotes, trades and look-up keys as raw arrays in the files of one directory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/env/file_system.h"

namespace proxist::bench {

/// Rows in time order; arrays of equal length. `symbol` is a number below Manifest::symbols.
struct QuoteColumns {
  std::span<const int64_t> ts;  // ns since the epoch
  std::span<const int32_t> symbol;
  std::span<const double> bid;
  std::span<const double> ask;
  std::span<const int64_t> bsize;
  std::span<const int64_t> asize;
};

struct TradeColumns {
  std::span<const int64_t> ts;
  std::span<const int32_t> symbol;
  std::span<const double> price;
  std::span<const int64_t> size;
};

/// Moments to ask about, in no order.
struct KeyColumns {
  std::span<const int32_t> symbol;
  std::span<const int64_t> ts;
};

/// manifest.txt: a name and a value a line.
struct Manifest {
  uint64_t quotes = 0;   // n_quotes
  uint64_t trades = 0;   // n_trades
  uint64_t symbols = 0;  // n_symbols
  uint64_t keys = 0;     // n_keys
  int64_t t0_ns = 0;     // t0: no row is before it
  int64_t day_ns = 0;    // rows lie in [t0, t0 + day_ns)
};

/// The files, mapped. Immutable; any thread.
class ColumnData {
 public:
  /// Maps `quotes.*`, `trades.*` and `keys.*` (little-endian arrays without a header) as long as
  /// manifest.txt says. INVALID_ARGUMENT: a file has another size, a symbol is out of bounds, or
  /// times go back.
  static StatusOr<ColumnData> Open(const std::string& directory);

  [[nodiscard]] const Manifest& manifest() const { return manifest_; }
  [[nodiscard]] const QuoteColumns& quotes() const { return quotes_; }
  [[nodiscard]] const TradeColumns& trades() const { return trades_; }
  [[nodiscard]] const KeyColumns& keys() const { return keys_; }
  /// The name of each symbol; sorted.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

 private:
  template <typename T>
  Status Map(const std::string& path, uint64_t rows, std::span<const T>* out);
  Status Check() const;

  Manifest manifest_;
  QuoteColumns quotes_;
  TradeColumns trades_;
  KeyColumns keys_;
  std::vector<std::string> names_;
  std::vector<std::shared_ptr<const env::MappedFile>> files_;
};

}  // namespace proxist::bench
