#include "sidecar/ingest/recorder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "sidecar/ingest/record_format.h"

namespace spanwatch::ingest {
namespace {

constexpr std::size_t kFlushBytes = 256u << 10;

}  // namespace

tl::expected<Recorder, std::string> Recorder::Open(const std::string& path) {
  Recorder recorder;
  recorder.path_ = path;
  recorder.fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
  if (recorder.fd_ < 0) {
    return tl::unexpected("cannot record to " + path + ": " + std::strerror(errno) +
                          "; name a file in a writable directory");
  }
  struct stat info {};
  if (::fstat(recorder.fd_, &info) != 0 || (S_ISREG(info.st_mode) && info.st_size != 0)) {
    return tl::unexpected("cannot record to " + path + ": the file exists already; move it away or name another one");
  }
  char header[kFileHeaderBytes] = {};
  std::memcpy(header, kFileMagic.data(), kFileMagic.size());
  StoreLittleEndian(kFileVersion, header + kFileMagic.size());
  recorder.buffer_.assign(header, sizeof header);
  recorder.Flush();
  if (!recorder.is_open()) return tl::unexpected(recorder.failure_);
  return recorder;
}

Recorder::Recorder(Recorder&& other) noexcept { *this = std::move(other); }

Recorder& Recorder::operator=(Recorder&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = std::exchange(other.fd_, -1);
    path_ = std::move(other.path_);
    buffer_ = std::move(other.buffer_);
    failure_ = std::move(other.failure_);
    bytes_written_ = other.bytes_written_;
  }
  return *this;
}

Recorder::~Recorder() { Close(); }

void Recorder::Append(const core::RecordHeader& header, std::initializer_list<std::string_view> parts) {
  if (fd_ < 0) return;
  AppendRecord(header, parts, 0, &buffer_);
  if (buffer_.size() >= kFlushBytes) Flush();
}

void Recorder::Flush() {
  std::string_view rest = buffer_;
  while (fd_ >= 0 && !rest.empty()) {
    const ssize_t n = ::write(fd_, rest.data(), rest.size());
    if (n > 0) {
      rest.remove_prefix(static_cast<std::size_t>(n));
      bytes_written_ += static_cast<std::uint64_t>(n);
    } else if (n == 0 || errno != EINTR) {
      failure_ = "recording to " + path_ + " ended: " + (n == 0 ? "nothing written" : std::strerror(errno));
      ::close(fd_);
      fd_ = -1;
    }
  }
  buffer_.clear();
}

void Recorder::Close() {
  Flush();
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

}  // namespace spanwatch::ingest
