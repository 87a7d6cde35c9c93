// proxist-clickhouse: a ClickHouse server out of libchdb.so, for proxistd to supervise.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <dlfcn.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "listener.h"

namespace {

constexpr int kStopBoundSeconds = 15;
constexpr std::string_view kUsage =
    "proxist-clickhouse --config FILE --path DIR [--parent PID] [--library FILE]\n"
    "Serves ClickHouse's HTTP interface out of libchdb.so until SIGTERM or the end of its input.\n"
    "  --config FILE   absolute path of the server's configuration\n"
    "  --path DIR      absolute path of its data\n"
    "  --parent PID    ends with that process\n"
    "  --library FILE  libchdb.so (default: $PROXIST_LIBCHDB, then ../../../node_modules/@chdb/\n"
    "                  lib-linux-x64-gnu/ and ../lib/proxist/ from this program)\n";

struct Arguments {
  std::string config;
  std::string path;
  std::string library;
  pid_t parent = 0;
};

std::optional<Arguments> Parse(int argc, char** argv) {
  Arguments out;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--help") {
      std::fwrite(kUsage.data(), 1, kUsage.size(), stdout);
      std::exit(0);
    }
    if (i + 1 >= argc) return std::nullopt;
    const char* value = argv[i + 1];
    if (name == "--config") {
      out.config = value;
    } else if (name == "--path") {
      out.path = value;
    } else if (name == "--library") {
      out.library = value;
    } else if (name == "--parent") {
      out.parent = static_cast<pid_t>(std::strtol(value, nullptr, 10));
    } else {
      return std::nullopt;
    }
  }
  if (out.config.empty() || out.path.empty()) return std::nullopt;
  return out;
}

std::string FindLibrary(const std::string& given) {
  if (!given.empty()) return given;
  if (const char* named = std::getenv("PROXIST_LIBCHDB"); named != nullptr && *named != '\0') {
    return named;
  }
  std::error_code ignored;
  const auto here = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  const auto built = here / "../../../node_modules/@chdb/lib-linux-x64-gnu/libchdb.so";
  const auto installed = here / "../lib/proxist/libchdb.so";
  return std::filesystem::exists(installed, ignored) && !std::filesystem::exists(built, ignored)
             ? installed.string()
             : built.string();
}

using QueryCommandLine = void* (*)(int, char**);
using ResultError = const char* (*)(void*);

/// Runs the engine until its prompt ends; returns the exit code.
int Serve(void* library, const Arguments& arguments) {
  const auto query = reinterpret_cast<QueryCommandLine>(dlsym(library, "chdb_query_cmdline"));
  const auto error_of = reinterpret_cast<ResultError>(dlsym(library, "chdb_result_error"));
  if (query == nullptr || error_of == nullptr) {
    std::fprintf(stderr, "proxist-clickhouse: the library lacks a function: %s\n", dlerror());
    return 2;
  }
  std::vector<std::string> words = {
      "clickhouse",
      "--config-file=" + arguments.config,
      "--path=" + arguments.path,
      "--interactive",
      "--disable_suggestion",
      "--highlight=0",
      // A file of its own: as root the engine changes the mode of whatever stands here.
      "--history_file=" + arguments.path + "/.history",
      "--log-level=warning",
      "--query",
      "SYSTEM START LISTEN HTTP",
  };
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  void* result = query(static_cast<int>(argv.size()), argv.data());
  const char* error = result == nullptr ? "no result" : error_of(result);
  if (error == nullptr) return 0;
  std::fprintf(stderr, "proxist-clickhouse: %s\n", error);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  const std::optional<Arguments> arguments = Parse(argc, argv);
  if (!arguments) {
    std::fwrite(kUsage.data(), 1, kUsage.size(), stderr);
    return 64;
  }
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  // The parent may have gone before the line above.
  if (arguments->parent != 0 && getppid() != arguments->parent) return 0;

  const std::string path = FindLibrary(arguments->library);
  void* library = dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) {
    std::fprintf(stderr, "proxist-clickhouse: can't load the ClickHouse library: %s\n", dlerror());
    return 2;
  }
  if (!proxist::launcher::TakeOverStdin(kStopBoundSeconds)) {
    std::fprintf(stderr, "proxist-clickhouse: no terminal for the engine: %s\n",
                 std::strerror(errno));
    return 2;
  }
  const int code = Serve(library, *arguments);
  std::fflush(stdout);
  std::fflush(stderr);
  // The library's static destructors are not made for a second run at exit.
  _exit(code);
}
