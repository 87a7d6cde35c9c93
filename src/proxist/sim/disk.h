// A disk under a page cache. What was not synced may be lost on a power failure, sector by sector
// and name by name.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/env/file_system.h"
#include "proxist/sim/power.h"
#include "proxist/sim/random.h"

namespace proxist::sim {

inline constexpr size_t kSectorBytes = 512;

/// How the disk misbehaves besides losing what was not synced.
struct DiskFaults {
  uint32_t write_errors_per_10000 = 0;  // a write or sync that fails; part of it may have happened
  uint64_t capacity = UINT64_MAX;       // bytes of all files; beyond it nothing grows
  bool misdirect = false;  // the write during which the power fails may land on another block, but
                           // not on what Rot spares
};

/// One thread. Directories exist once made. After the power failed every call fails until Boot.
class Disk final : public env::FileSystem {
 public:
  Disk(Power* power, Random* random) : power_(power), random_(random) {}

  void SetFaults(const DiskFaults& faults) { faults_ = faults; }
  [[nodiscard]] const DiskFaults& faults() const { return faults_; }
  /// Called while a durable write is in flight.
  void SetOnFlight(std::function<void()> on_flight) { on_flight_ = std::move(on_flight); }

  /// The machine starts again after a power failure: of what was not synced, each sector and, per
  /// directory, each name after a random one is as it was before.
  void Boot();
  /// The process was killed, the machine lives: everything written is still there.
  void KeepCache();
  /// Flips one bit of a synced sector of a file whose path contains `part`, but not of what was
  /// written to its directory's preallocated files since the file `watermark` there: nothing tells
  /// that from a write that did not finish. Returns what it did; empty: there was no such sector.
  std::string Rot(std::string_view part);
  [[nodiscard]] uint64_t used_bytes() const;

  StatusOr<std::unique_ptr<env::File>> Open(const std::string& path, Mode mode) override;
  /// A crash ends what is in flight.
  Status AwaitWrites(const std::string& /*path*/) override { return OkStatus(); }
  StatusOr<std::unique_ptr<env::DurableFile>> OpenDurable(const std::string& path,
                                                          uint64_t size) override;
  Status CreateDirectories(const std::string& path) override;
  StatusOr<std::vector<std::string>> List(const std::string& path) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status SyncDirectory(const std::string& path) override;
  StatusOr<bool> Exists(const std::string& path) override;
  Status WriteAtomically(const std::string& path, ByteSpan bytes) override;
  StatusOr<std::vector<std::byte>> ReadAll(const std::string& path, uint64_t max_bytes) override;
  /// A copy: what happens to the disk does not reach it.
  StatusOr<std::shared_ptr<const env::MappedFile>> Map(const std::string& path) override;
  StatusOr<std::unique_ptr<env::FileLock>> Lock(const std::string& path) override;

 private:
  using Bytes = std::vector<std::byte>;
  struct Inode {
    Bytes cache;               // what reads see
    Bytes durable;             // what a power failure cannot take
    std::set<uint64_t> dirty;  // sectors that the next sync writes
  };
  using InodePtr = std::shared_ptr<Inode>;
  using Names = std::map<std::string, InodePtr>;  // by path
  /// A change of one directory's names that is not synced.
  struct NameChange {
    std::string directory;
    std::string removed;  // empty: none
    std::string added;
    InodePtr inode;
  };
  class CachedFile;
  class DirectFile;

  static std::string DirectoryOf(const std::string& path);
  static void Apply(const NameChange& change, Names* names);
  Status Dark(const std::string& path) const { return Power::Dark(path); }
  Status Readable(const std::string& path) const;
  /// Asks the power; on the failing change runs `partly`.
  Status Change(const std::string& path, const std::function<void()>& partly = nullptr);
  void ChangeNames(NameChange change);
  Status WriteCache(const std::string& path, Inode* inode, uint64_t offset, ByteSpan bytes);
  void WriteDurably(Inode* inode, uint64_t offset, ByteSpan bytes);
  void WritePartly(Inode* inode, uint64_t offset, ByteSpan bytes);
  void NoteWritten(const std::string& path, const Inode* inode, uint64_t offset, uint64_t bytes);
  [[nodiscard]] bool IsRecent(const Inode* inode, uint64_t offset, uint64_t bytes) const;
  Status Sync(const std::string& path, Inode* inode);
  void SyncInode(Inode* inode);
  void LoseSome(Inode* inode);
  [[nodiscard]] bool WriteFails() {
    return faults_.write_errors_per_10000 > 0 &&
           random_->Below(10000) < faults_.write_errors_per_10000;
  }

  Power* const power_;
  Random* const random_;
  DiskFaults faults_;
  std::function<void()> on_flight_;
  Names names_;
  Names durable_names_;
  std::vector<NameChange> unsynced_names_;
  struct Written {
    const Inode* inode;
    uint64_t offset;
    uint64_t bytes;
  };
  std::map<std::string, std::vector<Written>> recent_;  // by directory, since its watermark
  uint64_t generation_ = 0;  // of boots: files opened before do not work after
};

}  // namespace proxist::sim
