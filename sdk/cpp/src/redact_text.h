// Finds personal data and secrets in text by their shapes, and replaces them by marks as "[redacted:email]". The same
// shapes and marks as the sidecar has for OTLP (sidecar/ingest/redact_text.h): tests/vectors/redaction.txt holds both
// to them. Linear in the text, no allocation. Replacing again changes nothing. Pure; any thread.
#ifndef SPANWATCH_SDK_CPP_SRC_REDACT_TEXT_H_
#define SPANWATCH_SDK_CPP_SRC_REDACT_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "sdk/cpp/src/record.h"

namespace spanwatch::internal {

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
  kStrict,       // text under a key that is not on the allow list
  kCut,          // the last word of a text that was cut, perhaps within a secret
};

std::string_view RedactedMark(Redacted kind) noexcept;  // "[redacted:email]"

// A text becomes at most this many times as long ("://a@" is the worst), and never longer than its limit.
inline constexpr std::size_t kRedactedGrowth = 6;
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
  char data_[kMaxTextBytes];
};

// How many places were replaced. 0: `text` is clean, `out` untouched. Else `out`, cleared to `limit`, holds the result.
std::uint32_t RedactText(std::string_view text, std::size_t limit, TextBuffer* out) noexcept;

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_REDACT_TEXT_H_
