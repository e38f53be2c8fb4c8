// One ZeroMQ DEALER connection at a time. The only place that knows libzmq.
#ifndef SPANWATCH_SDK_CPP_SRC_TRANSPORT_H_
#define SPANWATCH_SDK_CPP_SRC_TRANSPORT_H_

#include <string>
#include <string_view>

#include "sdk/cpp/src/otlp_encoder.h"

namespace spanwatch::internal {

// Threads: the sender alone. Nothing blocks but Wait() and, for the linger time, Close() and the destructor.
class Transport {
 public:
  Transport() noexcept = default;
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // Of the process: libzmq aborts the process when it gets only some of those that its threads need, so Open must not
  // be called with fewer left. More than twice what it takes (9): other threads open files meanwhile.
  static constexpr int kDescriptors = 24;

  // A new socket (and, the first time, ZeroMQ itself); a connection is only on its way when this returns. False with
  // *error set if it cannot be (a bad endpoint, no memory). REQUIRES: AreDescriptorsLeft(kDescriptors).
  bool Open(const char* endpoint, const char** error) noexcept;
  // What was sent may still go out for `linger_ms`.
  void Close(int linger_ms) noexcept;
  bool is_open() const noexcept { return socket_ != nullptr; }

  // Two frames. The payload's bytes are shared, not copied; null: an empty frame. False: not sent.
  bool Send(std::string_view envelope, Payload* payload) noexcept;
  // The next message's first frame, at most 64 KiB. False: none.
  bool Receive(std::string* out) noexcept;
  // Whether the connection broke or could not be made since Open().
  bool Broken() noexcept;

  // Until something can be received, the descriptor is readable, the connection changed, or the time is over.
  void Wait(int descriptor, int timeout_ms) noexcept;

 private:
  void* context_ = nullptr;
  void* socket_ = nullptr;
  void* monitor_ = nullptr;
  bool broken_ = false;
  unsigned opened_ = 0;
};

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_TRANSPORT_H_
