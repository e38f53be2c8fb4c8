// Appends records to a file, in the format of docs/journal.md. Not thread-safe: the ingest thread owns it.
// A failing write ends the recording (Append and Flush do nothing from then on); it never harms the caller.
#ifndef SPANWATCH_SIDECAR_INGEST_RECORDER_H_
#define SPANWATCH_SIDECAR_INGEST_RECORDER_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "sidecar/core/record.h"

namespace spanwatch::ingest {

class Recorder {
 public:
  // Creates the file; an existing one that is not empty is refused, because a recording is folded from its first
  // record.
  static tl::expected<Recorder, std::string> Open(const std::string& path);
  Recorder() = default;  // records nothing
  Recorder(Recorder&& other) noexcept;
  Recorder& operator=(Recorder&& other) noexcept;
  ~Recorder();  // flushes and closes

  bool is_open() const { return fd_ >= 0; }
  // Why the recording ended; empty if it did not.
  const std::string& failure() const { return failure_; }
  std::uint64_t bytes_written() const { return bytes_written_; }

  // The record's bytes are the parts, one after the other. Buffered: written when 256 KiB have come together or by
  // Flush().
  void Append(const core::RecordHeader& header, std::initializer_list<std::string_view> parts);
  void Flush();
  void Close();

 private:
  int fd_ = -1;
  std::string path_;
  std::string buffer_;
  std::string failure_;
  std::uint64_t bytes_written_ = 0;
};

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_RECORDER_H_
