// Keeps the engine's prompt on a pseudo-terminal and ends it when asked to or when the parent goes.
#pragma once

namespace proxist::launcher {

/// Takes over fd 0: the engine gets a pseudo-terminal there, so it runs interactively and survives
/// clients that reset connections. A thread leaves the prompt when SIGTERM, SIGINT or SIGHUP
/// arrives or what used to be fd 0 reaches its end; it ends the process hard when the engine
/// has not stopped within `stop_bound_seconds`. Call once, before any other thread exists. False
/// when the system refuses; errno says why.
bool TakeOverStdin(int stop_bound_seconds);

}  // namespace proxist::launcher
