// Maps the files and checks what the measurements rely on.
#include "apps/proxist-bench/columns/data.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <string_view>

namespace proxist::bench {
namespace {

constexpr uint64_t kMostManifestBytes = 4096;
constexpr uint64_t kMostRows = 1'000'000'000;
constexpr uint64_t kMostSymbols = 1'000'000;

using Values = std::map<std::string, int64_t, std::less<>>;

StatusOr<Values> ReadManifest(const std::string& path) {
  PX_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes,
                      env::PosixFileSystem().ReadAll(path, kMostManifestBytes));
  Values values;
  std::string_view text = AsText(bytes);
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.empty()) continue;
    const size_t name_end = line.find_first_of(" \t");
    const size_t begin = line.find_first_not_of(" \t", name_end);
    int64_t value = 0;
    const char* end = line.data() + line.size();
    if (begin == std::string_view::npos ||
        std::from_chars(line.data() + begin, end, value).ptr != end) {
      return InvalidArgument("{}: '{}' is not a name and a whole number", path, line);
    }
    values.emplace(line.substr(0, name_end), value);
  }
  return values;
}

StatusOr<int64_t> Take(const Values& values, std::string_view name) {
  const auto found = values.find(name);
  if (found == values.end()) return InvalidArgument("manifest.txt has no '{}'", name);
  return found->second;
}

StatusOr<uint64_t> TakeCount(const Values& values, std::string_view name, uint64_t most) {
  PX_ASSIGN_OR_RETURN(const int64_t count, Take(values, name));
  if (count < 0 || static_cast<uint64_t>(count) > most) {
    return InvalidArgument("manifest.txt: {} is {}, and 0 to {} is allowed", name, count, most);
  }
  return static_cast<uint64_t>(count);
}

Status CheckSymbols(std::string_view what, std::span<const int32_t> symbols, uint64_t count) {
  for (const int32_t symbol : symbols) {
    if (symbol >= 0 && static_cast<uint64_t>(symbol) < count) continue;
    return InvalidArgument("{}: symbol {} is not below {}", what, symbol, count);
  }
  return OkStatus();
}

Status CheckTimes(std::string_view what, std::span<const int64_t> ts) {
  if (std::is_sorted(ts.begin(), ts.end())) return OkStatus();
  return InvalidArgument("{}: the rows are not in time order", what);
}

}  // namespace

template <typename T>
Status ColumnData::Map(const std::string& path, uint64_t rows, std::span<const T>* out) {
  if (rows == 0) return OkStatus();
  PX_ASSIGN_OR_RETURN(std::shared_ptr<const env::MappedFile> file,
                      env::PosixFileSystem().Map(path));
  const ByteSpan bytes = file->bytes();
  if (bytes.size() != rows * sizeof(T)) {
    return InvalidArgument("{} has {} bytes, and manifest.txt makes it {}", path, bytes.size(),
                           rows * sizeof(T));
  }
  *out = {reinterpret_cast<const T*>(bytes.data()), rows};
  files_.push_back(std::move(file));
  return OkStatus();
}

StatusOr<ColumnData> ColumnData::Open(const std::string& directory) {
  ColumnData data;
  Manifest& manifest = data.manifest_;
  PX_ASSIGN_OR_RETURN(const Values values, ReadManifest(directory + "/manifest.txt"));
  PX_ASSIGN_OR_RETURN(manifest.quotes, TakeCount(values, "n_quotes", kMostRows));
  PX_ASSIGN_OR_RETURN(manifest.trades, TakeCount(values, "n_trades", kMostRows));
  PX_ASSIGN_OR_RETURN(manifest.symbols, TakeCount(values, "n_symbols", kMostSymbols));
  PX_ASSIGN_OR_RETURN(manifest.keys, TakeCount(values, "n_keys", kMostRows));
  PX_ASSIGN_OR_RETURN(manifest.t0_ns, Take(values, "t0"));
  PX_ASSIGN_OR_RETURN(manifest.day_ns, Take(values, "day_ns"));

  const std::string quotes = directory + "/quotes.";
  PX_RETURN_IF_ERROR(data.Map(quotes + "ts.i64", manifest.quotes, &data.quotes_.ts));
  PX_RETURN_IF_ERROR(data.Map(quotes + "sym.i32", manifest.quotes, &data.quotes_.symbol));
  PX_RETURN_IF_ERROR(data.Map(quotes + "bid.f64", manifest.quotes, &data.quotes_.bid));
  PX_RETURN_IF_ERROR(data.Map(quotes + "ask.f64", manifest.quotes, &data.quotes_.ask));
  PX_RETURN_IF_ERROR(data.Map(quotes + "bsize.i64", manifest.quotes, &data.quotes_.bsize));
  PX_RETURN_IF_ERROR(data.Map(quotes + "asize.i64", manifest.quotes, &data.quotes_.asize));
  const std::string trades = directory + "/trades.";
  PX_RETURN_IF_ERROR(data.Map(trades + "ts.i64", manifest.trades, &data.trades_.ts));
  PX_RETURN_IF_ERROR(data.Map(trades + "sym.i32", manifest.trades, &data.trades_.symbol));
  PX_RETURN_IF_ERROR(data.Map(trades + "price.f64", manifest.trades, &data.trades_.price));
  PX_RETURN_IF_ERROR(data.Map(trades + "size.i64", manifest.trades, &data.trades_.size));
  const std::string keys = directory + "/keys.";
  PX_RETURN_IF_ERROR(data.Map(keys + "sym.i32", manifest.keys, &data.keys_.symbol));
  PX_RETURN_IF_ERROR(data.Map(keys + "ts.i64", manifest.keys, &data.keys_.ts));
  PX_RETURN_IF_ERROR(data.Check());
  const size_t digits = std::to_string(manifest.symbols).size();
  for (uint64_t i = 0; i < manifest.symbols; ++i) {
    data.names_.push_back(fmt::format("S{:0{}}", i, digits));
  }
  return data;
}

Status ColumnData::Check() const {
  PX_RETURN_IF_ERROR(CheckSymbols("quotes", quotes_.symbol, manifest_.symbols));
  PX_RETURN_IF_ERROR(CheckSymbols("trades", trades_.symbol, manifest_.symbols));
  PX_RETURN_IF_ERROR(CheckSymbols("keys", keys_.symbol, manifest_.symbols));
  PX_RETURN_IF_ERROR(CheckTimes("quotes", quotes_.ts));
  return CheckTimes("trades", trades_.ts);
}

}  // namespace proxist::bench
