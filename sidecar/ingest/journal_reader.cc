#include "sidecar/ingest/journal_reader.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <cstring>

namespace spanwatch::ingest {
namespace {

constexpr std::size_t kMaxDamageBytes = 4096;  // of text

}  // namespace

bool JournalReader::Impl::Next(core::RecordHeader* header, std::string* bytes) {
  for (; at_ < files_.size(); EndFile()) {
    if (!segment_) BeginFile();
    std::string_view view;
    if (!segment_->Next(header, &view)) continue;
    if (header->kind == core::RecordKind::kCheckpoint) CheckGap(*header);
    any_ = true;
    last_index_ = header->index;
    bytes->assign(view);
    return true;
  }
  return false;
}

void JournalReader::Impl::BeginFile() {
  segment_.emplace(files_[at_]);
  if (at_ == 0) return;
  const std::uint64_t first = files_[at_ - 1].number + 1;
  const std::uint64_t next = files_[at_].number;
  if (first == next) return;
  files_missing_ = true;
  AddDamage(next - first == 1
                ? "segment " + std::to_string(first) + " is missing"
                : "segments " + std::to_string(first) + " to " + std::to_string(next - 1) + " are missing");
}

void JournalReader::Impl::EndFile() {
  const SegmentReader::End end = segment_->end();
  const bool last = at_ + 1 == files_.size();
  if (last && end == SegmentReader::End::kTorn) {
    torn_ = true;
  } else if (end == SegmentReader::End::kTorn || end == SegmentReader::End::kDamaged) {
    AddDamage(files_[at_].path + " " + segment_->problem());
  }
  segment_.reset();
  ++at_;
}

void JournalReader::Impl::CheckGap(const core::RecordHeader& checkpoint) {
  const std::string number = std::to_string(files_[at_].number);
  if (any_ && checkpoint.index < last_index_) {
    AddDamage("segment " + number + " begins after record " + std::to_string(checkpoint.index) +
              ", the one before it ended with record " + std::to_string(last_index_));
  } else if (any_ && checkpoint.index > last_index_ && !files_missing_) {
    AddDamage("records " + std::to_string(last_index_ + 1) + " to " + std::to_string(checkpoint.index) +
              " are missing before segment " + number);
  }
  files_missing_ = false;
}

void JournalReader::Impl::AddDamage(const std::string& text) {
  static constexpr std::string_view kMore = "; and more";
  if (damage_.size() + text.size() > kMaxDamageBytes) {
    if (!damage_.ends_with(kMore)) damage_ += kMore;
    return;
  }
  damage_ += (damage_.empty() ? "" : "; ") + text;
}

JournalReader::JournalReader() = default;
JournalReader::JournalReader(JournalReader&&) noexcept = default;
JournalReader& JournalReader::operator=(JournalReader&&) noexcept = default;
JournalReader::~JournalReader() = default;

tl::expected<JournalReader, std::string> JournalReader::Open(const std::string& directory) {
  const std::string lock = directory + "/lock";
  const UniqueFd fd(::open(lock.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY));
  if (fd.get() >= 0 && ::flock(fd.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return tl::unexpected("journal " + directory +
                          ": a sidecar writes it; stop that one, or read a copy of the directory");
  }
  auto files = ListSegments(directory);
  if (!files) return tl::unexpected(files.error());
  for (const SegmentFile& file : *files) {
    if (ReadSegmentHead(file).state == HeaderState::kOtherVersion) {
      return tl::unexpected(file.path + " was written by another version of this program; read it with that one");
    }
  }
  JournalReader reader;
  reader.impl_ = std::make_unique<Impl>(*std::move(files), false);
  return reader;
}

bool JournalReader::Next(core::RecordHeader* header, std::string* bytes) { return impl_->Next(header, bytes); }
const std::string& JournalReader::damage() const { return impl_->damage(); }
bool JournalReader::torn() const { return impl_->torn(); }

}  // namespace spanwatch::ingest
