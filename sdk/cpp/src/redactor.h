// What leaves the process of the texts that the program gave: redaction by the policy of Options::redaction.
#ifndef SPANWATCH_SDK_CPP_SRC_REDACTOR_H_
#define SPANWATCH_SDK_CPP_SRC_REDACTOR_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sdk/cpp/redact/keys.h"
#include "sdk/cpp/redact/text.h"
#include "sdk/cpp/src/envelope.h"
#include "sdk/cpp/src/record.h"
#include "spanwatch/redaction.h"

namespace spanwatch::internal {

using redact::KeyVerdict;
using redact::kRedactedGrowth;
using redact::kShortestSecret;
using redact::Redacted;
using redact::TextBuffer;
static_assert(redact::kMaxBufferBytes == kMaxTextBytes);

const char* RedactionModeName(RedactionMode mode) noexcept;  // static: "default", "strict", "off"

// Constants of the program are judged once and remembered by address, short keys that are not constants (a shared
// library's) by their text. Texts that are given back lie where they lay, or in a buffer of the redactor. Threads: the
// sender alone.
class Redactor {
 public:
  // `policy.mode` is not kFromEnvironment. May throw std::bad_alloc.
  explicit Redactor(const Redaction& policy);

  // What a tag's key says about its value, and the key as it may leave; valid until the next call of Key.
  struct JudgedKey {
    std::string_view text;
    KeyVerdict verdict;
  };
  JudgedKey Key(std::string_view key) noexcept;

  // A text under a key of that verdict; valid until the next call of Value or Text.
  std::string_view Value(KeyVerdict verdict, std::string_view text) noexcept {
    return verdict == KeyVerdict::kKeep ? Text(text, kMaxTextBytes) : Hidden(verdict, text);
  }
  // A text without a key, which was cut at `limit` if it was longer; valid as that of Value.
  std::string_view Text(std::string_view text, std::size_t limit) noexcept {
    if (!on_ || text.size() < kShortestSecret) return text;
    if (IsConstant(text.data()) && !IsCut(text, limit) && Judged(text).clean) return text;
    return Search(text, limit, &text_);
  }
  // May throw std::bad_alloc.
  void Redact(std::vector<Gauge>* gauges);

  // Of texts whose keys the SDK itself chose. In strict mode not kKeep.
  KeyVerdict log_verdict() const noexcept { return log_verdict_; }
  KeyVerdict message_verdict() const noexcept { return message_verdict_; }

  std::uint64_t policy_hash() const noexcept { return policy_hash_; }  // 0: off
  std::uint64_t marks() const noexcept { return marks_; }              // placed so far

 private:
  struct Entry {
    const char* text = nullptr;
    std::uint32_t size = 0;
    KeyVerdict verdict = KeyVerdict::kKeep;
    bool clean = false;
  };
  static constexpr std::uint32_t kEntryBits = 10;
  struct CopiedKey {
    std::uint8_t size = 0;
    KeyVerdict verdict = KeyVerdict::kKeep;
    bool clean = false;
    char text[37];
  };
  static constexpr std::uint32_t kCopiedBits = 8;

  // CutUtf8 leaves out three bytes at most, beside what is over the limit.
  static bool IsCut(std::string_view text, std::size_t limit) noexcept { return text.size() + 3 >= limit; }
  const Entry& Judged(std::string_view constant) noexcept {
    const std::uint64_t hash = reinterpret_cast<std::uintptr_t>(constant.data()) * 0x9E3779B97F4A7C15u;
    Entry& entry = entries_[hash >> (64 - kEntryBits)];
    if (__builtin_expect(entry.text != constant.data() || entry.size != constant.size(), 0)) Fill(constant, &entry);
    return entry;
  }
  void Fill(std::string_view constant, Entry* entry) noexcept;
  const CopiedKey& JudgedCopy(std::string_view key) noexcept;
  KeyVerdict Judge(std::string_view key) const noexcept;
  bool IsAllowed(std::string_view key) const noexcept;
  std::string_view Hidden(KeyVerdict verdict, std::string_view text) noexcept;
  std::string_view Search(std::string_view text, std::size_t limit, TextBuffer* buffer) noexcept;

  bool on_ = true;
  bool strict_ = false;
  bool keep_content_ = false;
  std::vector<std::string> allow_, deny_;  // in lower case; deny_ without '-' and '_'
  KeyVerdict log_verdict_ = KeyVerdict::kKeep;
  KeyVerdict message_verdict_ = KeyVerdict::kKeep;
  std::uint64_t policy_hash_ = 0;
  std::uint64_t marks_ = 0;
  TextBuffer key_;
  TextBuffer text_;
  Entry entries_[1 << kEntryBits];
  CopiedKey copied_[1 << kCopiedBits];
};

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_REDACTOR_H_
