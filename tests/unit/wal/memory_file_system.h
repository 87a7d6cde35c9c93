// Files in memory that can fail, tear a write, forget unsynced writes and renames and be looked
// into.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "proxist/env/copied_file.h"
#include "proxist/env/file_system.h"

namespace proxist::env {

/// One thread. Directories exist without being made. After the crash every call fails until
/// Reboot().
class MemoryFileSystem final : public FileSystem {
 public:
  using Bytes = std::vector<std::byte>;
  static constexpr size_t kSectorBytes = 512;

  /// The write, rename, remove or sync after `count` more is the crash, as when power goes: a write
  /// leaves any of its sectors, so do unsynced writes before it, and renames that were not synced
  /// may be undone.
  void CrashAfter(uint64_t count, uint32_t seed) {
    crash_in_ = count;
    crash_armed_ = true;
    random_.seed(seed);
  }
  [[nodiscard]] bool crashed() const { return crashed_; }
  void Reboot() {
    crashed_ = crash_armed_ = false;
    undo_.clear();
    unsynced_.clear();
  }
  /// Power goes now.
  void CrashNow(uint32_t seed) {
    CrashAfter(0, seed);
    Change("").IgnoreError();
  }
  /// Calls that change something, so far.
  [[nodiscard]] uint64_t changes() const { return changes_; }
  /// The next durable write fails once without touching the file.
  void FailNextWrite() { fail_next_write_ = true; }
  /// The next sync fails once. As with Linux, a later one neither fails nor writes what it missed.
  void FailNextSync() { fail_next_sync_ = true; }
  /// While full, no durable file can be made.
  void SetFull(bool full) { full_ = full; }

  [[nodiscard]] const std::map<std::string, Bytes>& contents() const { return files_; }
  Bytes& Content(const std::string& path) { return files_.at(path); }
  void Put(const std::string& path, Bytes bytes) { files_[path] = std::move(bytes); }

  StatusOr<std::unique_ptr<File>> Open(const std::string& path, Mode mode) override {
    if (crashed_) return Gone(path);
    if (mode == Mode::kCreateNew) files_.try_emplace(path);
    if (!files_.contains(path)) return NotFound("{}: open: no such file", path);
    return std::make_unique<MemoryFile>(this, path);
  }
  Status AwaitWrites(const std::string& /*path*/) override { return OkStatus(); }
  StatusOr<std::unique_ptr<DurableFile>> OpenDurable(const std::string& path,
                                                     uint64_t size) override {
    if (crashed_) return Gone(path);
    if (!files_.contains(path)) {
      if (full_) return ResourceExhausted("{}: write: No space left on device", path);
      PX_RETURN_IF_ERROR(Change(path));
      files_[path].resize(size);
    }
    if (files_[path].size() != size) return FailedPrecondition("{}: another size", path);
    return std::make_unique<MemoryDurableFile>(this, path);
  }
  Status CreateDirectories(const std::string& path) override {
    return crashed_ ? Gone(path) : OkStatus();
  }
  StatusOr<std::vector<std::string>> List(const std::string& path) override {
    if (crashed_) return Gone(path);
    std::vector<std::string> names;
    for (const auto& [name, bytes] : files_) {
      if (name.starts_with(path + "/")) names.push_back(name.substr(path.size() + 1));
    }
    return names;
  }
  Status Rename(const std::string& from, const std::string& to) override {
    PX_RETURN_IF_ERROR(Change(from));
    if (!files_.contains(from)) return NotFound("{}: rename: no such file", from);
    Move(from, to);
    undo_.push_back({from, to});
    return OkStatus();
  }
  Status Remove(const std::string& path) override {
    PX_RETURN_IF_ERROR(Change(path));
    unsynced_.erase(path);
    return files_.erase(path) == 1 ? OkStatus() : NotFound("{}: remove: no such file", path);
  }
  Status SyncDirectory(const std::string& path) override {
    PX_RETURN_IF_ERROR(Change(path));
    undo_.clear();
    return OkStatus();
  }
  StatusOr<bool> Exists(const std::string& path) override { return files_.contains(path); }
  Status WriteAtomically(const std::string& path, ByteSpan bytes) override {
    PX_RETURN_IF_ERROR(Change(path));
    files_[path].assign(bytes.begin(), bytes.end());
    return OkStatus();
  }
  StatusOr<Bytes> ReadAll(const std::string& path, uint64_t) override {
    if (!files_.contains(path)) return NotFound("{}: open: no such file", path);
    return files_[path];
  }
  StatusOr<std::shared_ptr<const MappedFile>> Map(const std::string& path) override {
    if (!files_.contains(path)) return NotFound("{}: open: no such file", path);
    return std::make_shared<const CopiedFile>(files_[path]);
  }
  StatusOr<std::unique_ptr<FileLock>> Lock(const std::string&) override {
    return std::make_unique<FileLock>();
  }

 private:
  class MemoryFile final : public File {
   public:
    MemoryFile(MemoryFileSystem* owner, std::string path) : owner_(owner), path_(std::move(path)) {}
    StatusOr<size_t> ReadAt(uint64_t offset, std::span<std::byte> out) const override {
      if (owner_->crashed_) return Gone(path_);
      const Bytes& bytes = owner_->files_.at(path_);
      if (offset >= bytes.size()) return size_t{0};
      const size_t count = std::min<size_t>(out.size(), bytes.size() - offset);
      std::memcpy(out.data(), bytes.data() + offset, count);
      return count;
    }
    Status WriteAt(uint64_t offset, ByteSpan from) override {
      PX_RETURN_IF_ERROR(owner_->Change(path_));
      Bytes& bytes = owner_->files_.at(path_);
      if (bytes.size() < offset + from.size()) bytes.resize(offset + from.size());
      std::ranges::copy(from, bytes.begin() + static_cast<ptrdiff_t>(offset));
      return OkStatus();
    }
    StatusOr<uint64_t> Size() const override { return owner_->files_.at(path_).size(); }
    Status Truncate(uint64_t size) override {
      PX_RETURN_IF_ERROR(owner_->Change(path_));
      owner_->files_.at(path_).resize(size);
      return OkStatus();
    }
    Status Sync() override { return owner_->Sync(path_); }

   private:
    MemoryFileSystem* const owner_;
    const std::string path_;
  };

  class MemoryDurableFile final : public DurableFile {
   public:
    MemoryDurableFile(MemoryFileSystem* owner, std::string path)
        : owner_(owner), path_(std::move(path)) {}
    Status Submit(uint64_t offset, ByteSpan bytes) override {
      if (offset % kBlockBytes != 0 || bytes.size() % kBlockBytes != 0 ||
          reinterpret_cast<uintptr_t>(bytes.data()) % kBlockBytes != 0) {
        return InvalidArgument("{}: not aligned", path_);
      }
      if (offset + bytes.size() > owner_->files_.at(path_).size()) {
        return OutOfRange("{}: past the end", path_);
      }
      if (dirty_) return Internal("{}: a durable write before unsynced ones were synced", path_);
      offset_ = offset;
      bytes_ = bytes;
      return OkStatus();
    }
    Status Wait() override {
      if (std::exchange(owner_->fail_next_write_, false)) {
        return Unavailable("{}: durable write: Input/output error", path_);
      }
      const Status status = owner_->Change(path_);
      if (!status.ok() && !owner_->tearing_) return status;
      // While a write tears, each of its sectors reaches the file or not.
      std::byte* to = owner_->files_.at(path_).data() + offset_;
      for (size_t at = 0; at < bytes_.size(); at += kSectorBytes) {
        if (owner_->tearing_ && owner_->random_() % 2 == 0) continue;
        std::memcpy(to + at, bytes_.data() + at, kSectorBytes);
        owner_->unsynced_[path_].erase(offset_ + at);
      }
      owner_->tearing_ = false;
      return status;
    }
    Status WriteUnsynced(uint64_t offset, ByteSpan bytes) override {
      Bytes& content = owner_->files_.at(path_);
      if (offset % kBlockBytes != 0 || bytes.size() % kBlockBytes != 0 ||
          offset + bytes.size() > content.size()) {
        return InvalidArgument("{}: not aligned or past the end", path_);
      }
      const Status status = owner_->Change(path_);
      if (!status.ok() && !owner_->tearing_) return status;
      dirty_ = true;
      for (size_t at = 0; at < bytes.size(); at += kSectorBytes) {
        if (owner_->tearing_ && owner_->random_() % 2 == 0) continue;
        std::byte* to = content.data() + offset + at;
        owner_->unsynced_[path_].try_emplace(offset + at, Sector{Bytes(to, to + kSectorBytes)});
        std::memcpy(to, bytes.data() + at, kSectorBytes);
      }
      owner_->tearing_ = false;
      return status;
    }
    Status Sync() override {
      dirty_ = false;
      return owner_->Sync(path_);
    }
    [[nodiscard]] bool direct() const override { return true; }

   private:
    MemoryFileSystem* const owner_;
    const std::string path_;
    uint64_t offset_ = 0;
    ByteSpan bytes_;
    bool dirty_ = false;  // has unsynced writes of this handle
  };

  /// What the device holds where the page cache has something newer.
  struct Sector {
    Bytes durable;
    bool missed = false;  // a sync failed: no later one writes it
  };

  static Status Gone(const std::string& path) { return Unavailable("{}: power is off", path); }

  Status Change(const std::string& path) {
    tearing_ = false;
    if (crashed_) return Gone(path);
    ++changes_;
    if (!crash_armed_ || crash_in_-- > 0) return OkStatus();
    crashed_ = tearing_ = true;
    for (const auto& [name, sectors] : unsynced_) {
      for (const auto& [offset, sector] : sectors) {
        if (!sector.missed && random_() % 2 == 0) continue;
        std::ranges::copy(sector.durable, files_.at(name).data() + offset);
      }
    }
    unsynced_.clear();
    while (!undo_.empty() && random_() % 2 == 0) {
      const auto [from, to] = undo_.back();
      Move(to, from);
      undo_.pop_back();
    }
    return Gone(path);
  }
  Status Sync(const std::string& path) {
    auto& sectors = unsynced_[path];
    if (std::exchange(fail_next_sync_, false)) {
      for (auto& [offset, sector] : sectors) sector.missed = true;
      return Unavailable("{}: fdatasync: Input/output error", path);
    }
    PX_RETURN_IF_ERROR(Change(path));
    std::erase_if(sectors, [](const auto& entry) { return !entry.second.missed; });
    return OkStatus();
  }
  void Move(const std::string& from, const std::string& to) {
    files_[to] = std::move(files_[from]);
    files_.erase(from);
    unsynced_[to] = std::move(unsynced_[from]);
    unsynced_.erase(from);
  }

  std::map<std::string, Bytes> files_;
  std::vector<std::pair<std::string, std::string>> undo_;       // unsynced renames
  std::map<std::string, std::map<uint64_t, Sector>> unsynced_;  // by path and offset
  std::mt19937 random_;
  uint64_t changes_ = 0;
  uint64_t crash_in_ = 0;
  bool crash_armed_ = false;
  bool crashed_ = false;
  bool tearing_ = false;
  bool fail_next_write_ = false;
  bool fail_next_sync_ = false;
  bool full_ = false;
};

}  // namespace proxist::env
