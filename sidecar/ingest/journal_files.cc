#include "sidecar/ingest/journal_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <utility>

namespace spanwatch::ingest {
namespace {

bool NoSpace(int error) { return error == ENOSPC || error == EDQUOT; }

const char* Advice(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "; free some space there, or lower journal.max_size";
    case EFBIG:
      return "; raise the limit on file sizes of this process (ulimit -f)";
    case EACCES:
    case EPERM:
    case EROFS:
      return "; make it writable for this user, or name another state_dir";
    case EIO:
      return "; look at the disk (dmesg)";
    default:
      return "";
  }
}

}  // namespace

std::int64_t ElapsedNs(std::int64_t earlier, std::int64_t later) {
  std::int64_t elapsed = 0;
  if (!__builtin_sub_overflow(later, earlier, &elapsed)) return elapsed;
  return later > earlier ? std::numeric_limits<std::int64_t>::max() : std::numeric_limits<std::int64_t>::min();
}

std::string JournalFiles::Explain(const std::string& what, int error) const {
  return "journal " + settings_.directory + ": cannot " + what + ": " + std::strerror(error) + Advice(error);
}

// --- start ----------------------------------------------------------------------------------------------------------

// Parents too, all 0700: what is traced may be private.
std::string JournalFiles::MakeDirectory(int* error) const {
  const std::string& path = settings_.directory;
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      *error = errno;
      struct stat info {};
      // A read-only or foreign parent may well hold our directory.
      if (::stat(part.c_str(), &info) != 0) return Explain("create " + part, *error);
    }
    if (end == std::string::npos) break;
  }
  struct stat info {};
  *error = ENOTDIR;
  if (::stat(path.c_str(), &info) != 0) *error = errno;
  if (!S_ISDIR(info.st_mode)) return Explain("use it as a directory", *error);
  return {};
}

std::string JournalFiles::Lock(int* error) {
  const std::string path = settings_.directory + "/lock";
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600));
  *error = errno;
  if (fd.get() < 0) return Explain("open " + path, *error);
  char pid[24] = {};
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    *error = errno;
    if (*error != EWOULDBLOCK) return Explain("lock " + path, *error);
    const bool known = ::pread(fd.get(), pid, sizeof pid - 1, 0) > 0;
    return "journal " + settings_.directory + ": another sidecar writes it" +
           (known ? " (process " + std::string(pid, std::strspn(pid, "0123456789")) + ")" : std::string()) +
           "; stop that one, or give this one another state_dir";
  }
  // Who holds it, for the text above; a full disk does not matter.
  const int size = std::snprintf(pid, sizeof pid, "%ld\n", static_cast<long>(::getpid()));
  if (::ftruncate(fd.get(), 0) == 0 && ::pwrite(fd.get(), pid, static_cast<std::size_t>(size), 0) == size) errno = 0;
  lock_ = std::move(fd);
  return {};
}

tl::expected<JournalFiles::Tail, JournalFiles::Failure> JournalFiles::Prepare() {
  int error = 0;
  std::string text = MakeDirectory(&error);
  if (text.empty()) text = Lock(&error);
  if (!text.empty()) return tl::unexpected(Failure{text, NoSpace(error)});
  directory_fd_ =
      std::make_shared<const UniqueFd>(::open(settings_.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  auto tail = Scan();
  prepared_ = tail.has_value();
  if (!prepared_) lock_ = UniqueFd();
  return tail;
}

tl::expected<JournalFiles::Tail, JournalFiles::Failure> JournalFiles::Scan() {
  auto files = ListSegments(settings_.directory);
  if (!files) return tl::unexpected(Failure{files.error(), false});
  segments_.clear();
  ::unlink((settings_.directory + "/spare").c_str());
  for (const SegmentFile& file : *files) {
    const SegmentHead head = ReadSegmentHead(file);
    if (head.state == HeaderState::kEmpty) {  // given up, or not begun, when the process died
      ::unlink(file.path.c_str());
      continue;
    }
    if (head.state == HeaderState::kOtherVersion) {
      return tl::unexpected(Failure{file.path + " was written by another version of this program; start that one, or "
                                                "move the directory away to begin with an empty journal",
                                    false});
    }
    const bool good = head.state == HeaderState::kGood && head.file_bytes >= kSegmentHeaderBytes + kRecordHeaderBytes;
    segments_.push_back({file, head.file_bytes, head.file_bytes, good ? head.checkpoint_ns : 0, good});
  }
  if (!files->empty() && files->back().number == kMaxSegmentNumber) {
    return tl::unexpected(Failure{"journal " + settings_.directory + ": its numbers are used up; move it away", false});
  }
  Tail tail;
  while (!segments_.empty() && !ScanLast(segments_.back().file, &tail)) {
    ::unlink(segments_.back().file.path.c_str());
    segments_.pop_back();
  }
  return tail;
}

// False: it holds no checkpoint yet. The process died as it began it; the one before is the last.
bool JournalFiles::ScanLast(const SegmentFile& file, Tail* tail) {
  SegmentReader reader(file);
  core::RecordHeader header;
  std::string_view bytes;
  while (reader.Next(&header, &bytes)) {
    if (reader.records() == 1) tail->checkpoint_bytes = reader.offset();
  }
  if (reader.end() == SegmentReader::End::kDamaged) return true;
  tail->torn |= reader.end() == SegmentReader::End::kTorn;
  if (reader.records() == 0) return false;
  OpenTail(&reader, tail);
  return true;
}

// Cut and preallocated anew, the rest of the file is zeros: a whole record behind a torn one, of the same life, must
// never validate behind what is appended now. What cannot be cut is not appended to.
void JournalFiles::OpenTail(SegmentReader* reader, Tail* tail) {
  Segment* segment = &segments_.back();
  auto fd = std::make_shared<const UniqueFd>(::open(segment->file.path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (fd->get() < 0 || ::ftruncate(fd->get(), static_cast<off_t>(reader->offset())) != 0) return;
  segment->bytes = segment->file_bytes = reader->offset();
  if (!Allocate(fd->get(), &segment->file_bytes).empty()) return;
  tail->append = true;
  tail->bytes = reader->offset();
  tail->nonce = reader->nonce();
  tail->last_index = reader->last_index();
  tail->first_ns = segment->first_ns;
  current_ = std::move(fd);
}

void JournalFiles::Release() {
  Leave();
  directory_fd_.reset();
  lock_ = UniqueFd();
  prepared_ = false;
}

// --- writing --------------------------------------------------------------------------------------------------------

int JournalFiles::WriteAll(int fd, std::string_view bytes, std::uint64_t offset) const {
  while (!bytes.empty()) {
    errno = 0;
    const ssize_t n = settings_.io->pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return ENOSPC;
    bytes.remove_prefix(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return 0;
}

// Space that the disk promised cannot run out later. A file system without promises grows the file as it is written.
std::string JournalFiles::Allocate(int fd, std::uint64_t* file_bytes) const {
  int error = 0;
  do {
    error = settings_.io->allocate(fd, static_cast<off_t>(settings_.segment_bytes)) == 0 ? 0 : errno;
  } while (error == EINTR);
  if (error == EOPNOTSUPP || error == ENOSYS) return {};
  if (error != 0) return Explain("reserve " + std::to_string(settings_.segment_bytes) + " bytes", error);
  *file_bytes = std::max(*file_bytes, settings_.segment_bytes);
  return {};
}

std::string JournalFiles::Write(std::string* bytes) {
  Segment* segment = &segments_.back();
  const std::size_t size = bytes->size();
  bytes->append(kEndMarkBytes, '\0');
  const int error = WriteAll(current_->get(), *bytes, segment->bytes);
  if (error != 0) {
    Leave();
    return Explain("write " + segment->file.path, error);
  }
  segment->bytes += size;
  segment->file_bytes = std::max(segment->file_bytes, segment->bytes + kEndMarkBytes);
  return {};
}

// The file of a segment that is left ends where its records end.
void JournalFiles::Leave() {
  if (current_ == nullptr) return;
  Segment* segment = &segments_.back();
  if (::ftruncate(current_->get(), static_cast<off_t>(segment->bytes)) == 0) segment->file_bytes = segment->bytes;
  current_.reset();
}

std::string JournalFiles::Begin(std::uint64_t nonce, std::int64_t now_ns, std::string* bytes) {
  Leave();
  const std::uint64_t number = segments_.empty() ? 1 : segments_.back().file.number + 1;
  bytes->replace(0, kSegmentHeaderBytes, EncodeSegmentHeader({number, nonce}));
  const std::uint64_t size = bytes->size();
  GiveUpOld(now_ns, std::max(settings_.segment_bytes, size + settings_.segment_bytes / 4));
  std::shared_ptr<const UniqueFd> fd;
  std::string problem = OpenNext(number, &fd);
  std::uint64_t file_bytes = spare_.file_bytes;
  if (problem.empty()) problem = Allocate(fd->get(), &file_bytes);
  if (problem.empty()) {
    bytes->append(kEndMarkBytes, '\0');
    if (const int error = WriteAll(fd->get(), *bytes, 0); error != 0) {
      problem = Explain("write " + SegmentPath(settings_.directory, number), error);
    }
  }
  if (!problem.empty()) {
    // An emptied old segment stays as the spare: each attempt must not cost another one. A new file goes.
    if (!spare_.path.empty() && fd != nullptr) {
      const std::string zeros(kSegmentHeaderBytes, '\0');
      if (WriteAll(fd->get(), zeros, 0) != 0) spare_ = {};
    }
    if (spare_.path.empty()) ::unlink(SegmentPath(settings_.directory, number).c_str());
    return problem;
  }
  spare_ = {};
  segments_.push_back(
      {{number, SegmentPath(settings_.directory, number)}, size, std::max(file_bytes, size), now_ns, true});
  current_ = std::move(fd);
  // Only now may the last of the old ones go, should the checkpoint have needed its room.
  while (segments_.size() > 1 && FileBytes() > settings_.max_bytes) GiveUpOldest(false);
  return {};
}

void JournalFiles::GiveUpOld(std::int64_t now_ns, std::uint64_t need) {
  while (segments_.size() > 1 && segments_[1].has_time &&
         ElapsedNs(segments_[1].first_ns, now_ns) > settings_.max_age_ns) {
    GiveUpOldest(true);
  }
  // The youngest stays until the new segment's checkpoint is written: it holds what was acknowledged.
  while (segments_.size() > 1 && FileBytes() + need > settings_.max_bytes) GiveUpOldest(true);
  if (!spare_.path.empty() && spare_.file_bytes > settings_.segment_bytes) {
    if (::truncate(spare_.path.c_str(), static_cast<off_t>(settings_.segment_bytes)) == 0) {
      spare_.file_bytes = settings_.segment_bytes;
    }
  }
}

// `keep_file`: as the spare, if there is none yet.
void JournalFiles::GiveUpOldest(bool keep_file) {
  Segment& oldest = segments_.front();
  const std::string& path = oldest.file.path;
  bool kept = false;
  if (keep_file && spare_.path.empty()) {
    // First its header, so that at no moment an old segment stands under a new name.
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    const std::string zeros(kSegmentHeaderBytes, '\0');
    const std::string spare = settings_.directory + "/spare";
    kept = fd.get() >= 0 && WriteAll(fd.get(), zeros, 0) == 0 && ::rename(path.c_str(), spare.c_str()) == 0;
    if (kept) spare_ = {spare, oldest.file_bytes};
  }
  if (!kept) ::unlink(path.c_str());
  segments_.pop_front();
}

std::string JournalFiles::OpenNext(std::uint64_t number, std::shared_ptr<const UniqueFd>* fd) {
  const std::string path = SegmentPath(settings_.directory, number);
  if (!spare_.path.empty() && spare_.path != path) {
    if (::rename(spare_.path.c_str(), path.c_str()) == 0) {
      spare_.path = path;
    } else {
      spare_ = {};
    }
  }
  const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | (spare_.path.empty() ? O_TRUNC : 0);
  *fd = std::make_shared<const UniqueFd>(::open(path.c_str(), flags, 0600));
  const int error = errno;
  if ((*fd)->get() >= 0) return {};
  fd->reset();
  return Explain("create " + path, error);
}

// --- figures --------------------------------------------------------------------------------------------------------

std::uint64_t JournalFiles::FileBytes() const {
  std::uint64_t sum = 0;
  for (const Segment& segment : segments_) sum += segment.file_bytes;
  return sum;
}

std::uint64_t JournalFiles::bytes() const {
  std::uint64_t sum = 0;
  for (const Segment& segment : segments_) sum += segment.bytes;
  return sum;
}

std::int64_t JournalFiles::oldest_ns() const {
  for (const Segment& segment : segments_) {
    if (segment.has_time) return segment.first_ns;
  }
  return 0;
}

std::vector<SegmentFile> JournalFiles::List() const {
  std::vector<SegmentFile> files;
  for (const Segment& segment : segments_) files.push_back(segment.file);
  return files;
}

}  // namespace spanwatch::ingest
