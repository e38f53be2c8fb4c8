// The compact record of one ended span, as it lies in a ring: words, never split at the ring's end. The traced thread
// writes it, the sender reads it.
//
//   header (kHeaderWords), extra words if it has any, the name if that is not a constant, then entries: tags, logs with
//   their fields, a failure
//
// A text is either the address of a constant (one word) or its bytes, padded to words.
#ifndef SPANWATCH_SDK_CPP_SRC_RECORD_H_
#define SPANWATCH_SDK_CPP_SRC_RECORD_H_

#include <cstdint>
#include <cstring>
#include <string_view>

#include "sdk/cpp/redact/utf8.h"
#include "sdk/cpp/src/trace_state.h"

// Without this, every use of a variable from another file would go by way of the global offset table.
#pragma GCC visibility push(hidden)

namespace spanwatch::internal {

inline constexpr std::uint32_t kMaxNameBytes = 256;  // of names and keys
inline constexpr std::uint32_t kMaxTextBytes = 4096;
inline constexpr std::uint32_t kMaxSpanText = 48 << 10;  // all texts of one span
inline constexpr std::uint32_t kMaxTags = 64;
inline constexpr std::uint32_t kMaxLogs = 32;
inline constexpr std::uint32_t kMaxFields = 16;  // of one log

enum HeaderWord : std::uint32_t {
  kSizeWord,  // bits 0..13 words, 14.. flags, 18..26 name bytes, 27..29 kind, 32..63 offset of a constant name
  kEndWord,   // ticks
  kStartWord,
  kTraceHiWord,
  kTraceLoWord,
  kSpanWord,
  kParentWord,
  kHeaderWords,
  // Only with kRecordExtra: what few spans have.
  kSamplingWord = kHeaderWords,
  kStateWord,           // TraceState*, one reference, or 0
  kCountsWord,          // text bytes | dropped tags << 32 | dropped logs << 48
  kAllocatedBytesWord,  // these two with kCountsAllocations, else 0
  kAllocationsWord,
  kExtraEnd,
};
inline constexpr std::uint32_t kExtraWords = kExtraEnd - kHeaderWords;
inline constexpr std::uint64_t kRecordFailed = 1 << 14;
inline constexpr std::uint64_t kRecordPadding = 1 << 15;  // skip to the ring's start
inline constexpr std::uint64_t kRecordExtra = 1 << 16;
inline constexpr std::uint64_t kRecordConstantName = 1 << 17;
// Without the extra words: sampled, a random trace id, no tracestate, nothing dropped, texts of at most this many
// bytes.
inline constexpr std::uint32_t kMaxPlainText = 1024;

enum class EntryType : std::uint8_t {
  kGone,  // replaced by a later one
  kText,  // these four in the order of Value::Type
  kInt,
  kDouble,
  kBool,
  kFailure,    // no key; the message
  kLog,        // no key; the text; one word of ticks before it; `count` fields follow as entries
  kException,  // no key, no text; one word of ticks; `count` fields follow. Or a link: trace id (2 words), span id
};

// The program's own read-only data, where constants are remembered by address: below 4 GiB from its beginning. Found
// before the first span.
extern std::uintptr_t g_constants_begin;
extern std::uintptr_t g_constants_size;
inline bool IsConstant(const char* text) noexcept {
  return reinterpret_cast<std::uintptr_t>(text) - g_constants_begin < g_constants_size;
}

// First word of an entry. The rest: the key, unless it is a constant; then the number, a constant text's address, or a
// text's bytes. A log has one word of ticks before its text, and no key.
//
//   bits 0..2 type, 3 key is constant, 4 text is constant, 5..17 text bytes, 18..26 key bytes, 32..63 key's offset
//   log:                                                             18..22 fields, 23..24 level, 32..47 fields dropped
//   exception:                                                       18..22 fields, 25 it is a link, 32..47 as a log's
class EntryHead {
 public:
  static constexpr EntryHead OfNumber(EntryType type, std::size_t key_bytes) noexcept {
    return EntryHead(static_cast<std::uint64_t>(type) | key_bytes << 18);
  }
  static constexpr EntryHead OfText(std::size_t key_bytes, std::size_t text_bytes, bool constant) noexcept {
    return EntryHead(static_cast<std::uint64_t>(EntryType::kText) | std::uint64_t{constant} << 4 | text_bytes << 5 |
                     key_bytes << 18);
  }
  static constexpr EntryHead OfEvent(EntryType type, std::size_t text_bytes, bool constant, std::uint32_t level,
                                     std::uint32_t fields, std::size_t dropped) noexcept {
    return EntryHead(static_cast<std::uint64_t>(type) | std::uint64_t{constant} << 4 | text_bytes << 5 |
                     std::uint64_t{fields} << 18 | std::uint64_t{level} << 23 |
                     (dropped > 0xffff ? 0xffff : dropped) << 32);
  }
  static constexpr EntryHead OfLink() noexcept {
    return EntryHead(static_cast<std::uint64_t>(EntryType::kException) | kLinkBit);
  }
  // REQUIRES: IsConstant(key).
  EntryHead WithConstantKey(const char* key) const noexcept {
    return EntryHead(bits_ | 1 << 3 | (reinterpret_cast<std::uintptr_t>(key) - g_constants_begin) << 32);
  }
  EntryHead WithConstantText() const noexcept { return EntryHead(bits_ | 1 << 4); }
  // The same place, but what is there counts no more.
  EntryHead Gone() const noexcept {
    const bool number = type() >= EntryType::kInt && type() <= EntryType::kBool;
    return EntryHead((bits_ & ~std::uint64_t{7}) | (number ? 8 << 5 : 0));
  }
  explicit constexpr EntryHead(std::uint64_t bits) noexcept : bits_(bits) {}
  static constexpr std::uint64_t kLinkBit = 1 << 25;

  std::uint64_t bits() const noexcept { return bits_; }
  EntryType type() const noexcept { return static_cast<EntryType>(bits_ & 7); }
  bool key_constant() const noexcept { return (bits_ & 1 << 3) != 0; }
  bool text_constant() const noexcept { return (bits_ & 1 << 4) != 0; }
  std::uint32_t text_bytes() const noexcept { return bits_ >> 5 & 0x1fff; }
  std::uint32_t key_bytes() const noexcept { return bits_ >> 18 & 0x1ff; }
  const char* constant_key() const noexcept { return reinterpret_cast<const char*>(g_constants_begin + (bits_ >> 32)); }
  bool is_link() const noexcept { return type() == EntryType::kException && (bits_ & kLinkBit) != 0; }
  bool is_event() const noexcept { return type() >= EntryType::kLog; }
  std::uint32_t level() const noexcept { return bits_ >> 23 & 3; }
  std::uint32_t fields() const noexcept { return is_event() ? bits_ >> 18 & 31 : 0; }
  std::uint32_t dropped_fields() const noexcept { return bits_ >> 32 & 0xffff; }

  static constexpr std::uint32_t TextWords(std::size_t bytes, bool constant) noexcept {
    return constant ? 1 : static_cast<std::uint32_t>(bytes + 7) / 8;
  }
  std::uint32_t KeyWords() const noexcept {
    return type() >= EntryType::kFailure || key_constant() ? 0 : TextWords(key_bytes(), false);
  }
  // Words with the head, without an event's fields.
  std::uint32_t Words() const noexcept {
    switch (type()) {
      case EntryType::kInt:
      case EntryType::kDouble:
      case EntryType::kBool:
        return 2 + KeyWords();
      case EntryType::kLog:
        return 2 + TextWords(text_bytes(), text_constant());
      case EntryType::kException:
        return is_link() ? 4 : 2;
      default:
        return 1 + KeyWords() + TextWords(text_bytes(), text_constant());
    }
  }

 private:
  std::uint64_t bits_;
};

// An entry with its texts found.
struct EntryView {
  EntryHead head{0};
  std::string_view key;
  std::string_view text;
  std::uint64_t bits = 0;  // the number, a log's ticks, or the first word of what a link leads to
};

inline std::string_view TextAt(const std::uint64_t* words, std::uint32_t bytes, bool constant) noexcept {
  if (!constant) return {reinterpret_cast<const char*>(words), bytes};
  const char* text;
  std::memcpy(&text, words, sizeof(text));
  return {text, bytes};
}

// Reads the entry at `words` and returns the next one's place.
inline const std::uint64_t* ReadEntry(const std::uint64_t* words, EntryView* entry) noexcept {
  const EntryHead head(*words);
  entry->head = head;
  const std::uint64_t* at = words + 1;
  if (head.type() < EntryType::kFailure) {
    entry->key = head.key_constant() ? std::string_view(head.constant_key(), head.key_bytes())
                                     : TextAt(at, head.key_bytes(), false);
    at += head.KeyWords();
  } else if (head.is_event()) {
    entry->bits = *at++;
  }
  switch (head.type()) {
    case EntryType::kInt:
    case EntryType::kDouble:
    case EntryType::kBool:
      entry->bits = *at;
      break;
    case EntryType::kException:
      break;
    default:
      entry->text = TextAt(at, head.text_bytes(), head.text_constant());
  }
  return words + head.Words();
}

// Past an entry and, of an event, its fields.
inline const std::uint64_t* SkipEntry(const std::uint64_t* words) noexcept {
  const EntryHead head(*words);
  words += head.Words();
  for (std::uint32_t fields = head.fields(); fields > 0; --fields) words += EntryHead(*words).Words();
  return words;
}

// A whole record.
class RecordView {
 public:
  explicit RecordView(const std::uint64_t* words) noexcept : words_(words) {}

  std::uint64_t Word(HeaderWord word) const noexcept { return words_[word]; }
  std::uint32_t Words() const noexcept { return words_[kSizeWord] & 0x3fff; }
  bool Padding() const noexcept { return (words_[kSizeWord] & kRecordPadding) != 0; }
  bool Failed() const noexcept { return (words_[kSizeWord] & kRecordFailed) != 0; }
  bool HasExtra() const noexcept { return (words_[kSizeWord] & kRecordExtra) != 0; }
  std::uint32_t Kind() const noexcept { return words_[kSizeWord] >> 27 & 7; }
  std::uint32_t NameBytes() const noexcept { return words_[kSizeWord] >> 18 & 0x1ff; }
  std::string_view Name() const noexcept {
    if (!HasConstantName()) return TextAt(Body(), NameBytes(), false);
    return {reinterpret_cast<const char*>(g_constants_begin + (words_[kSizeWord] >> 32)), NameBytes()};
  }
  std::uint64_t Sampling() const noexcept { return HasExtra() ? words_[kSamplingWord] : kSampled | kRandomTraceId; }
  TraceState* State() const noexcept {
    return HasExtra() ? reinterpret_cast<TraceState*>(words_[kStateWord]) : nullptr;
  }
  const std::uint64_t* Entries() const noexcept {
    return Body() + (HasConstantName() ? 0 : EntryHead::TextWords(NameBytes(), false));
  }
  const std::uint64_t* End() const noexcept { return words_ + Words(); }
  std::uint32_t TextBytes() const noexcept {  // at most
    return HasExtra() ? static_cast<std::uint32_t>(words_[kCountsWord]) : kMaxPlainText;
  }
  // Whether its allocations were counted.
  bool HasAllocations() const noexcept { return (Sampling() & kCountsAllocations) != 0; }
  std::uint32_t DroppedTags() const noexcept { return HasExtra() ? words_[kCountsWord] >> 32 & 0xffff : 0; }
  std::uint32_t DroppedLogs() const noexcept { return HasExtra() ? words_[kCountsWord] >> 48 & 0xffff : 0; }

 private:
  bool HasConstantName() const noexcept { return (words_[kSizeWord] & kRecordConstantName) != 0; }
  const std::uint64_t* Body() const noexcept { return words_ + kHeaderWords + (HasExtra() ? kExtraWords : 0); }

  const std::uint64_t* words_;
};

using redact::CutUtf8;

}  // namespace spanwatch::internal

#pragma GCC visibility pop

#endif  // SPANWATCH_SDK_CPP_SRC_RECORD_H_
