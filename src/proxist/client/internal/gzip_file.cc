// The content of a gzip file. Source of the format: RFC 1952.
#include "proxist/client/internal/gzip_file.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include <zlib.h>

namespace proxist::client {
namespace {

constexpr size_t kInputBytes = size_t{1} << 18;
constexpr int kGzipOnly = 16 + MAX_WBITS;  // zlib's way of asking for a gzip header and trailer

class GzipFile final : public DataFile {
 public:
  explicit GzipFile(std::unique_ptr<RawFile> file) : file_(std::move(file)), input_(kInputBytes) {}
  ~GzipFile() override { inflateEnd(&stream_); }
  GzipFile(const GzipFile&) = delete;
  GzipFile& operator=(const GzipFile&) = delete;

  Status Start() {
    if (inflateInit2(&stream_, kGzipOnly) != Z_OK) {
      return ResourceExhausted("cannot read {}: no memory for zlib", file_->path());
    }
    return OkStatus();
  }

  StatusOr<size_t> Read(std::span<char> out) override {
    if (out.empty() || ended_) return size_t{0};
    const auto wanted =
        static_cast<uInt>(std::min<size_t>(out.size(), std::numeric_limits<uInt>::max()));
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = wanted;
    while (stream_.avail_out == wanted && !ended_) PX_RETURN_IF_ERROR(Step());
    return static_cast<size_t>(wanted - stream_.avail_out);
  }

 private:
  // Inflates once; at the end of a member goes on with the next one, if there is one.
  Status Step() {
    if (stream_.avail_in == 0) PX_RETURN_IF_ERROR(Refill());
    if (between_members_) {
      if (stream_.avail_in == 0) {
        ended_ = true;
        return OkStatus();
      }
      if (inflateReset(&stream_) != Z_OK) return Damaged("zlib cannot go on");
      between_members_ = false;
    } else if (stream_.avail_in == 0) {
      return Damaged("it ends in the middle of the compressed data");
    }
    const int result = inflate(&stream_, Z_NO_FLUSH);
    if (result == Z_STREAM_END) {
      between_members_ = true;
      return OkStatus();
    }
    if (result == Z_OK || result == Z_BUF_ERROR) return OkStatus();
    return Damaged(stream_.msg != nullptr ? stream_.msg : "zlib cannot read it");
  }

  Status Refill() {
    PX_ASSIGN_OR_RETURN(const size_t got, file_->Read(input_));
    stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
    stream_.avail_in = static_cast<uInt>(got);
    return OkStatus();
  }

  [[nodiscard]] Status Damaged(std::string_view reason) const {
    return DataLoss("{} is a damaged gzip file: {}", file_->path(), reason);
  }

  std::unique_ptr<RawFile> file_;
  std::vector<char> input_;
  z_stream stream_{};
  bool between_members_ = false;
  bool ended_ = false;
};

}  // namespace

StatusOr<std::unique_ptr<DataFile>> OpenGzip(std::unique_ptr<RawFile> file) {
  auto opened = std::make_unique<GzipFile>(std::move(file));
  PX_RETURN_IF_ERROR(opened->Start());
  return StatusOr<std::unique_ptr<DataFile>>(std::move(opened));
}

}  // namespace proxist::client
