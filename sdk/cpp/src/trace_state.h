// The tracestate header (W3C Trace Context level 2) and the baggage: checked once when they come in, then shared,
// counted, by all spans of that request in this process.
#ifndef SPANWATCH_SDK_CPP_SRC_TRACE_STATE_H_
#define SPANWATCH_SDK_CPP_SRC_TRACE_STATE_H_

#include <atomic>
#include <cstdint>
#include <string_view>

namespace spanwatch::internal {

// Sampling word of a context: the rejection threshold (56 bits) of OpenTelemetry's consistent probability sampling,
// and flags. A trace is kept when the low 56 bits of its id are >= the threshold.
inline constexpr std::uint64_t kThresholdMask = (std::uint64_t{1} << 56) - 1;
inline constexpr std::uint64_t kSampled = std::uint64_t{1} << 56;
inline constexpr std::uint64_t kRandomTraceId = std::uint64_t{1} << 57;      // W3C flag 0x02, passed on unchanged
inline constexpr std::uint64_t kRemote = std::uint64_t{1} << 58;             // this context came from another process
inline constexpr std::uint64_t kRemoteParent = std::uint64_t{1} << 59;       // in a span: its parent did
inline constexpr std::uint64_t kCountsAllocations = std::uint64_t{1} << 60;  // in a span: what it allocates is counted

// The threshold for a sampling probability, rounded to four significant hex digits; `*nothing` is set when the
// probability is so small that no trace is kept.
std::uint64_t ThresholdOf(double probability, bool* nothing) noexcept;

// Writes the digits of `th:` (no trailing zeros, "0" for 0) and returns how many, at most 14.
std::uint32_t FormatThreshold(std::uint64_t threshold, char* out) noexcept;

// Immutable after Parse. Threads: any; Ref and Unref count.
struct TraceState {
  static constexpr std::uint32_t kMaxText = 1024;     // what is passed on; W3C asks for 512 at least
  static constexpr std::uint32_t kMaxHeader = 16384;  // longer headers are dropped unread

  std::atomic<std::uint32_t> refs{1};
  std::uint16_t size = 0;
  std::uint16_t threshold_at = 0;  // where the digits of ot=th: are in the text; size 0: none
  std::uint16_t threshold_size = 0;
  std::uint64_t threshold = 0;
  std::uint16_t baggage_size = 0;
  std::uint16_t correlation_at = 0;  // where the value of correlation.id is in the baggage, as it stands; size 0: none
  std::uint16_t correlation_size = 0;
  char text[kMaxText];
  // Behind it: the baggage.

  std::string_view view() const noexcept { return {text, size}; }
  std::string_view baggage() const noexcept { return {reinterpret_cast<const char*>(this + 1), baggage_size}; }
  std::string_view correlation() const noexcept { return baggage().substr(correlation_at, correlation_size); }

  // The members of the headers, checked; null if both are empty or illegal, or memory is short. The caller owns one
  // reference. `threshold` is that of a trace that began here: it is put into an empty tracestate, unless it is 0.
  static TraceState* Parse(std::string_view header, std::string_view baggage = {},
                           std::uint64_t threshold = 0) noexcept;
  // Bytes of all of them, at most 1 MiB.
  static std::uint64_t BytesHeld() noexcept;
};

inline TraceState* Ref(TraceState* state) noexcept {
  if (state != nullptr) state->refs.fetch_add(1, std::memory_order_relaxed);
  return state;
}
void Release(TraceState* state) noexcept;

inline constexpr std::size_t kMaxBaggage = 1024;  // bytes passed on; what is over is left out, entry by entry
inline constexpr std::string_view kCorrelationKey = "correlation.id";
// Writes the legal entries of a baggage header (W3C Baggage) to `out`, in order, without the one of key `without`.
// Returns the bytes.
std::size_t CopyBaggage(std::string_view header, std::string_view without, char (&out)[kMaxBaggage]) noexcept;
// The value of a key, as it stands (percent-encoded); empty if there is none.
std::string_view FindBaggage(std::string_view baggage, std::string_view key) noexcept;
// Percent-decoding, into at most `limit` bytes; returns how many.
std::size_t DecodeBaggage(std::string_view value, char* out, std::size_t limit) noexcept;
inline void Unref(TraceState* state) noexcept {
  if (state != nullptr && state->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) Release(state);
}

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_TRACE_STATE_H_
