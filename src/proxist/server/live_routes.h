// What live views in ClickHouse ask for: /live/seam, /live/rows, /live/keys, /live/check.
#pragma once

#include <string>

#include "proxist/meta/catalog.h"
#include "proxist/server/http_server.h"
#include "proxist/server/live_seams.h"

namespace proxist::server {

/// Answers GETs whose `token` is the one given; docs in history's FORMAT.md. Refusals are 400, 403
/// or 404, which ClickHouse does not try again. `catalog` and `seams` outlive the handler.
HttpStreamHandler MakeLiveHandler(const meta::Catalog* catalog, LiveSeams* seams,
                                  std::string token);

}  // namespace proxist::server
