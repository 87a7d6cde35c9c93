// pxinspect dump: every version of a table's rows that a data directory holds.
#pragma once

#include <string>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/column/cell_text.h"
#include "proxist/env/cipher.h"

namespace proxist::pxinspect {

struct DumpOptions {
  std::string directory;  // a data directory
  std::string tenant;
  std::string table;
  std::vector<std::string> symbols;  // empty: all
  std::string from;                  // a time; empty: no bound
  std::string to;                    // exclusive
  bool json = false;                 // one object a line; else CSV
  env::Keyring* keys = nullptr;
  column::TimeFormat time = column::TimeFormat::kIso;
};

/// Prints to stdout by (symbol, series, ts, seq, lsn), and to stderr what was passed over. Writes
/// nothing into the directory. DATA_LOSS: rows are missing; those that are there were printed.
Status Dump(const DumpOptions& options);

}  // namespace proxist::pxinspect
