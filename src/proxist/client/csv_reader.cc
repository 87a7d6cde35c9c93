// Records of a CSV stream (RFC 4180), one at a time, in bounded memory.
//
// A record is scanned where it lies in the buffer and only then turned into views, so a record that
// the buffer cuts is simply scanned again after the next fill.
#include "proxist/client/csv_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "proxist/base/check.h"

namespace proxist::client {
namespace {

constexpr size_t kFillBytes = size_t{1} << 20;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// Makes doubled quotes single, in place; returns the new end.
char* Undouble(char* begin, char* end, char quote) {
  char* out = begin;
  for (char* in = begin; in < end; ++in) {
    *out++ = *in;
    if (*in == quote) ++in;
  }
  return out;
}

}  // namespace

CsvReader::CsvReader(ByteSource source, const CsvOptions& options)
    : source_(std::move(source)), options_(options) {
  special_[static_cast<unsigned char>(options_.delimiter)] = true;
  special_[static_cast<unsigned char>('\n')] = true;
  if (options_.quote) special_[static_cast<unsigned char>(*options_.quote)] = true;
}

Status CsvReader::Fill() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() < end_ + kFillBytes) buffer_.resize(end_ + kFillBytes);
  PX_ASSIGN_OR_RETURN(const size_t got, source_({buffer_.data() + end_, kFillBytes}));
  PX_CHECK(got <= kFillBytes);
  if (got == 0) source_ended_ = true;
  end_ += got;
  return OkStatus();
}

Status CsvReader::SkipByteOrderMark() {
  started_ = true;
  while (!source_ended_ && end_ - begin_ < kByteOrderMark.size()) PX_RETURN_IF_ERROR(Fill());
  if (std::string_view(buffer_.data() + begin_, end_ - begin_).starts_with(kByteOrderMark)) {
    begin_ += kByteOrderMark.size();
  }
  return OkStatus();
}

Status CsvReader::SkipLines(uint64_t count) {
  if (!started_) PX_RETURN_IF_ERROR(SkipByteOrderMark());
  while (count > 0) {
    const void* newline =
        begin_ == end_ ? nullptr : std::memchr(buffer_.data() + begin_, '\n', end_ - begin_);
    if (newline != nullptr) {
      begin_ = static_cast<size_t>(static_cast<const char*>(newline) - buffer_.data()) + 1;
      ++line_;
      --count;
      continue;
    }
    begin_ = end_;
    if (source_ended_) return OkStatus();
    PX_RETURN_IF_ERROR(Fill());
  }
  return OkStatus();
}

CsvReader::Scan CsvReader::Fault(std::string_view reason) {
  fault_ = InvalidArgument("line {}, column {}: {}", line_, extents_.size() + 1, reason);
  return Scan::kFault;
}

Status CsvReader::TooLong() const {
  return InvalidArgument("line {}: the record is longer than {} bytes{}", line_,
                         options_.max_record_bytes,
                         lines_in_record_ > 1 ? "; a quote may not be closed" : "");
}

// `*at` is behind the opening quote. On success it is the start of the next field or record.
CsvReader::Scan CsvReader::ScanQuoted(size_t* at, bool* record_ended) {
  const char* data = buffer_.data();
  const char quote = *options_.quote;
  Extent extent{*at, *at, true, false};
  size_t i = *at;
  for (;; ++i) {
    if (i == end_) return source_ended_ ? Fault("the quote is never closed") : Scan::kNeedMore;
    if (data[i] == '\n') ++lines_in_record_;
    if (data[i] != quote) continue;
    if (i + 1 == end_ && !source_ended_) return Scan::kNeedMore;
    if (i + 1 == end_ || data[i + 1] != quote) break;
    extent.doubled = true;
    ++i;
  }
  extent.end = i++;
  *record_ended = true;
  if (i < end_ && data[i] == options_.delimiter) {
    *record_ended = false;
    ++i;
  } else if (i < end_) {
    if (data[i] == '\r') ++i;
    if (i == end_ && !source_ended_) return Scan::kNeedMore;
    if (i < end_ && data[i] != '\n') return Fault("text follows the closing quote");
    if (i < end_) ++i;
  } else if (!source_ended_) {
    return Scan::kNeedMore;
  }
  extents_.push_back(extent);
  *at = i;
  return Scan::kRecord;
}

CsvReader::Scan CsvReader::ScanField(size_t* at, bool* record_ended) {
  const char* data = buffer_.data();
  size_t i = *at;
  if (i < end_ && options_.quote && data[i] == *options_.quote) {
    ++*at;
    return ScanQuoted(at, record_ended);
  }
  while (i < end_ && !special_[static_cast<unsigned char>(data[i])]) ++i;
  if (i == end_ && !source_ended_) return Scan::kNeedMore;
  Extent extent{*at, i, false, false};
  if (i < end_ && data[i] == options_.delimiter) {
    *at = i + 1;
    extents_.push_back(extent);
    return Scan::kRecord;
  }
  if (i < end_ && data[i] != '\n') return Fault("a quote stands inside an unquoted field");
  if (extent.end > extent.begin && data[extent.end - 1] == '\r') --extent.end;
  extents_.push_back(extent);
  *record_ended = true;
  *at = i < end_ ? i + 1 : i;
  return Scan::kRecord;
}

CsvReader::Scan CsvReader::ScanRecord() {
  extents_.clear();
  lines_in_record_ = 1;
  size_t at = begin_;
  bool record_ended = false;
  while (!record_ended) {
    const Scan scan = ScanField(&at, &record_ended);
    if (scan != Scan::kRecord) return scan;
  }
  scanned_to_ = at;
  return Scan::kRecord;
}

void CsvReader::Deliver(CsvRecord* record) {
  record->line = line_;
  record->fields.resize(extents_.size());
  for (size_t i = 0; i < extents_.size(); ++i) {
    const Extent& extent = extents_[i];
    char* begin = buffer_.data() + extent.begin;
    char* end = buffer_.data() + extent.end;
    if (extent.doubled) end = Undouble(begin, end, *options_.quote);
    record->fields[i] = {std::string_view(begin, static_cast<size_t>(end - begin)), extent.quoted};
  }
}

StatusOr<bool> CsvReader::Next(CsvRecord* record) {
  if (!fault_.ok()) return fault_;
  if (!started_) {
    fault_ = SkipByteOrderMark();
    if (!fault_.ok()) return fault_;
  }
  while (true) {
    if (begin_ == end_ && source_ended_) return false;
    const Scan scan = ScanRecord();
    if (scan == Scan::kFault) return fault_;
    if (scan == Scan::kNeedMore) {
      fault_ = end_ - begin_ > options_.max_record_bytes ? TooLong() : Fill();
      if (!fault_.ok()) return fault_;
      continue;
    }
    if (scanned_to_ - begin_ > options_.max_record_bytes) {
      fault_ = TooLong();
      return fault_;
    }
    const bool blank =
        extents_.size() == 1 && !extents_[0].quoted && extents_[0].begin == extents_[0].end;
    if (!blank) Deliver(record);
    line_ += lines_in_record_;
    begin_ = scanned_to_;
    if (!blank) return true;
  }
}

}  // namespace proxist::client
