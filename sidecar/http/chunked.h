// Takes the framing of "Transfer-Encoding: chunked" out of a body while it arrives, in the buffer where it arrives.
// Work is linear in the bytes received. Not thread-safe.
#ifndef SPANWATCH_SIDECAR_HTTP_CHUNKED_H_
#define SPANWATCH_SIDECAR_HTTP_CHUNKED_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace spanwatch::http {

class ChunkedBody {
 public:
  enum class State : std::uint8_t { kMore, kComplete, kTooLarge, kBad };

  // The body begins at `begin` of the buffer.
  ChunkedBody(std::size_t begin, std::size_t max_bytes) : begin_(begin), end_(begin), max_bytes_(max_bytes) {}

  // `buffer`: head, what Feed() has left of the body so far, bytes not seen yet. kComplete: the body is [begin, end()),
  // and what follows it belongs to the next request.
  State Feed(std::string* buffer);
  std::size_t end() const { return end_; }

 private:
  enum class Part : std::uint8_t { kSize, kData, kDataEnd, kTrailer };

  bool SizeLine(const std::string& line);

  const std::size_t begin_;
  std::size_t end_;  // of the body without framing
  const std::size_t max_bytes_;
  Part part_ = Part::kSize;
  std::size_t chunk_left_ = 0;
  std::size_t trailer_bytes_ = 0;
};

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_CHUNKED_H_
