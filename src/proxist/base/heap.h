// How the process's heap treats memory that is freed.
#pragma once

namespace proxist {

/// Keeps the memory of batches, frames and answers, which come and go all the time, on the heap:
/// touching new pages takes longer than filling them. Blocks above 4 MiB are mapped one by one and
/// given back when they are freed. Of the whole process: at the beginning of main.
void KeepFreedMemory();

}  // namespace proxist
