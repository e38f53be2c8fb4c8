// Finds personal data and secrets in text by their shapes, and replaces them by marks as "[redacted:email]": for the
// SDK before spans leave the process, for the sidecar in OTLP that nobody redacted. tests/vectors/redaction.txt holds
// both ends to the same results. Linear in the text; clean text costs about a nanosecond a byte and no allocation.
// Replacing again changes nothing. Pure; any thread.
#ifndef SPANWATCH_SDK_CPP_REDACT_TEXT_H_
#define SPANWATCH_SDK_CPP_REDACT_TEXT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "sdk/cpp/redact/utf8.h"

namespace spanwatch::redact {

enum class Redacted : std::uint8_t {
  kEmail,
  kMention,  // of a Discord user or role
  kPhone,
  kApiKey,       // by the prefixes of well-known issuers, and private keys
  kToken,        // bearer, JWT, Discord bot token, webhook
  kCredentials,  // user and password in a URL, basic authentication
  kSecret,       // what is assigned to a secret name: password=...
  kKey,          // the value of a tag with such a key
  kContent,      // the value of a tag that holds what people wrote
  kDepth,        // arrays and maps too deep to look through
  // The SDK's alone:
  kStrict,  // text under a key that is not on the allow list
  kCut,     // the last word of a text that was cut, perhaps within a secret
};
inline constexpr std::size_t kRedactedKinds = 10;  // that the sidecar places and counts
using RedactedCounts = std::array<std::uint64_t, kRedactedKinds>;

std::string_view RedactedName(Redacted kind) noexcept;  // "email": [a-z_]
std::string_view RedactedMark(Redacted kind) noexcept;  // "[redacted:email]"

// A text becomes at most this many times as long ("://a@" is the worst), and never longer than its limit.
inline constexpr std::size_t kRedactedGrowth = 6;
inline constexpr std::size_t kMaxBufferBytes = 4096;
inline constexpr std::size_t kShortestSecret = 6;  // a@b.cc: nothing is found in less

// Text of at most `limit` bytes; what does not fit is left out from there on. Threads: one.
class TextBuffer {
 public:
  void Clear(std::size_t limit) noexcept {
    size_ = 0;
    limit_ = limit < sizeof(data_) ? limit : sizeof(data_);
    full_ = false;
  }
  void Append(std::string_view text) noexcept {
    if (full_) return;
    const std::size_t room = limit_ - size_;
    full_ = text.size() > room;
    const std::size_t size = full_ ? CutUtf8(text.data(), text.size(), room) : text.size();
    if (size > 0) std::memcpy(data_ + size_, text.data(), size);
    size_ += size;
  }
  void AppendMark(Redacted kind) noexcept {  // whole or not at all
    const std::string_view mark = RedactedMark(kind);
    full_ = full_ || mark.size() > limit_ - size_;
    Append(full_ ? std::string_view() : mark);
  }
  std::string_view view() const noexcept { return {data_, size_}; }

 private:
  std::size_t size_ = 0;
  std::size_t limit_ = 0;
  bool full_ = false;
  char data_[kMaxBufferBytes];
};

// How many places were replaced. 0: `text` is clean, `out` untouched. Else `out`, cleared to `limit`, holds the result.
std::uint32_t RedactText(std::string_view text, std::size_t limit, TextBuffer* out) noexcept;

// The same without a limit. False: `text` is clean, `out` and `counts` untouched. Else `out` is set and `counts`
// increased. May throw std::bad_alloc.
bool RedactText(std::string_view text, std::string* out, RedactedCounts* counts);

}  // namespace spanwatch::redact

#endif  // SPANWATCH_SDK_CPP_REDACT_TEXT_H_
