#include "sidecar/ingest/journal.h"

#include <fcntl.h>

#include <chrono>
#include <utility>

#include "sidecar/ingest/journal_reader.h"
#include "sidecar/ingest/journal_writer.h"

namespace spanwatch::ingest {
namespace {

constexpr std::int64_t kCloseBudgetNs = 2'000'000'000;

}  // namespace

const JournalIo& JournalIo::System() {
  static const JournalIo io = {
      [](int fd, const void* bytes, std::size_t size, off_t offset) { return ::pwrite(fd, bytes, size, offset); },
      [](int fd, off_t size) { return ::fallocate(fd, 0, 0, size); },
      [](int fd) { return ::fdatasync(fd); },
      [] {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
            .count();
      },
  };
  return io;
}

class Journal::Impl {
 public:
  explicit Impl(JournalOptions options) : writer(std::make_shared<JournalWriter>(std::move(options))) {}
  const std::shared_ptr<JournalWriter> writer;
};

Journal::Journal(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Journal::~Journal() { Close(kCloseBudgetNs); }

tl::expected<std::unique_ptr<Journal>, std::string> Journal::Open(JournalOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  if (std::string problem = impl->writer->Start(); !problem.empty()) return tl::unexpected(std::move(problem));
  return std::unique_ptr<Journal>(new Journal(std::move(impl)));
}

JournalReader Journal::Read() const {
  JournalReader reader;
  reader.impl_ = std::make_unique<JournalReader::Impl>(impl_->writer->files_at_start(), impl_->writer->torn_at_start());
  return reader;
}

bool Journal::WantsSegment() const { return impl_->writer->WantsSegment(); }
void Journal::BeginSegment(const core::RecordHeader& header, std::string_view checkpoint) {
  impl_->writer->BeginSegment(header, checkpoint);
}
void Journal::Append(const core::RecordHeader& header, std::initializer_list<std::string_view> parts) {
  impl_->writer->Append(header, parts);
}
void Journal::Hurry() { impl_->writer->Hurry(); }
std::uint64_t Journal::acknowledged() const { return impl_->writer->Acknowledged(); }
void Journal::SetWake(std::function<void()> wake) { impl_->writer->SetWake(std::move(wake)); }
JournalStatus Journal::status() const { return impl_->writer->GetStatus(); }
void Journal::Close(std::int64_t budget_ns) { impl_->writer->Close(budget_ns); }

}  // namespace spanwatch::ingest
