// The compact record of one ended span, as it lies in a ring: words, never split at the ring's end. The traced thread
// writes it, the sender reads it.
//
//   header (kHeaderWords), then the name if it is not a constant, then entries: tags, logs with their fields, a failure
//
// A text is either the address of a constant (one word) or its bytes, padded to words.
#ifndef SPANWATCH_SDK_CPP_SRC_RECORD_H_
#define SPANWATCH_SDK_CPP_SRC_RECORD_H_

#include <cstdint>
#include <cstring>
#include <string_view>

namespace spanwatch::internal {

inline constexpr std::uint32_t kMaxNameBytes = 256;    // of names and keys
inline constexpr std::uint32_t kMaxTextBytes = 4096;
inline constexpr std::uint32_t kMaxSpanText = 48 << 10;  // all texts of one span
inline constexpr std::uint32_t kMaxTags = 64;
inline constexpr std::uint32_t kMaxLogs = 32;
inline constexpr std::uint32_t kMaxFields = 16;        // of one log

enum HeaderWord : std::uint32_t {
  kSizeWord,      // words | name bytes << 32 | kind << 48 | flags << 56
  kEndWord,       // ticks
  kStartWord,
  kTraceHiWord,
  kTraceLoWord,
  kSpanWord,
  kParentWord,
  kSamplingWord,
  kNameWord,      // address, or 0: inline
  kStateWord,     // TraceState*, one reference, or 0
  kCountsWord,    // text bytes | dropped tags << 32 | dropped logs << 48
  kHeaderWords,
};
inline constexpr std::uint64_t kRecordFailed = std::uint64_t{1} << 56;
inline constexpr std::uint64_t kRecordPadding = std::uint64_t{1} << 57;  // skip to the ring's start

enum class EntryType : std::uint8_t {
  kGone,       // replaced by a later one
  kInt,
  kDouble,
  kBool,
  kText,
  kFailure,    // no key; the message
  kLog,        // no key; the text; one word of ticks before it; `count` fields follow as entries
  kException,  // no key, no text; one word of ticks; `count` fields follow
};

// First word of an entry.
struct EntryHead {
  EntryType type = EntryType::kGone;
  bool key_constant = false;
  bool text_constant = false;
  std::uint8_t level = 0;
  std::uint8_t count = 0;
  std::uint16_t key_bytes = 0;   // of a log or exception: fields that were dropped
  std::uint16_t text_bytes = 0;

  std::uint64_t Pack() const noexcept {
    return static_cast<std::uint64_t>(type) | std::uint64_t{key_constant} << 8 | std::uint64_t{text_constant} << 9 |
           std::uint64_t{level} << 16 | std::uint64_t{count} << 24 | std::uint64_t{key_bytes} << 32 |
           std::uint64_t{text_bytes} << 48;
  }
  // Of a tag with a constant key.
  static std::uint64_t PackTag(EntryType type, std::size_t key_bytes, bool text_constant, std::size_t text_bytes) noexcept {
    return static_cast<std::uint64_t>(type) | std::uint64_t{1} << 8 | std::uint64_t{text_constant} << 9 |
           std::uint64_t{key_bytes} << 32 | std::uint64_t{text_bytes} << 48;
  }
  static EntryHead Unpack(std::uint64_t word) noexcept {
    EntryHead head;
    head.type = static_cast<EntryType>(word & 0xff);
    head.key_constant = (word >> 8 & 1) != 0;
    head.text_constant = (word >> 9 & 1) != 0;
    head.level = static_cast<std::uint8_t>(word >> 16);
    head.count = static_cast<std::uint8_t>(word >> 24);
    head.key_bytes = static_cast<std::uint16_t>(word >> 32);
    head.text_bytes = static_cast<std::uint16_t>(word >> 48);
    return head;
  }

  static std::uint32_t TextWords(std::uint32_t bytes, bool constant) noexcept {
    return constant ? 1 : (bytes + 7) / 8;
  }
  std::uint32_t KeyWords() const noexcept {
    return type >= EntryType::kFailure ? 0 : TextWords(key_bytes, key_constant);
  }
  // Words with the head, without a log's fields.
  std::uint32_t Words() const noexcept {
    switch (type) {
      case EntryType::kGone:
      case EntryType::kInt:
      case EntryType::kDouble:
      case EntryType::kBool:
        return 1 + KeyWords() + (type == EntryType::kGone ? TextWords(text_bytes, text_constant) : 1);
      case EntryType::kText:
      case EntryType::kFailure:
        return 1 + KeyWords() + TextWords(text_bytes, text_constant);
      case EntryType::kLog:
        return 2 + TextWords(text_bytes, text_constant);
      case EntryType::kException:
        return 2;
    }
    return 1;
  }
};

// An entry with its texts found.
struct EntryView {
  EntryHead head;
  std::string_view key;
  std::string_view text;
  std::uint64_t bits = 0;  // the number, or a log's ticks
};

inline std::string_view TextAt(const std::uint64_t* words, std::uint32_t bytes, bool constant) noexcept {
  if (!constant) return {reinterpret_cast<const char*>(words), bytes};
  const char* text;
  std::memcpy(&text, words, sizeof(text));
  return {text, bytes};
}

// Reads the entry at `words` and returns the next one's place.
inline const std::uint64_t* ReadEntry(const std::uint64_t* words, EntryView* entry) noexcept {
  const EntryHead head = EntryHead::Unpack(*words);
  entry->head = head;
  const std::uint64_t* at = words + 1;
  entry->key = {};
  if (head.type < EntryType::kFailure) {
    entry->key = TextAt(at, head.key_bytes, head.key_constant);
    at += head.KeyWords();
  } else if (head.type != EntryType::kFailure) {
    entry->bits = *at++;
  }
  if (head.type == EntryType::kInt || head.type == EntryType::kDouble || head.type == EntryType::kBool) entry->bits = *at;
  entry->text = TextAt(at, head.text_bytes, head.text_constant);
  return words + head.Words();
}

// A whole record.
class RecordView {
 public:
  explicit RecordView(const std::uint64_t* words) noexcept : words_(words) {}

  std::uint64_t Word(HeaderWord word) const noexcept { return words_[word]; }
  std::uint32_t Words() const noexcept { return static_cast<std::uint32_t>(words_[kSizeWord]); }
  bool Padding() const noexcept { return (words_[kSizeWord] & kRecordPadding) != 0; }
  bool Failed() const noexcept { return (words_[kSizeWord] & kRecordFailed) != 0; }
  std::uint32_t Kind() const noexcept { return words_[kSizeWord] >> 48 & 15; }
  std::uint32_t NameBytes() const noexcept { return words_[kSizeWord] >> 32 & 0xffff; }
  std::string_view Name() const noexcept {
    return words_[kNameWord] != 0 ? TextAt(words_ + kNameWord, NameBytes(), true)
                                  : TextAt(words_ + kHeaderWords, NameBytes(), false);
  }
  const std::uint64_t* Entries() const noexcept {
    return words_ + kHeaderWords + (words_[kNameWord] != 0 ? 0 : EntryHead::TextWords(NameBytes(), false));
  }
  const std::uint64_t* End() const noexcept { return words_ + Words(); }
  std::uint32_t TextBytes() const noexcept { return static_cast<std::uint32_t>(words_[kCountsWord]); }
  std::uint32_t DroppedTags() const noexcept { return words_[kCountsWord] >> 32 & 0xffff; }
  std::uint32_t DroppedLogs() const noexcept { return words_[kCountsWord] >> 48 & 0xffff; }

 private:
  const std::uint64_t* words_;
};

// The longest prefix of at most `limit` bytes that does not cut a UTF-8 character.
inline std::size_t CutUtf8(const char* text, std::size_t size, std::size_t limit) noexcept {
  if (size <= limit) return size;
  std::size_t cut = limit;
  while (cut > 0 && cut + 4 > limit && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) --cut;
  return cut;
}

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_RECORD_H_
