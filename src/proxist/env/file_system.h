// Files as Proxist needs them; the simulator brings its own. POSIX and io_uring stand behind
// PosixFileSystem().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/bytes.h"
#include "proxist/base/status.h"

namespace proxist::env {

/// Offsets and lengths of durable writes are multiples of this; O_DIRECT needs it on every file
/// system used.
inline constexpr size_t kBlockBytes = 4096;

/// An open file. One thread at a time, except ReadAt, which any thread may call. Closed by the
/// destructor. Errors: NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED (disk full,
/// too many open files), else UNAVAILABLE, each with path and errno text.
class File {
 public:
  virtual ~File() = default;
  /// Fills `out` from `offset`; returns the bytes read, fewer only at the end of the file.
  virtual StatusOr<size_t> ReadAt(uint64_t offset, std::span<std::byte> out) const = 0;
  virtual Status WriteAt(uint64_t offset, ByteSpan bytes) = 0;
  virtual StatusOr<uint64_t> Size() const = 0;
  virtual Status Truncate(uint64_t size) = 0;
  /// fdatasync. After an error the file's unsynced content is unknown: never retry.
  virtual Status Sync() = 0;
};

/// A preallocated file for durable overwrites, one write in flight at a time, and for unsynced ones
/// through the page cache. The two kinds never share a block, and Sync stands between an unsynced
/// write and the next durable one, so no dirty page is there when a write passes the cache. One
/// thread.
class DurableFile {
 public:
  virtual ~DurableFile() = default;
  /// Starts writing `bytes` (block-aligned address, offset and length, inside the preallocated
  /// size, at most 1 GiB); they must stay unchanged until Wait returns. No write may be in flight.
  /// INVALID_ARGUMENT, OUT_OF_RANGE: nothing was started, Wait must not be called.
  virtual Status Submit(uint64_t offset, ByteSpan bytes) = 0;
  /// Waits for the write that is in flight; OK means that it survives power loss.
  virtual Status Wait() = 0;
  /// Writes `bytes` (offset and length as in Submit, any address) into the page cache: OK means
  /// that they survive this process. Power loss keeps any of their sectors, or none, until Sync. No
  /// write may be in flight. INVALID_ARGUMENT, OUT_OF_RANGE: nothing was written.
  virtual Status WriteUnsynced(uint64_t offset, ByteSpan bytes) = 0;
  /// fdatasync: OK means that everything written survives power loss. After an error what is not
  /// synced is unknown: never retry. No write may be in flight.
  virtual Status Sync() = 0;
  /// True when durable writes bypass the page cache (O_DIRECT), false for the fallback through it
  /// (O_DSYNC: each write carries an fdatasync).
  [[nodiscard]] virtual bool direct() const = 0;
};

/// A file's bytes, read-only, as they were when it was mapped; the file is not changed meanwhile.
/// They stay when the file is removed or renamed. Any thread. A disk that cannot read them ends the
/// process (SIGBUS).
class MappedFile {
 public:
  virtual ~MappedFile() = default;
  /// Aligned to 64 bytes at least; valid as long as this lives.
  [[nodiscard]] virtual ByteSpan bytes() const = 0;
  /// Gives back the memory of what was read; it is read again when it is asked for.
  virtual void Release() const = 0;
};

/// Holds an advisory lock until destroyed.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

/// Thread-safe. Paths are the host's. Errors as in File.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  enum class Mode { kRead, kReadWrite, kCreateNew };
  virtual StatusOr<std::unique_ptr<File>> Open(const std::string& path, Mode mode) = 0;
  /// Creates `path` zero-filled with `size` bytes (a multiple of kBlockBytes), synced, its
  /// directory too; or opens it when it exists with that size (FAILED_PRECONDITION: it has
  /// another). While it is filled it is called path.tmp. Falls back from O_DIRECT where the file
  /// system refuses it.
  virtual StatusOr<std::unique_ptr<DurableFile>> OpenDurable(const std::string& path,
                                                             uint64_t size) = 0;
  /// Waits for durable writes to `path` that a process had begun and not waited for when it was
  /// killed: the kernel may end one after the process, and its locks, are gone. To be called before
  /// the file is read. FAILED_PRECONDITION: one is in flight for a minute, or somebody has the file
  /// open for durable writes.
  virtual Status AwaitWrites(const std::string& path) = 0;
  /// With all parents, durably; OK when it is there already.
  virtual Status CreateDirectories(const std::string& path) = 0;
  /// Names (not paths) in `path`, sorted.
  virtual StatusOr<std::vector<std::string>> List(const std::string& path) = 0;
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  virtual Status Remove(const std::string& path) = 0;
  virtual Status SyncDirectory(const std::string& path) = 0;
  virtual StatusOr<bool> Exists(const std::string& path) = 0;
  /// Writes path.tmp, syncs, renames over `path`, syncs the directory.
  virtual Status WriteAtomically(const std::string& path, ByteSpan bytes) = 0;
  /// RESOURCE_EXHAUSTED when the file is larger than `max_bytes`.
  virtual StatusOr<std::vector<std::byte>> ReadAll(const std::string& path, uint64_t max_bytes) = 0;
  /// The whole of a file that nobody changes any more.
  virtual StatusOr<std::shared_ptr<const MappedFile>> Map(const std::string& path) = 0;
  /// Creates `path` when it is missing. FAILED_PRECONDITION naming the process that holds it.
  virtual StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
};

/// The host's file system; lives as long as the process.
FileSystem& PosixFileSystem();

}  // namespace proxist::env
