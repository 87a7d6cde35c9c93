// Starting and stopping the server that the tests share.
#include "tests/unit/history/shared_server.h"

#include <cstdlib>
#include <filesystem>
#include <numeric>

#include <gtest/gtest.h>

#include "proxist/base/check.h"

namespace proxist::history {
namespace {

struct ServerState {
  ScratchDirectory directory;
  std::unique_ptr<EmbeddedServer> server;
};
std::unique_ptr<ServerState> state;

class StopAtTheEnd : public ::testing::Environment {
 public:
  void TearDown() override { state.reset(); }
};
[[maybe_unused]] const ::testing::Environment* const kStopAtTheEnd =
    ::testing::AddGlobalTestEnvironment(new StopAtTheEnd);

}  // namespace

ScratchDirectory::ScratchDirectory() {
  path_ = std::filesystem::temp_directory_path() / "proxist_history_XXXXXX";
  PX_CHECK(::mkdtemp(path_.data()) != nullptr);
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string LauncherPath() { return PROXIST_CLICKHOUSE_LAUNCHER; }

EmbeddedServer& SharedServer() {
  if (state == nullptr) {
    state = std::make_unique<ServerState>();
    EmbeddedOptions options;
    options.launcher = LauncherPath();
    options.directory = state->directory.path() + "/clickhouse";
    auto server = EmbeddedServer::Start(options);
    PX_CHECK_OK(server.status());
    state->server = std::move(server).value();
  }
  return *state->server;
}

column::SchemaPtr MakeSchema(std::string name, std::vector<column::ColumnDef> columns,
                             std::vector<size_t> series, column::SeqMode seq) {
  static uint32_t last_id = 0;
  column::TableSchema schema;
  schema.id = TableId(++last_id);
  schema.name = std::move(name);
  schema.columns = std::move(columns);
  for (size_t i = 0; i < schema.columns.size(); ++i) {
    schema.columns[i].id = ColumnId(static_cast<uint32_t>(i + 1));
  }
  schema.series = std::move(series);
  schema.seq = seq;
  return std::make_shared<const column::TableSchema>(std::move(schema));
}

InsertIntent IntentFor(std::string token, const column::SchemaPtr& schema,
                       const std::vector<SourceBatch>& sources) {
  InsertIntent intent{std::move(token), schema, DayOf(kDayStart), {}};
  for (const SourceBatch& source : sources) {
    const Lsn last(source.first.value() + source.batch.rows - 1);
    intent.ranges.push_back({source.shard, source.first, last});
  }
  return intent;
}

ReadRequest RequestFor(const column::SchemaPtr& schema, std::vector<std::string> symbols) {
  ReadRequest request;
  request.schema = schema;
  request.symbols = std::move(symbols);
  request.from = Timestamp::Min();
  request.to = Timestamp::Max();
  request.max_version = Lsn::Max();
  request.columns.resize(schema->columns.size());
  std::iota(request.columns.begin(), request.columns.end(), 0);
  return request;
}

}  // namespace proxist::history
