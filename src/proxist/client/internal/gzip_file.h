// The content of a gzip file.
#pragma once

#include <memory>

#include "proxist/client/data_file.h"
#include "proxist/client/internal/raw_file.h"

namespace proxist::client {

/// `file` stands at its start and begins with the gzip magic. zlib reads it rather than libarchive,
/// which does not verify a gzip file's checksum.
StatusOr<std::unique_ptr<DataFile>> OpenGzip(std::unique_ptr<RawFile> file);

}  // namespace proxist::client
