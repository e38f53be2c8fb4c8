// Where an HTTP/1.1 request ends in a byte stream, and how a streamed body is framed. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_HTTP_FRAMING_H_
#define SPANWATCH_SIDECAR_HTTP_FRAMING_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace spanwatch::http {

enum class FrameState : std::uint8_t {
  kHead,          // the head is not complete
  kBody,          // the head is complete, the body is not
  kComplete,      // `size` bytes are one request
  kChunked,       // the head is complete, the body is chunked: see ChunkedBody
  kHeadTooLarge,  // 431
  kBodyTooLarge,  // 413
  kBadLength,     // 400: Content-Length is not a number, or there are several different ones
  kNeedsLength,   // 411: chunked bodies are not taken here
};

struct Frame {
  FrameState state = FrameState::kHead;
  std::size_t size = 0;       // kComplete: of head and body
  std::size_t head_size = 0;  // with its empty line, once complete
  bool expects_continue = false;
  std::string_view target;  // of the request line, once the head is complete; may be empty
};

// `data` begins at a request's first byte.
Frame FindFrame(std::string_view data, std::size_t max_head, std::size_t max_body, bool allow_chunked = false);

// One piece of a chunked body; `last`: with the end of the body. Empty and not the last: nothing, for an empty chunk is
// the end.
std::string Chunk(std::string piece, bool last);

// A whole answer with a JSON error, "Connection: close": for what never reaches a handler.
std::string ErrorAnswer(int status, std::string_view reason_phrase, std::string_view message);

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_FRAMING_H_
