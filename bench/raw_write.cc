#include "bench/raw_write.h"

#include <cstring>
#include <utility>

#include "proxist/env/clock.h"

namespace proxist::bench {

StatusOr<std::unique_ptr<RawWriter>> RawWriter::Open(const std::string& path, uint64_t file_bytes) {
  PX_ASSIGN_OR_RETURN(std::unique_ptr<env::DurableFile> file,
                      env::PosixFileSystem().OpenDurable(path, file_bytes));
  return std::unique_ptr<RawWriter>(new RawWriter(path, file_bytes, std::move(file)));
}

RawWriter::RawWriter(std::string path, uint64_t file_bytes, std::unique_ptr<env::DurableFile> file)
    : path_(std::move(path)),
      file_bytes_(file_bytes),
      file_(std::move(file)),
      content_(AllocateAligned(file_bytes, env::kBlockBytes)) {
  std::memset(content_.get(), 0x5a, file_bytes);
}

RawWriter::~RawWriter() {
  file_.reset();
  // A file that stays behind harms nothing; the directory is temporary.
  (void)env::PosixFileSystem().Remove(path_);
}

StatusOr<Duration> RawWriter::Write(size_t bytes) {
  const size_t rounded = (bytes + env::kBlockBytes - 1) / env::kBlockBytes * env::kBlockBytes;
  if (rounded > file_bytes_) {
    return InvalidArgument("a raw write of {} bytes does not fit the file of {}", rounded,
                           file_bytes_);
  }
  if (offset_ + rounded > file_bytes_) offset_ = 0;
  const Duration began = env::SystemClock().Monotonic();
  PX_RETURN_IF_ERROR(file_->Submit(offset_, {content_.get(), rounded}));
  PX_RETURN_IF_ERROR(file_->Wait());
  offset_ += rounded;
  return Duration(env::SystemClock().Monotonic().ns() - began.ns());
}

}  // namespace proxist::bench
