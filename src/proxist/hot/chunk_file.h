// Files of sealed chunks: written once, each chunk with its own checksum. FORMAT.md has the bytes.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/bytes.h"
#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/env/cipher.h"
#include "proxist/env/file_system.h"
#include "proxist/hot/image.h"

namespace proxist::hot {

/// Whose files they are.
struct FileIdentity {
  uint64_t incarnation = 0;
  ShardId shard;
  bool operator==(const FileIdentity&) const = default;
};

inline constexpr uint64_t kChunkFileMagic = 0x534b4e5548435850;  // "PXCHUNKS"
inline constexpr uint64_t kEnvelopeMagic = 0x4445534f4c435850;   // "PXCLOSED"
/// What is written without and with encryption; both are read.
inline constexpr uint32_t kChunkFileVersion = 1;
inline constexpr uint32_t kEncryptedChunkFileVersion = 2;
inline constexpr size_t kChunkFileHeaderBytes = 64;
inline constexpr size_t kEncryptedChunkFileHeaderBytes = 128;
inline constexpr uint64_t kMaxEncodedBlockBytes = uint64_t{1} << 36;

/// "%016x.chunks".
std::string ChunkFileName(uint64_t file);
/// The number in such a name, which is at least 1; nothing for any other name.
std::optional<uint64_t> ParseChunkFileName(std::string_view name);

/// The key that the file is encrypted under, as its header says; as env::ReadKeyId.
StatusOr<KeyId> KeyOfChunkFile(env::FileSystem* files, const std::string& path);

/// Writes one file, encrypted when there are keys. One thread. Nothing may refer to it before
/// Finish and a sync of its directory.
class ChunkFileWriter {
 public:
  static StatusOr<std::unique_ptr<ChunkFileWriter>> Create(env::FileSystem* files,
                                                           const std::string& directory,
                                                           uint64_t file, Epoch epoch,
                                                           const FileIdentity& identity,
                                                           env::Keyring* keys = nullptr);
  /// Appends a chunk that `encode` appends, encoded, to a vector whose size is a multiple of 64 and
  /// whose checksum it returns. Writes and syncs a little at a time, so that a write of the log
  /// never waits behind a large one.
  StatusOr<ChunkPlace> Add(const std::function<uint64_t(std::vector<std::byte>*)>& encode);
  Status Finish();
  [[nodiscard]] uint64_t file() const { return file_; }
  [[nodiscard]] uint64_t bytes() const { return written_ + buffer_.size(); }

 private:
  ChunkFileWriter(std::unique_ptr<env::File> out, uint64_t file)
      : out_(std::move(out)), file_(file) {}
  void PutHeader(Epoch epoch, const FileIdentity& identity, const env::FileKey& key);
  /// Encrypts what stands behind the envelope at `start` of the buffer.
  void Seal(size_t start);
  /// And syncs it.
  Status WriteBuffer();

  std::unique_ptr<env::File> out_;
  const uint64_t file_;
  std::unique_ptr<env::FileCipher> cipher_;  // nullptr: it is not encrypted
  std::vector<std::byte> buffer_;
  uint64_t written_ = 0;
};

/// Reads one file. One thread. DATA_LOSS names file, offset and what to do.
class ChunkFileReader {
 public:
  /// FAILED_PRECONDITION: another format version, a file of another data directory or shard than
  /// `identity` (not checked when nothing is given), or one whose key is not in `keys`.
  static StatusOr<std::unique_ptr<ChunkFileReader>> Open(
      env::FileSystem* files, const std::string& path, const std::optional<FileIdentity>& identity,
      env::Keyring* keys = nullptr);
  /// The bytes of a chunk, valid until the next call; their checksum is that of `place`, and the
  /// decoder compares it with what they hold.
  StatusOr<ByteSpan> Read(const ChunkPlace& place);
  /// Every block in the file's order, with its offset and the bytes it takes; checks each.
  Status Visit(
      const std::function<Status(uint64_t offset, uint64_t bytes, const BlockSummary&)>& visit);
  [[nodiscard]] uint64_t file() const { return file_; }
  [[nodiscard]] Epoch epoch() const { return epoch_; }
  [[nodiscard]] const FileIdentity& identity() const { return identity_; }
  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  /// That it is encrypted under; 0: none, and its blocks can be mapped.
  [[nodiscard]] KeyId key() const { return key_.id; }

 private:
  explicit ChunkFileReader(std::string path) : path_(std::move(path)) {}
  Status ReadHeader(const std::optional<FileIdentity>& identity);
  Status ReadKey(env::Keyring* keys);
  /// The length of what stands at `offset`: a block, or an envelope and a block.
  StatusOr<uint64_t> LengthAt(uint64_t offset);
  /// The block at `offset`, decrypted, of `bytes` with its envelope.
  StatusOr<ByteSpan> FetchBlock(uint64_t offset, uint64_t bytes);
  [[nodiscard]] Status Damaged(uint64_t offset, std::string_view why) const;
  StatusOr<ByteSpan> Fetch(uint64_t offset, uint64_t bytes);

  const std::string path_;
  std::unique_ptr<env::File> in_;
  uint64_t bytes_ = 0;
  uint64_t header_bytes_ = kChunkFileHeaderBytes;
  uint64_t file_ = 0;
  Epoch epoch_;
  FileIdentity identity_;
  env::FileKey key_;
  std::unique_ptr<env::FileCipher> cipher_;
  std::vector<std::byte> buffer_;  // file bytes from buffered_ on
  uint64_t buffered_ = 0;
  std::vector<std::byte> plain_;
};

}  // namespace proxist::hot
