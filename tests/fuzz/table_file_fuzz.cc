// Any bytes as a file of tables: refused with a line, or schemas that are valid and read back.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "proxist/client/table_file.h"

namespace proxist::client {
namespace {

void Expect(bool condition) {
  if (!condition) std::abort();
}

void Run(std::string_view yaml) {
  const auto tables = ParseTables(yaml, "fuzz", "t");
  if (!tables.ok()) {
    Expect(absl::IsInvalidArgument(tables.status()));
    return Expect(Message(tables.status()).starts_with("fuzz"));
  }
  for (const column::TableSchema& table : *tables) {
    Expect(column::Validate(table).ok());
    const auto again = ParseTables(FormatTable(table), "again", "t");
    Expect(again.ok() && again->size() == 1 && again->front() == table);
    const auto decoded = column::DecodeSchema(column::EncodeSchema(table));
    Expect(decoded.ok() && *decoded == table);
  }
}

}  // namespace
}  // namespace proxist::client

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  proxist::client::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
