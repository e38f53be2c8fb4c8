// A body that is made piece by piece while it is sent: exports, event streams.
#ifndef SPANWATCH_SIDECAR_HTTP_BODY_STREAM_H_
#define SPANWATCH_SIDECAR_HTTP_BODY_STREAM_H_

#include <cstdint>
#include <functional>
#include <string>

namespace spanwatch::http {

// Threads: Next() one at a time, not always the same. Destroyed when the client is gone or the end was reached.
class BodyStream {
 public:
  enum class State : std::uint8_t { kMore, kWait, kEnd };

  virtual ~BodyStream() = default;
  // Appends the next piece to *out, some 64 KiB at most. kMore: call again as soon as it is sent. kWait: nothing more
  // yet, call again within a second. kEnd: this was the last. Must not block. An exception ends the connection
  // without the end of the body, so that the client sees that it is cut.
  virtual State Next(std::string* out) = 0;
  // Called once, before Next(): `wake` may be called from any thread, also after the stream's end, to have Next()
  // called at once. For streams that wait.
  virtual void SetWaker(std::function<void()> wake) { static_cast<void>(wake); }
};

// The rest of a stream that does not wait. For tests and small bodies.
inline std::string Drain(BodyStream* stream) {
  std::string all;
  while (stream->Next(&all) == BodyStream::State::kMore) {
  }
  return all;
}

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_BODY_STREAM_H_
