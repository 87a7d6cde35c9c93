// How a Connection makes a WritePipe, apart because of its includes.
#pragma once

#include <cstddef>
#include <memory>

#include "bench/write_pipe.h"
#include "proxist/v1/proxist.grpc.pb.h"

namespace proxist::bench::internal {

/// `stub` outlives the pipe.
std::unique_ptr<WritePipe> MakePipe(v1::Ingest::Stub* stub, size_t window);

}  // namespace proxist::bench::internal
