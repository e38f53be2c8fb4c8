// What a span gathers while it is open: name, tags, logs, failure, in its slot's body.
#ifndef SPANWATCH_SDK_CPP_SRC_SPAN_BODY_H_
#define SPANWATCH_SDK_CPP_SRC_SPAN_BODY_H_

#include <cstdint>
#include <cstring>

#include "sdk/cpp/src/thread_block.h"
#include "spanwatch/span.h"

// Without this, every use of a variable from another file would go by way of the global offset table.
#pragma GCC visibility push(hidden)

namespace spanwatch::internal {

// Lowest level that AddLog keeps.
extern std::atomic<std::uint8_t> g_log_level;

// Relaxed atomic words: the sender may read an open span's name at this moment (and finds out by the generation).
inline void StoreWord(std::uint64_t* at, std::uint64_t word) noexcept { __atomic_store_n(at, word, __ATOMIC_RELAXED); }

// The last 1 to 7 bytes of a text as a word, padded with zeros, without reading beyond them.
inline std::uint64_t LoadTail(const char* text, std::size_t bytes) noexcept {
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "texts are stored as they lie in memory");
  if (bytes >= 4) {
    std::uint32_t low, high;
    std::memcpy(&low, text, 4);
    std::memcpy(&high, text + bytes - 4, 4);
    return low | std::uint64_t{high} << 8 * (bytes - 4);
  }
  std::uint64_t word = static_cast<unsigned char>(text[0]);
  if (bytes >= 2) word |= std::uint64_t{static_cast<unsigned char>(text[1])} << 8;
  if (bytes == 3) word |= std::uint64_t{static_cast<unsigned char>(text[2])} << 16;
  return word;
}

// Returns the number of words, the last one padded with zeros.
inline std::uint32_t StoreText(std::uint64_t* at, const char* text, std::size_t bytes) noexcept {
  std::uint64_t word;
  if (bytes < 8) {
    if (bytes == 0) return 0;
    StoreWord(at, LoadTail(text, bytes));
    return 1;
  }
  const char* const last = text + bytes - 8;
  std::uint64_t* to = at;
  for (; text <= last; text += 8) {
    std::memcpy(&word, text, 8);
    StoreWord(to++, word);
  }
  if (const std::size_t tail = bytes & 7; tail != 0) {
    std::memcpy(&word, last, 8);
    StoreWord(to++, word >> (64 - 8 * tail));  // what went before falls out
  }
  return static_cast<std::uint32_t>(to - at);
}

// Word by word, not by vector: see Publish().
inline void CopyWords(std::uint64_t* to, const std::uint64_t* from, std::uint32_t words) noexcept {
  const std::uint64_t* const end = from + words;
  for (; end - from >= 4; from += 4, to += 4) {
    to[0] = __atomic_load_n(from, __ATOMIC_RELAXED);
    to[1] = __atomic_load_n(from + 1, __ATOMIC_RELAXED);
    to[2] = __atomic_load_n(from + 2, __ATOMIC_RELAXED);
    to[3] = __atomic_load_n(from + 3, __ATOMIC_RELAXED);
  }
  while (from < end) *to++ = __atomic_load_n(from++, __ATOMIC_RELAXED);
}

// Cuts whole entries so that the body fits, and counts what went.
void TruncateBody(const Slot& slot, std::uint32_t max_words, std::uint32_t* words, std::uint32_t* dropped_tags,
                  std::uint32_t* dropped_logs) noexcept;

// Sets a tag that is set over and over: one entry, which is left alone while its value stays the same.
void KeepSpanText(SpanHandle handle, Text key, Text text) noexcept;
void KeepSpanFlag(SpanHandle handle, Text key) noexcept;  // true

// The span's destructor runs because an exception passes.
void FailByUnwinding(SpanHandle handle) noexcept;

// An exception as an event: its texts, with the chain of nested causes.
void AddException(SpanHandle handle, Text type, Text message, Text causes) noexcept;

// A link to a span of another trace; counts as a log.
void AddLink(SpanHandle handle, std::uint64_t trace_hi, std::uint64_t trace_lo, std::uint64_t span_id) noexcept;

}  // namespace spanwatch::internal

#pragma GCC visibility pop

#endif  // SPANWATCH_SDK_CPP_SRC_SPAN_BODY_H_
