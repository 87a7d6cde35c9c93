// The files that the embedded server runs from: configuration, users, password.
#pragma once

#include <cstdint>
#include <string>

#include "proxist/base/status.h"

namespace proxist::history {

/// Paths below EmbeddedOptions::directory, all absolute.
struct EmbeddedFiles {
  std::string directory;
  std::string config;        // config.xml
  std::string users;         // users.xml
  std::string password;      // the secret of the user `proxist`, made once
  std::string sql_password;  // and of `proxist_sql`, who may only read
  std::string data;          // ClickHouse's own tree
  std::string log;           // ClickHouse's log, rotated by it
  std::string output;        // what the launcher prints, of the last start
};

inline constexpr char kEmbeddedUser[] = "proxist";
inline constexpr char kEmbeddedReader[] = "proxist_sql";

/// Makes `directory` absolute, creates it where it is missing, readable by its owner alone. Errors
/// name the path.
StatusOr<EmbeddedFiles> PrepareDirectory(const std::string& directory);

/// The password in the file `path`; a random one is stored there when there is none.
StatusOr<std::string> LoadOrMakePassword(const std::string& path);

/// Writes config.xml and users.xml anew. Both hold secrets or paths, so both are 0600.
Status WriteConfiguration(const EmbeddedFiles& files, uint16_t http_port,
                          const std::string& password, const std::string& sql_password,
                          uint64_t max_memory_bytes);

}  // namespace proxist::history
