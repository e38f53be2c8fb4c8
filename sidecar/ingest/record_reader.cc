#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "sidecar/ingest/ingest.h"
#include "sidecar/ingest/record_format.h"

namespace spanwatch::ingest {

class RecordReader::Impl {
 public:
  explicit Impl(std::FILE* file) : file_(file) {}
  ~Impl() { std::fclose(file_); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // Empty: the file is a recording.
  std::string ReadFileHeader() {
    char header[kFileHeaderBytes];
    if (std::fread(header, 1, sizeof header, file_) != sizeof header ||
        std::string_view(header, kFileMagic.size()) != kFileMagic) {
      return "is not a recording";
    }
    const auto version = LoadLittleEndian<std::uint32_t>(header + kFileMagic.size());
    if (version != kFileVersion) {
      return "has format version " + std::to_string(version) + ", this program reads " + std::to_string(kFileVersion);
    }
    return {};
  }

  bool Next(core::RecordHeader* header, std::string* bytes) {
    if (ended_) return false;
    char fields[kRecordHeaderBytes];
    const std::size_t got = std::fread(fields, 1, sizeof fields, file_);
    if (got != sizeof fields) return End(got != 0 || std::ferror(file_) != 0);
    const RecordFields record = ParseRecordFields(fields);
    if (!record.Plausible() || !ReadChecked(fields + kCheckedOffset, record.length)) return End(true);
    if (RecordChecksum(record.length, record.kind, checked_) != record.checksum) return End(true);
    *header = record.Header();
    bytes->assign(checked_, kRecordHeaderBytes - kCheckedOffset);
    return true;
  }

  bool torn() const { return torn_; }

 private:
  // In pieces: a damaged length must not make us ask for 64 MiB before the file has shown that many.
  bool ReadChecked(const char* fields, std::size_t length) {
    checked_.assign(fields, kRecordHeaderBytes - kCheckedOffset);
    constexpr std::size_t kPiece = 1u << 20;
    while (length > 0) {
      const std::size_t want = length < kPiece ? length : kPiece;
      const std::size_t old = checked_.size();
      checked_.resize(old + want);
      if (std::fread(checked_.data() + old, 1, want, file_) != want) return false;
      length -= want;
    }
    return true;
  }

  bool End(bool torn) {
    ended_ = true;
    torn_ = torn;
    return false;
  }

  std::FILE* const file_;
  std::string checked_;
  bool ended_ = false;
  bool torn_ = false;
};

RecordReader::RecordReader() = default;
RecordReader::RecordReader(RecordReader&&) noexcept = default;
RecordReader::~RecordReader() = default;

tl::expected<RecordReader, std::string> RecordReader::Open(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return tl::unexpected(path + ": " + std::strerror(errno));
  RecordReader reader;
  reader.impl_ = std::make_unique<Impl>(file);
  if (const std::string problem = reader.impl_->ReadFileHeader(); !problem.empty()) {
    return tl::unexpected(path + " " + problem);
  }
  return reader;
}

bool RecordReader::Next(core::RecordHeader* header, std::string* bytes) { return impl_->Next(header, bytes); }
bool RecordReader::torn() const { return impl_->torn(); }

}  // namespace spanwatch::ingest
