// The content of a data file: plain, gzip or zip, told apart by what the file holds.
#include "proxist/client/data_file.h"

#include <cstring>
#include <utility>
#include <vector>

#include <archive.h>
#include <archive_entry.h>
#include <xxhash.h>

#include "proxist/client/internal/gzip_file.h"
#include "proxist/client/internal/raw_file.h"

namespace proxist::client {
namespace {

constexpr size_t kBlockBytes = size_t{1} << 18;
constexpr std::string_view kGzipMagic = "\x1f\x8b";
constexpr std::string_view kZipMagic = "PK\x03\x04";
constexpr std::string_view kEmptyZipMagic = "PK\x05\x06";
constexpr size_t kNamesShown = 5;

struct ArchiveDelete {
  void operator()(archive* a) const { archive_read_free(a); }
};
using ArchivePtr = std::unique_ptr<archive, ArchiveDelete>;

class PlainFile final : public DataFile {
 public:
  explicit PlainFile(std::unique_ptr<RawFile> file) : file_(std::move(file)) {}
  StatusOr<size_t> Read(std::span<char> out) override { return file_->Read(out); }

 private:
  std::unique_ptr<RawFile> file_;
};

Status DamagedZip(const std::string& path, archive* a) {
  const char* reason = archive_error_string(a);
  return DataLoss("{} is a damaged or unreadable zip file: {}", path,
                  reason != nullptr ? reason : "libarchive cannot read it");
}

StatusOr<ArchivePtr> OpenZipArchive(const std::string& path) {
  ArchivePtr a(archive_read_new());
  if (a == nullptr || archive_read_support_format_zip(a.get()) != ARCHIVE_OK) {
    return Internal("libarchive cannot be set up to read {}", path);
  }
  if (archive_read_open_filename(a.get(), path.c_str(), kBlockBytes) != ARCHIVE_OK) {
    return DamagedZip(path, a.get());
  }
  return a;
}

// Moves to the next entry that is a file; false at the end.
StatusOr<bool> NextFileEntry(const std::string& path, archive* a, std::string* name) {
  archive_entry* entry = nullptr;
  while (true) {
    const int result = archive_read_next_header(a, &entry);
    if (result == ARCHIVE_EOF) return false;
    if (result != ARCHIVE_OK) return DamagedZip(path, a);
    if (archive_entry_filetype(entry) != AE_IFREG) continue;
    const char* pathname = archive_entry_pathname(entry);
    *name = pathname != nullptr ? pathname : "(no name)";
    return true;
  }
}

Status RequireOneEntry(const std::string& path) {
  PX_ASSIGN_OR_RETURN(ArchivePtr a, OpenZipArchive(path));
  std::string names;
  size_t files = 0;
  std::string name;
  while (true) {
    PX_ASSIGN_OR_RETURN(const bool found, NextFileEntry(path, a.get(), &name));
    if (!found) break;
    if (files < kNamesShown) names += (files > 0 ? ", " : "") + name;
    ++files;
  }
  if (files == 1) return OkStatus();
  if (files == 0) return InvalidArgument("{} is a zip file that holds no file", path);
  return InvalidArgument("{} is a zip file that holds {} files ({}{}), expected one", path, files,
                         names, files > kNamesShown ? ", ..." : "");
}

class ZipFile final : public DataFile {
 public:
  ZipFile(std::string path, ArchivePtr a) : path_(std::move(path)), archive_(std::move(a)) {}
  StatusOr<size_t> Read(std::span<char> out) override {
    // A checksum that does not match is only a warning to libarchive; here it is damage.
    const la_ssize_t got = archive_read_data(archive_.get(), out.data(), out.size());
    if (got < 0) return DamagedZip(path_, archive_.get());
    return static_cast<size_t>(got);
  }

 private:
  std::string path_;
  ArchivePtr archive_;
};

StatusOr<std::unique_ptr<DataFile>> OpenZip(const std::string& path) {
  PX_RETURN_IF_ERROR(RequireOneEntry(path));
  PX_ASSIGN_OR_RETURN(ArchivePtr a, OpenZipArchive(path));
  std::string name;
  PX_ASSIGN_OR_RETURN(const bool found, NextFileEntry(path, a.get(), &name));
  if (!found) return DamagedZip(path, a.get());
  return std::unique_ptr<DataFile>(std::make_unique<ZipFile>(path, std::move(a)));
}

StatusOr<std::string> Magic(const std::string& path) {
  PX_ASSIGN_OR_RETURN(std::unique_ptr<RawFile> file, RawFile::Open(path));
  std::string magic(kZipMagic.size(), '\0');
  size_t filled = 0;
  while (filled < magic.size()) {
    PX_ASSIGN_OR_RETURN(const size_t got,
                        file->Read({magic.data() + filled, magic.size() - filled}));
    if (got == 0) break;
    filled += got;
  }
  magic.resize(filled);
  return magic;
}

}  // namespace

StatusOr<std::unique_ptr<DataFile>> DataFile::Open(const std::string& path) {
  PX_ASSIGN_OR_RETURN(const std::string magic, Magic(path));
  if (magic == kZipMagic || magic == kEmptyZipMagic) return OpenZip(path);
  PX_ASSIGN_OR_RETURN(std::unique_ptr<RawFile> file, RawFile::Open(path));
  if (magic.starts_with(kGzipMagic)) return OpenGzip(std::move(file));
  return std::unique_ptr<DataFile>(std::make_unique<PlainFile>(std::move(file)));
}

StatusOr<FileSummary> Summarize(const std::string& path) {
  FileSummary summary;
  PX_ASSIGN_OR_RETURN(std::unique_ptr<RawFile> raw, RawFile::Open(path));
  std::vector<char> block(kBlockBytes);
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                       &XXH3_freeState);
  if (state == nullptr || XXH3_128bits_reset(state.get()) == XXH_ERROR) {
    return ResourceExhausted("no memory to hash {}", path);
  }
  while (true) {
    PX_ASSIGN_OR_RETURN(const size_t got, raw->Read(block));
    if (got == 0) break;
    XXH3_128bits_update(state.get(), block.data(), got);
    summary.stored_bytes += got;
  }
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  summary.digest = fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
  PX_ASSIGN_OR_RETURN(const std::string magic, Magic(path));
  if (!magic.starts_with(kGzipMagic) && magic != kZipMagic && magic != kEmptyZipMagic) {
    summary.content_bytes = summary.stored_bytes;
    return summary;
  }
  PX_ASSIGN_OR_RETURN(std::unique_ptr<DataFile> content, DataFile::Open(path));
  while (true) {
    PX_ASSIGN_OR_RETURN(const size_t got, content->Read(block));
    if (got == 0) return summary;
    summary.content_bytes += got;
  }
}

}  // namespace proxist::client
