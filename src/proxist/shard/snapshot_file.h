// A snapshot's manifest: sections of a shard's state at one cut, each checked. FORMAT.md has the
// bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/bytes.h"
#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/column/schema.h"
#include "proxist/env/cipher.h"
#include "proxist/env/file_system.h"
#include "proxist/hot/chunk_file.h"
#include "proxist/hot/image.h"

namespace proxist::shard {

inline constexpr uint64_t kSnapshotMagic = 0x485350414e535850;  // "PXSNAPSH"
/// What is written without and with encryption; both are read.
inline constexpr uint32_t kSnapshotVersion = 1;
inline constexpr uint32_t kEncryptedSnapshotVersion = 2;
inline constexpr size_t kSnapshotHeaderBytes = 64;
inline constexpr size_t kEncryptedSnapshotHeaderBytes = 128;
inline constexpr size_t kSectionHeaderBytes = 32;
/// A section's payload: large ones are cut into several of their kind.
inline constexpr uint64_t kMaxSectionBytes = uint64_t{1} << 36;

/// Values are durable; sections stand in this order, those of one kind one after another.
enum class SectionKind : uint32_t {
  kState = 1,      // once
  kStrings = 2,    // the dictionary, by code
  kTable = 3,      // one each
  kSeries = 4,     // several each
  kProducers = 5,  // once
  kBacklog = 6,    // batches that were not persisted
  kFiles = 7,      // once: the chunk files that series refer to
  kEnd = 8,        // once
};

struct SnapshotHeader {
  hot::FileIdentity identity;
  Epoch epoch;  // of the opening that wrote it
  Lsn cut;      // it holds every row at or below
  Timestamp taken;
  KeyId key;  // that the sections are encrypted under; 0: none. Of a manifest that is read
};

struct SnapshotState {
  Lsn persisted;  // when it was taken
  uint64_t next_chunk = 1;
  uint64_t next_file = 1;
  bool backlog_kept = false;  // false: there was no history to flush to
};

struct SnapshotTable {
  column::TableSchema schema;
  Timestamp max_ts = Timestamp::Min();
  Timestamp persisted_ts = Timestamp::Min();  // greatest ts persisted
};

/// What a manifest uses of one chunk file.
struct FileUse {
  uint64_t file = 0;
  uint64_t bytes = 0;
  uint64_t live_bytes = 0;  // of the chunks referred to
  uint64_t live_chunks = 0;
};

struct SnapshotProducer {
  std::string_view name;
  BatchNumber last;
  Lsn first_lsn;
  Lsn last_lsn;
};

/// What is kept of a batch that was not persisted; its rows are in the log.
struct SnapshotBatch {
  Lsn first;
  Lsn last;
  TableId table;
  Timestamp max_ts;
  std::vector<Day> rewritten_days;
};

/// "snapshot-%016x" of the cut, and the cut in such a name.
std::string SnapshotFileName(Lsn cut);
std::optional<Lsn> ParseSnapshotFileName(std::string_view name);
/// Cuts of the snapshots in a directory, the newest first; none when it is missing.
StatusOr<std::vector<Lsn>> ListSnapshots(env::FileSystem* files, const std::string& directory);

/// Writes a manifest under a temporary name, encrypted when there are keys. One thread.
class SnapshotFileWriter {
 public:
  static StatusOr<std::unique_ptr<SnapshotFileWriter>> Create(env::FileSystem* files,
                                                              const std::string& directory,
                                                              const SnapshotHeader& header,
                                                              env::Keyring* keys = nullptr);
  Status Add(SectionKind kind, ByteSpan payload);
  /// Ends the file and syncs it.
  Status Finish();
  /// Gives it its name, durably: from now on it is the snapshot.
  Status Publish();
  [[nodiscard]] uint64_t bytes() const { return written_ + buffer_.size(); }

 private:
  SnapshotFileWriter(env::FileSystem* files, std::string directory, std::string name)
      : files_(files), directory_(std::move(directory)), name_(std::move(name)) {}
  void PutHeader(const SnapshotHeader& header, const env::FileKey& key);
  Status WriteBuffer();

  env::FileSystem* const files_;
  const std::string directory_;
  const std::string name_;
  std::unique_ptr<env::File> out_;
  std::unique_ptr<env::FileCipher> cipher_;  // nullptr: it is not encrypted
  std::vector<std::byte> buffer_;
  uint64_t written_ = 0;
  uint64_t sections_ = 0;
  uint64_t chain_ = 0;  // checksum of the header or section before
};

/// Called in the manifest's order with checked content; an empty member is skipped, an error stops
/// and is returned.
struct SnapshotVisitor {
  std::function<Status(const SnapshotHeader&)> header;
  std::function<Status(const SnapshotState&)> state;
  std::function<Status(std::span<const std::string_view>)> strings;
  std::function<Status(const SnapshotTable&)> table;
  std::function<Status(const hot::StoredSeries&)> series;
  std::function<Status(const SnapshotProducer&)> producer;
  std::function<Status(const SnapshotBatch&)> batch;
  std::function<Status(const FileUse&)> file;
};

/// Reads a manifest, a section at a time. DATA_LOSS names file and offset; FAILED_PRECONDITION:
/// another format version, a snapshot of another data directory or shard than `identity`, or one
/// whose key is not in `keys`.
Status ReadSnapshot(env::FileSystem* files, const std::string& path,
                    const std::optional<hot::FileIdentity>& identity,
                    const SnapshotVisitor& visitor, env::Keyring* keys = nullptr);

// Payloads of sections; appended.
void EncodeState(const SnapshotState& state, std::vector<std::byte>* out);
void EncodeTable(const SnapshotTable& table, std::vector<std::byte>* out);
void EncodeProducer(const SnapshotProducer& producer, std::vector<std::byte>* out);
void EncodeBatchMark(const SnapshotBatch& batch, std::vector<std::byte>* out);
void EncodeFileUse(const FileUse& use, std::vector<std::byte>* out);

}  // namespace proxist::shard
