// pxctl import.
#include <chrono>
#include <cstdio>

#include <unistd.h>

#include "commands.h"
#include "proxist/client/import_map.h"

namespace proxist::pxctl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kBarInterval = std::chrono::milliseconds(100);
constexpr auto kLineInterval = std::chrono::seconds(5);
constexpr uint64_t kBarCells = 30;

// Says on stderr how far an import is: a bar on a terminal, elsewhere a line now and then.
class ProgressReport {
 public:
  ProgressReport() : terminal_(::isatty(STDERR_FILENO) == 1), next_(began_ + Interval()) {}
  ~ProgressReport() { Clear(); }
  ProgressReport(const ProgressReport&) = delete;
  ProgressReport& operator=(const ProgressReport&) = delete;

  void Show(const client::ImportProgress& progress) {
    const auto now = Clock::now();
    if (now < next_) return;
    next_ = now + Interval();
    const double seconds = std::chrono::duration<double>(now - began_).count();
    const double rate = static_cast<double>(progress.rows) / seconds;
    const uint64_t total = progress.total_bytes > 0 ? progress.total_bytes : 1;
    const double share = static_cast<double>(progress.content_bytes) / static_cast<double>(total);
    if (!terminal_) {
      fmt::print(stderr, "{} rows, {:.0f}%, {:.0f} rows/s\n", progress.rows, share * 100, rate);
      return;
    }
    const auto filled = static_cast<size_t>(share * static_cast<double>(kBarCells));
    fmt::print(stderr, "\r[{:<{}}] {:3.0f}%  {} rows  {:.0f} rows/s\x1b[K",
               std::string(std::min<size_t>(filled, kBarCells), '#'), kBarCells, share * 100,
               progress.rows, rate);
    std::fflush(stderr);
    drawn_ = true;
  }

  [[nodiscard]] double Seconds() const {
    return std::chrono::duration<double>(Clock::now() - began_).count();
  }

  void Clear() {
    if (drawn_) fmt::print(stderr, "\r\x1b[K");
    drawn_ = false;
  }

 private:
  [[nodiscard]] Clock::duration Interval() const {
    return terminal_ ? Clock::duration(kBarInterval) : Clock::duration(kLineInterval);
  }

  Clock::time_point began_ = Clock::now();
  bool terminal_;
  Clock::time_point next_;
  bool drawn_ = false;
};

}  // namespace

Status Run(client::Client& client, const Options& options, const ImportCommand& command) {
  PX_ASSIGN_OR_RETURN(const client::ImportMap map,
                      client::ReadImportMap(command.map_file, command.table));
  PX_ASSIGN_OR_RETURN(const column::SchemaPtr schema, client.Table(options.tenant, command.table));
  client::ImportOptions import = command.import;
  ProgressReport report;
  import.on_progress = [&](const client::ImportProgress& progress) { report.Show(progress); };
  PX_ASSIGN_OR_RETURN(const client::ImportSummary summary,
                      client::RunImport(client, schema, map, import));
  const double seconds = report.Seconds();
  report.Clear();
  return WriteOut(
      fmt::format("imported {} rows in {} batches ({} duplicate) {:.2f} s, {:.0f} "
                  "rows/s\n",
                  summary.rows, summary.batches, summary.duplicates, seconds,
                  static_cast<double>(summary.rows) / std::max(seconds, 1e-9)));
}

}  // namespace proxist::pxctl
