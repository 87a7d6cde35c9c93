// What a read gives back, made of the columns of ClickHouse's answer.
#pragma once

#include <vector>

#include "proxist/history/history.h"
#include "proxist/history/internal/native_reader.h"

namespace proxist::history {

/// `reader` has gathered ReadColumns(*schema, declared). Its columns move into the result.
StatusOr<ReadResult> MakeReadResult(const column::SchemaPtr& schema,
                                    const std::vector<size_t>& declared, NativeReader reader);

}  // namespace proxist::history
