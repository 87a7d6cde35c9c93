// How long a refused caller should wait, carried by the status that refuses it.
#pragma once

#include <optional>

#include "proxist/base/status.h"
#include "proxist/base/time.h"

namespace proxist {

/// `status`, which is not OK, with the pause after which trying again makes sense.
Status WithRetryAfter(Status status, Duration pause);
/// The pause that `status` carries; nothing: it carries none.
std::optional<Duration> RetryAfter(const Status& status);

}  // namespace proxist
