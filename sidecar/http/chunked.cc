#include "sidecar/http/chunked.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace spanwatch::http {
namespace {

constexpr std::size_t kMaxLine = 1024;  // a chunk's size with extensions, or one trailer field
constexpr std::size_t kMaxTrailers = 8192;

}  // namespace

ChunkedBody::State ChunkedBody::Feed(std::string* buffer) {
  std::size_t at = end_;  // of the bytes not dealt with yet
  State state = State::kMore;
  while (state == State::kMore && at < buffer->size()) {
    if (part_ == Part::kData) {
      const std::size_t size = std::min(chunk_left_, buffer->size() - at);
      std::memmove(buffer->data() + end_, buffer->data() + at, size);
      end_ += size;
      at += size;
      chunk_left_ -= size;
      if (chunk_left_ == 0) part_ = Part::kDataEnd;
      continue;
    }
    const std::size_t line_end = buffer->find("\r\n", at);
    if (line_end == std::string::npos) {
      if (buffer->size() - at > kMaxLine) state = State::kBad;
      break;
    }
    const std::string line = buffer->substr(at, line_end - at);
    at = line_end + 2;
    if (line.size() > kMaxLine) {
      state = State::kBad;
    } else if (part_ == Part::kSize) {
      if (!SizeLine(line)) state = State::kBad;
      if (chunk_left_ > max_bytes_ - (end_ - begin_)) state = State::kTooLarge;
    } else if (part_ == Part::kDataEnd) {
      if (!line.empty()) state = State::kBad;
      part_ = Part::kSize;
    } else {  // a trailer field, which nobody reads, or the empty line after them
      trailer_bytes_ += line.size();
      if (trailer_bytes_ > kMaxTrailers) state = State::kBad;
      if (line.empty()) state = State::kComplete;
    }
  }
  buffer->erase(end_, at - end_);
  return state;
}

bool ChunkedBody::SizeLine(const std::string& line) {
  const char* end = line.data() + line.size();
  const auto parsed = std::from_chars(line.data(), end, chunk_left_, 16);
  if (parsed.ec != std::errc()) return false;
  const char* rest = std::find_if(parsed.ptr, end, [](char c) { return c != ' ' && c != '\t'; });
  if (rest != end && *rest != ';') return false;
  part_ = chunk_left_ == 0 ? Part::kTrailer : Part::kData;
  return true;
}

}  // namespace spanwatch::http
