// The tables inside a metadata file, and their version.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxist/meta/internal/sqlite.h"

namespace proxist::meta {

inline constexpr int64_t kApplicationId = 0x50584d44;  // "PXMD"
inline constexpr int64_t kLayout = 1;
/// Changes of these keys are kept with their old and new values; others are only counted, since
/// watermarks change many times a second.
inline constexpr std::string_view kAuditedPrefix = "resource/";
inline constexpr size_t kMaxAuditTextBytes = 4096;

/// Makes `db` a metadata store held by this connection alone, with every commit synced: creates the
/// tables in an empty file, checks them in another. DATA_LOSS for damage, FAILED_PRECONDITION for a
/// newer layout, a file that is something else, or one in use.
Status OpenLayout(Database* db);

}  // namespace proxist::meta
