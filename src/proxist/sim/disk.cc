#include "proxist/sim/disk.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "proxist/base/check.h"
#include "proxist/env/copied_file.h"

namespace proxist::sim {
namespace {

void Copy(ByteSpan from, uint64_t offset, std::vector<std::byte>* to) {
  if (to->size() < offset + from.size()) to->resize(offset + from.size());
  std::ranges::copy(from, to->begin() + static_cast<std::ptrdiff_t>(offset));
}

uint64_t SectorsOf(uint64_t bytes) { return (bytes + kSectorBytes - 1) / kSectorBytes; }

}  // namespace

/// A file through the page cache.
class Disk::CachedFile final : public env::File {
 public:
  CachedFile(Disk* disk, std::string path, InodePtr inode)
      : disk_(disk),
        path_(std::move(path)),
        inode_(std::move(inode)),
        generation_(disk->generation_) {}

  StatusOr<size_t> ReadAt(uint64_t offset, std::span<std::byte> out) const override {
    PX_RETURN_IF_ERROR(Check());
    const Bytes& bytes = inode_->cache;
    if (offset >= bytes.size()) return size_t{0};
    const size_t count = std::min<uint64_t>(out.size(), bytes.size() - offset);
    std::memcpy(out.data(), bytes.data() + offset, count);
    return count;
  }
  Status WriteAt(uint64_t offset, ByteSpan bytes) override {
    PX_RETURN_IF_ERROR(Check());
    return disk_->WriteCache(path_, inode_.get(), offset, bytes);
  }
  StatusOr<uint64_t> Size() const override {
    PX_RETURN_IF_ERROR(Check());
    return inode_->cache.size();
  }
  Status Truncate(uint64_t size) override {
    PX_RETURN_IF_ERROR(Check());
    PX_RETURN_IF_ERROR(disk_->Change(path_));
    for (uint64_t s = SectorsOf(std::min<uint64_t>(size, inode_->cache.size()));
         s < SectorsOf(std::max<uint64_t>(size, inode_->cache.size())); ++s) {
      inode_->dirty.insert(s);
    }
    inode_->cache.resize(size);
    return OkStatus();
  }
  Status Sync() override {
    PX_RETURN_IF_ERROR(Check());
    return disk_->Sync(path_, inode_.get());
  }

 private:
  [[nodiscard]] Status Check() const {
    PX_CHECK(generation_ == disk_->generation_);
    return disk_->Readable(path_);
  }
  Disk* const disk_;
  const std::string path_;
  const InodePtr inode_;
  const uint64_t generation_;
};

/// A file whose writes are durable when they are waited for.
class Disk::DirectFile final : public env::DurableFile {
 public:
  DirectFile(Disk* disk, std::string path, InodePtr inode)
      : disk_(disk), path_(std::move(path)), inode_(std::move(inode)) {}

  Status Submit(uint64_t offset, ByteSpan bytes) override {
    PX_CHECK(!in_flight_);
    if (offset % env::kBlockBytes != 0 || bytes.size() % env::kBlockBytes != 0 ||
        reinterpret_cast<uintptr_t>(bytes.data()) % env::kBlockBytes != 0) {
      return InvalidArgument("{}: a durable write is not aligned", path_);
    }
    if (offset + bytes.size() > inode_->cache.size()) {
      return OutOfRange("{}: a durable write ends past the file", path_);
    }
    offset_ = offset;
    bytes_ = bytes;
    checksum_ = Checksum(bytes);
    in_flight_ = true;
    return OkStatus();
  }

  Status Wait() override {
    PX_CHECK(in_flight_);
    if (disk_->on_flight_ && disk_->power_->on()) disk_->on_flight_();
    in_flight_ = false;
    PX_CHECK(Checksum(bytes_) == checksum_);  // the device was reading them
    PX_RETURN_IF_ERROR(
        disk_->Change(path_, [this] { disk_->WritePartly(inode_.get(), Destination(), bytes_); }));
    if (disk_->WriteFails()) {
      disk_->WritePartly(inode_.get(), offset_, bytes_);
      return Unavailable("{}: durable write: Input/output error", path_);
    }
    disk_->WriteDurably(inode_.get(), offset_, bytes_);
    disk_->NoteWritten(path_, inode_.get(), offset_, bytes_.size());
    return OkStatus();
  }
  Status WriteUnsynced(uint64_t offset, ByteSpan bytes) override {
    PX_CHECK(!in_flight_);
    if (offset % env::kBlockBytes != 0 || bytes.size() % env::kBlockBytes != 0) {
      return InvalidArgument("{}: an unsynced write is not aligned", path_);
    }
    if (offset + bytes.size() > inode_->cache.size()) {
      return OutOfRange("{}: an unsynced write ends past the file", path_);
    }
    disk_->NoteWritten(path_, inode_.get(), offset, bytes.size());
    return disk_->WriteCache(path_, inode_.get(), offset, bytes);
  }
  Status Sync() override {
    PX_CHECK(!in_flight_);
    return disk_->Sync(path_, inode_.get());
  }
  [[nodiscard]] bool direct() const override { return true; }

 private:
  /// Where the write during which the power fails lands.
  [[nodiscard]] uint64_t Destination() const {
    if (!disk_->faults_.misdirect || disk_->random_->Chance(50)) return offset_;
    const uint64_t blocks = (inode_->cache.size() - bytes_.size()) / env::kBlockBytes + 1;
    const uint64_t astray = disk_->random_->Below(blocks) * env::kBlockBytes;
    return disk_->IsRecent(inode_.get(), astray, bytes_.size()) ? offset_ : astray;
  }
  Disk* const disk_;
  const std::string path_;
  const InodePtr inode_;
  bool in_flight_ = false;
  uint64_t offset_ = 0;
  ByteSpan bytes_;
  uint64_t checksum_ = 0;
};

// --- Power ---

void Disk::Boot() {
  // Names first: a directory keeps a prefix of what happened to it.
  std::set<std::string> stopped;
  for (const NameChange& change : unsynced_names_) {
    if (stopped.contains(change.directory)) continue;
    if (random_->Chance(40)) {
      stopped.insert(change.directory);
    } else {
      Apply(change, &durable_names_);
    }
  }
  unsynced_names_.clear();
  names_ = durable_names_;
  for (const auto& [path, inode] : names_) LoseSome(inode.get());
  for (const auto& [path, inode] : names_) inode->cache = inode->durable;
  ++generation_;
  power_->Restore();
}

void Disk::KeepCache() {
  ++generation_;
  power_->Restore();
}

void Disk::LoseSome(Inode* inode) {
  const uint64_t sectors = SectorsOf(std::max(inode->cache.size(), inode->durable.size()));
  // A file that shrank or grew has its new size or its old one.
  if (inode->cache.size() != inode->durable.size() && random_->Chance(50)) {
    inode->durable.resize(inode->cache.size());
  }
  for (const uint64_t s : inode->dirty) {
    if (s >= sectors || random_->Chance(50)) continue;
    const uint64_t begin = s * kSectorBytes;
    const uint64_t end =
        std::min<uint64_t>({begin + kSectorBytes, inode->cache.size(), inode->durable.size()});
    if (begin >= end) continue;
    std::copy_n(inode->cache.begin() + static_cast<std::ptrdiff_t>(begin), end - begin,
                inode->durable.begin() + static_cast<std::ptrdiff_t>(begin));
  }
  // What a failed sync did not write, no later one does: the pages count as clean.
  inode->dirty.clear();
}

std::string Disk::Rot(std::string_view part) {
  std::vector<std::pair<std::string, Inode*>> candidates;
  for (const auto& [path, inode] : names_) {
    if (path.find(part) != std::string::npos && !inode->cache.empty()) {
      candidates.emplace_back(path, inode.get());
    }
  }
  if (candidates.empty()) return {};
  const auto& [path, inode] = candidates[random_->Below(candidates.size())];
  const uint64_t at = random_->Below(inode->durable.size());
  if (IsRecent(inode, at, 1) || inode->dirty.contains(at / kSectorBytes)) return {};
  const auto bit = static_cast<std::byte>(1U << random_->Below(8));
  inode->durable[at] ^= bit;
  inode->cache[at] = inode->durable[at];
  return fmt::format("{}: a bit of byte {} flipped", path, at);
}

void Disk::NoteWritten(const std::string& path, const Inode* inode, uint64_t offset,
                       uint64_t bytes) {
  std::vector<Written>& recent = recent_[DirectoryOf(path)];
  if (path.ends_with("/watermark")) recent.clear();
  recent.push_back({inode, offset, bytes});
}

bool Disk::IsRecent(const Inode* inode, uint64_t offset, uint64_t bytes) const {
  for (const auto& [directory, recent] : recent_) {
    for (const Written& one : recent) {
      if (one.inode == inode && offset < one.offset + one.bytes && one.offset < offset + bytes) {
        return true;
      }
    }
  }
  return false;
}

uint64_t Disk::used_bytes() const {
  uint64_t used = 0;
  for (const auto& [path, inode] : names_) used += inode->cache.size();
  return used;
}

// --- Changes ---

std::string Disk::DirectoryOf(const std::string& path) {
  return path.substr(0, path.find_last_of('/'));
}

void Disk::Apply(const NameChange& change, Names* names) {
  if (!change.removed.empty()) names->erase(change.removed);
  if (!change.added.empty()) (*names)[change.added] = change.inode;
}

void Disk::ChangeNames(NameChange change) {
  Apply(change, &names_);
  unsynced_names_.push_back(std::move(change));
}

Status Disk::Readable(const std::string& path) const {
  return power_->on() ? OkStatus() : Dark(path);
}

Status Disk::Change(const std::string& path, const std::function<void()>& partly) {
  switch (power_->Change()) {
    case Power::Step::kGoOn:
      return OkStatus();
    case Power::Step::kFails:
      if (partly) partly();
      return Dark(path);
    case Power::Step::kDark:
      return Dark(path);
  }
  return Dark(path);
}

Status Disk::WriteCache(const std::string& path, Inode* inode, uint64_t offset, ByteSpan bytes) {
  PX_RETURN_IF_ERROR(Change(path));
  const uint64_t end = offset + bytes.size();
  if (end > inode->cache.size() && used_bytes() + end - inode->cache.size() > faults_.capacity) {
    return ResourceExhausted("{}: write: No space left on device", path);
  }
  const uint64_t first = std::min<uint64_t>(offset, inode->cache.size()) / kSectorBytes;
  Copy(bytes, offset, &inode->cache);
  for (uint64_t s = first; s < SectorsOf(end); ++s) inode->dirty.insert(s);
  return OkStatus();
}

void Disk::WriteDurably(Inode* inode, uint64_t offset, ByteSpan bytes) {
  Copy(bytes, offset, &inode->cache);
  Copy(bytes, offset, &inode->durable);
  for (uint64_t s = offset / kSectorBytes; s < SectorsOf(offset + bytes.size()); ++s) {
    inode->dirty.erase(s);
  }
}

void Disk::WritePartly(Inode* inode, uint64_t offset, ByteSpan bytes) {
  // One in four fails before its first sector or after its last.
  const uint64_t kept = random_->OneOf({0, 100, 50, 50, 50, 50, 50, 50});
  for (size_t at = 0; at < bytes.size(); at += kSectorBytes) {
    if (random_->Chance(kept)) WriteDurably(inode, offset + at, bytes.subspan(at, kSectorBytes));
  }
}

Status Disk::Sync(const std::string& path, Inode* inode) {
  PX_RETURN_IF_ERROR(Change(path, [&] { LoseSome(inode); }));
  if (WriteFails()) {
    LoseSome(inode);
    return Unavailable("{}: fdatasync: Input/output error", path);
  }
  SyncInode(inode);
  return OkStatus();
}

void Disk::SyncInode(Inode* inode) {
  inode->durable.resize(inode->cache.size());
  for (const uint64_t s : inode->dirty) {
    const uint64_t begin = s * kSectorBytes;
    const uint64_t end = std::min<uint64_t>(begin + kSectorBytes, inode->cache.size());
    if (begin >= end) continue;
    std::copy_n(inode->cache.begin() + static_cast<std::ptrdiff_t>(begin), end - begin,
                inode->durable.begin() + static_cast<std::ptrdiff_t>(begin));
  }
  inode->dirty.clear();
}

// --- FileSystem ---

StatusOr<std::unique_ptr<env::File>> Disk::Open(const std::string& path, Mode mode) {
  PX_RETURN_IF_ERROR(Readable(path));
  auto found = names_.find(path);
  if (mode == Mode::kCreateNew) {
    if (found != names_.end()) return AlreadyExists("{}: open: File exists", path);
    PX_RETURN_IF_ERROR(Change(path));
    ChangeNames({DirectoryOf(path), "", path, std::make_shared<Inode>()});
    found = names_.find(path);
  }
  if (found == names_.end()) return NotFound("{}: open: No such file or directory", path);
  return std::make_unique<CachedFile>(this, path, found->second);
}

StatusOr<std::unique_ptr<env::DurableFile>> Disk::OpenDurable(const std::string& path,
                                                              uint64_t size) {
  PX_RETURN_IF_ERROR(Readable(path));
  const auto found = names_.find(path);
  if (found != names_.end()) {
    if (found->second->cache.size() != size) {
      return FailedPrecondition("{}: it has {} bytes, not {}", path, found->second->cache.size(),
                                size);
    }
    return std::make_unique<DirectFile>(this, path, found->second);
  }
  if (used_bytes() + size > faults_.capacity) {
    return ResourceExhausted("{}: write: No space left on device", path);
  }
  const std::string unfinished = path + ".tmp";
  const auto inode = std::make_shared<Inode>();
  inode->cache.resize(size / 2);
  PX_RETURN_IF_ERROR(Change(path, [&] {
    ChangeNames({DirectoryOf(path), "", unfinished, inode});
  }));
  inode->cache.resize(size);
  inode->durable = inode->cache;
  ChangeNames({DirectoryOf(path), "", path, inode});
  PX_RETURN_IF_ERROR(SyncDirectory(DirectoryOf(path)));
  return std::make_unique<DirectFile>(this, path, inode);
}

Status Disk::CreateDirectories(const std::string& path) { return Readable(path); }

StatusOr<std::vector<std::string>> Disk::List(const std::string& path) {
  PX_RETURN_IF_ERROR(Readable(path));
  std::vector<std::string> found;
  for (const auto& [name, inode] : names_) {
    if (DirectoryOf(name) == path) found.push_back(name.substr(path.size() + 1));
  }
  return found;
}

Status Disk::Rename(const std::string& from, const std::string& to) {
  PX_RETURN_IF_ERROR(Change(from));
  const auto found = names_.find(from);
  if (found == names_.end()) return NotFound("{}: rename: No such file or directory", from);
  PX_CHECK(DirectoryOf(from) == DirectoryOf(to));
  ChangeNames({DirectoryOf(from), from, to, InodePtr(found->second)});
  return OkStatus();
}

Status Disk::Remove(const std::string& path) {
  PX_RETURN_IF_ERROR(Change(path));
  if (!names_.contains(path)) return NotFound("{}: unlink: No such file or directory", path);
  ChangeNames({DirectoryOf(path), path, "", nullptr});
  return OkStatus();
}

Status Disk::SyncDirectory(const std::string& path) {
  PX_RETURN_IF_ERROR(Change(path));
  std::erase_if(unsynced_names_, [&](const NameChange& change) {
    if (change.directory != path) return false;
    Apply(change, &durable_names_);
    return true;
  });
  return OkStatus();
}

StatusOr<bool> Disk::Exists(const std::string& path) {
  PX_RETURN_IF_ERROR(Readable(path));
  return names_.contains(path);
}

Status Disk::WriteAtomically(const std::string& path, ByteSpan bytes) {
  const std::string unfinished = path + ".tmp";
  if (used_bytes() + bytes.size() > faults_.capacity) {
    return ResourceExhausted("{}: write: No space left on device", path);
  }
  const auto inode = std::make_shared<Inode>();
  inode->cache.assign(bytes.begin(), bytes.end());
  for (uint64_t s = 0; s < SectorsOf(bytes.size()); ++s) inode->dirty.insert(s);
  PX_RETURN_IF_ERROR(Change(path, [&] {
    ChangeNames({DirectoryOf(path), "", unfinished, inode});
  }));
  if (WriteFails()) return Unavailable("{}: write: Input/output error", path);
  SyncInode(inode.get());
  ChangeNames({DirectoryOf(path), "", unfinished, inode});
  PX_RETURN_IF_ERROR(Change(path));
  ChangeNames({DirectoryOf(path), unfinished, path, inode});
  return SyncDirectory(DirectoryOf(path));
}

StatusOr<std::vector<std::byte>> Disk::ReadAll(const std::string& path, uint64_t max_bytes) {
  PX_RETURN_IF_ERROR(Readable(path));
  const auto found = names_.find(path);
  if (found == names_.end()) return NotFound("{}: open: No such file or directory", path);
  if (found->second->cache.size() > max_bytes) {
    return ResourceExhausted("{}: it has {} bytes, at most {} are read", path,
                             found->second->cache.size(), max_bytes);
  }
  return found->second->cache;
}

StatusOr<std::shared_ptr<const env::MappedFile>> Disk::Map(const std::string& path) {
  PX_RETURN_IF_ERROR(Readable(path));
  const auto found = names_.find(path);
  if (found == names_.end()) return NotFound("{}: open: No such file or directory", path);
  return std::make_shared<const env::CopiedFile>(found->second->cache);
}

StatusOr<std::unique_ptr<env::FileLock>> Disk::Lock(const std::string&) {
  return std::make_unique<env::FileLock>();
}

}  // namespace proxist::sim
