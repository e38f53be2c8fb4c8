#include "sidecar/ingest/journal_segment.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

namespace spanwatch::ingest {
namespace {

constexpr std::string_view kPrefix = "segment-";
constexpr std::string_view kSuffix = ".spw";
constexpr std::size_t kHeaderChecksumOffset = 32;

bool AllZero(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
}

// 0: not a segment's name (numbers start at 1).
std::uint64_t SegmentNumber(std::string_view name) {
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return 0;
  name.remove_prefix(kPrefix.size());
  name.remove_suffix(std::min(kSuffix.size(), name.size()));
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size() || number > kMaxSegmentNumber) return 0;
  return number;
}

}  // namespace

std::string SegmentPath(const std::string& directory, std::uint64_t number) {
  char name[48];
  std::snprintf(name, sizeof name, "segment-%05llu.spw", static_cast<unsigned long long>(number));
  return directory + "/" + name;
}

tl::expected<std::vector<SegmentFile>, std::string> ListSegments(const std::string& directory) {
  std::vector<SegmentFile> files;
  DIR* dir = ::opendir(directory.c_str());
  if (dir == nullptr) {
    if (errno == ENOENT) return files;
    return tl::unexpected("cannot read the journal's directory " + directory + ": " + std::strerror(errno));
  }
  while (const dirent* entry = ::readdir(dir)) {
    const std::uint64_t number = SegmentNumber(entry->d_name);
    // The name as we write it: "segment-7.spw" beside "segment-00007.spw" is not ours.
    if (number != 0 && SegmentPath(directory, number) == directory + "/" + entry->d_name) {
      files.push_back({number, directory + "/" + entry->d_name});
    }
  }
  ::closedir(dir);
  std::sort(files.begin(), files.end(), [](const SegmentFile& a, const SegmentFile& b) { return a.number < b.number; });
  return files;
}

std::uint64_t SegmentHeaderChecksum(std::string_view header) {
  return XXH3_64bits(header.data(), kHeaderChecksumOffset);
}

std::string EncodeSegmentHeader(const SegmentHeader& header) {
  std::string bytes(kSegmentHeaderBytes, '\0');
  std::memcpy(bytes.data(), kSegmentMagic.data(), kSegmentMagic.size());
  StoreLittleEndian(kSegmentVersion, bytes.data() + 8);
  StoreLittleEndian(header.number, bytes.data() + 16);
  StoreLittleEndian(header.nonce, bytes.data() + 24);
  StoreLittleEndian(SegmentHeaderChecksum(bytes), bytes.data() + kHeaderChecksumOffset);
  return bytes;
}

HeaderState ParseSegmentHeader(std::string_view bytes, SegmentHeader* header) {
  if (AllZero(bytes)) return HeaderState::kEmpty;
  if (bytes.size() < kSegmentHeaderBytes || !bytes.starts_with(kSegmentMagic)) return HeaderState::kBad;
  const auto checksum = LoadLittleEndian<std::uint64_t>(bytes.data() + kHeaderChecksumOffset);
  if (SegmentHeaderChecksum(bytes) != checksum) return HeaderState::kBad;
  if (LoadLittleEndian<std::uint32_t>(bytes.data() + 8) != kSegmentVersion) return HeaderState::kOtherVersion;
  header->number = LoadLittleEndian<std::uint64_t>(bytes.data() + 16);
  header->nonce = LoadLittleEndian<std::uint64_t>(bytes.data() + 24);
  return HeaderState::kGood;
}

namespace {

// No link and no pipe: -1 with errno otherwise.
UniqueFd OpenForReading(const SegmentFile& file, std::uint64_t* file_bytes) {
  UniqueFd fd(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  struct stat info {};
  if (fd.get() >= 0 && ::fstat(fd.get(), &info) == 0 && !S_ISREG(info.st_mode)) {
    errno = EINVAL;
    return UniqueFd();
  }
  *file_bytes = static_cast<std::uint64_t>(info.st_size);
  return fd;
}

// How many bytes came; -1 with errno.
ssize_t ReadAt(int fd, char* out, std::size_t size, std::uint64_t offset) {
  std::size_t got = 0;
  while (got < size) {
    const ssize_t n = ::pread(fd, out + got, size - got, static_cast<off_t>(offset + got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
  }
  return static_cast<ssize_t>(got);
}

}  // namespace

SegmentHead ReadSegmentHead(const SegmentFile& file) {
  SegmentHead head;
  const UniqueFd fd = OpenForReading(file, &head.file_bytes);
  char bytes[kSegmentHeaderBytes + kRecordHeaderBytes] = {};
  const ssize_t got = fd.get() < 0 ? -1 : ReadAt(fd.get(), bytes, sizeof bytes, 0);
  if (got < 0) return head;
  head.state = ParseSegmentHeader(std::string_view(bytes, std::min(static_cast<std::size_t>(got), kSegmentHeaderBytes)),
                                  &head.header);
  head.checkpoint_ns = ParseRecordFields(bytes + kSegmentHeaderBytes).now_ns;
  return head;
}

// --- SegmentReader --------------------------------------------------------------------------------------------------

namespace {

constexpr std::size_t kReadBytes = 1u << 20;
// A search for records behind a bad one reads at most so much of the file, and hashes at most so much of it. What a
// file of ours can need is less: one lost record of the largest size, then the next.
constexpr std::uint64_t kSearchBytes = 2u * kMaxRecordBytes;

}  // namespace

SegmentReader::SegmentReader(const SegmentFile& file) : fd_(OpenForReading(file, &file_bytes_)) {
  if (fd_.get() < 0) {
    Finish(End::kDamaged, std::string("cannot be opened: ") + std::strerror(errno));
    return;
  }
  ReadHeader(file.number);
}

void SegmentReader::ReadHeader(std::uint64_t number) {
  const bool whole = Fill(kSegmentHeaderBytes);
  const std::string_view bytes(buffer_.get() + begin_, std::min(filled_ - begin_, kSegmentHeaderBytes));
  const HeaderState state = ParseSegmentHeader(bytes, &header_);
  if (read_errno_ != 0) {
    Finish(End::kDamaged, std::string("cannot be read: ") + std::strerror(read_errno_));
  } else if (state == HeaderState::kEmpty) {
    Finish(End::kEmpty, {});
  } else if (!whole) {
    Finish(End::kTorn, "has an incomplete header");
  } else if (state != HeaderState::kGood) {
    Finish(End::kDamaged, state == HeaderState::kBad ? "has a damaged header" : "is of another program version");
  } else if (header_.number != number) {
    Finish(End::kDamaged, "holds the header of segment " + std::to_string(header_.number));
  } else {
    begin_ += kSegmentHeaderBytes;
    offset_ = kSegmentHeaderBytes;
  }
}

bool SegmentReader::Finish(End end, std::string problem) {
  end_ = end;
  problem_ = std::move(problem);
  return false;
}

// At least `want` unread bytes in buffer_. False: the file has no more, or read_errno_.
bool SegmentReader::Fill(std::size_t want) {
  if (filled_ - begin_ >= want) return true;
  const std::size_t capacity = std::max<std::size_t>(want, std::min<std::uint64_t>(kReadBytes, file_bytes_));
  if (capacity > capacity_) {
    auto larger = std::make_unique_for_overwrite<char[]>(capacity);
    if (filled_ > begin_) std::memcpy(larger.get(), buffer_.get() + begin_, filled_ - begin_);
    buffer_ = std::move(larger);
    capacity_ = capacity;
  } else if (filled_ > begin_) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, filled_ - begin_);
  }
  filled_ -= begin_;
  begin_ = 0;
  const ssize_t got = ReadAt(fd_.get(), buffer_.get() + filled_, capacity_ - filled_, read_offset_);
  if (got < 0) {
    read_errno_ = errno;
    return false;
  }
  filled_ += static_cast<std::size_t>(got);
  read_offset_ += static_cast<std::uint64_t>(got);
  return filled_ >= want;
}

bool SegmentReader::Valid(const RecordFields& fields, std::string_view checked) const {
  return RecordChecksum(fields.length, fields.kind, checked, header_.nonce) == fields.checksum;
}

bool SegmentReader::InSequence(const RecordFields& fields) const {
  const bool checkpoint = fields.kind == static_cast<std::uint32_t>(core::RecordKind::kCheckpoint);
  if (records_ == 0) return checkpoint;
  return !checkpoint && fields.index == last_index_ + 1 && fields.index != 0;
}

bool SegmentReader::Next(core::RecordHeader* header, std::string_view* bytes) {
  if (end_ != End::kNone) return false;
  if (!Fill(kRecordHeaderBytes)) {
    return ZerosFollow() ? Finish(End::kClean, {}) : FinishBadRecord("ends in the middle of a record");
  }
  const RecordFields fields = ParseRecordFields(buffer_.get() + begin_);
  const std::size_t size = kRecordHeaderBytes + fields.length;
  if (fields.checksum == 0 && AllZero({buffer_.get() + begin_, kEndMarkBytes})) return Finish(End::kClean, {});
  if (!fields.Plausible()) return FinishBadRecord("has a damaged record");
  // The file's size first: a damaged length must not make us ask for 64 MiB.
  if (size > file_bytes_ - offset_ || !Fill(size)) return FinishBadRecord("ends in the middle of a record");
  const std::string_view record(buffer_.get() + begin_, size);
  if (!Valid(fields, record.substr(kCheckedOffset))) return FinishBadRecord("has a damaged record");
  if (!InSequence(fields)) {
    return Finish(End::kDamaged, records_ == 0 ? "does not begin with a checkpoint" : "has a record out of sequence");
  }
  *header = fields.Header();
  *bytes = record.substr(kRecordHeaderBytes);
  begin_ += size;
  offset_ += size;
  ++records_;
  last_index_ = fields.index;
  return true;
}

// Less than a record's header is left.
bool SegmentReader::ZerosFollow() { return read_errno_ == 0 && AllZero({buffer_.get() + begin_, filled_ - begin_}); }

bool SegmentReader::FinishBadRecord(const std::string& what) {
  const std::string where = what + " at byte " + std::to_string(offset_) +
                            (records_ == 0 ? "" : " (after record " + std::to_string(last_index_) + ")");
  if (read_errno_ != 0) return Finish(End::kDamaged, where + ": " + std::strerror(read_errno_));
  return Finish(ValidRecordFollows() ? End::kDamaged : End::kTorn, where);
}

// Whether a record of this segment's life stands anywhere behind offset_: the mark of damage. A torn write has none.
bool SegmentReader::ValidRecordFollows() {
  begin_ = filled_ = 0;
  read_offset_ = offset_ + 1;
  const std::uint64_t end = std::min(file_bytes_, offset_ + kSearchBytes);
  std::uint64_t budget = kSearchBytes;
  for (std::uint64_t at = read_offset_; at + kRecordHeaderBytes <= end; at += filled_ - kRecordHeaderBytes + 1) {
    begin_ = filled_ = 0;
    read_offset_ = at;
    if (!Fill(kRecordHeaderBytes)) return read_errno_ != 0;
    for (std::size_t i = 0; i + kRecordHeaderBytes <= filled_; ++i) {
      if (ValidRecordAt(buffer_.get() + i, at + i, &budget)) return true;
    }
  }
  return false;
}

// Cheap looks first; hashes only what can be a later record. With the budget used up: true, so that nothing is cut off.
bool SegmentReader::ValidRecordAt(const char* bytes, std::uint64_t at, std::uint64_t* budget) {
  const RecordFields fields = ParseRecordFields(bytes);
  const std::uint64_t size = kRecordHeaderBytes + std::uint64_t{fields.length};
  if (!fields.Plausible() || fields.checksum == 0 || size > file_bytes_ - at) return false;
  // A record takes kRecordHeaderBytes at least, so only so many can stand between.
  if (records_ != 0 && fields.index - last_index_ - 1 > (at - offset_) / kRecordHeaderBytes + 1) return false;
  if (size > *budget) return true;
  *budget -= size;
  std::string checked(size - kCheckedOffset, '\0');
  const ssize_t got = ReadAt(fd_.get(), checked.data(), checked.size(), at + kCheckedOffset);
  return got == static_cast<ssize_t>(checked.size()) && Valid(fields, checked);
}

}  // namespace spanwatch::ingest
