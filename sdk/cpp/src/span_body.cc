#include "sdk/cpp/src/span_body.h"

#include "sdk/cpp/src/clock.h"
#include "sdk/cpp/src/record.h"

namespace spanwatch::internal {

std::atomic<std::uint8_t> g_log_level{0};

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

inline bool IsOpen(SpanHandle handle) noexcept {
  return handle.slot->generation.load(kRelaxed) == handle.generation;  // a lost span's never matches
}

__attribute__((noinline)) bool Grow(Slot* slot, std::size_t words) noexcept {
  const std::uint32_t used = slot->BodyWords();
  std::uint32_t capacity = kSpareWords;
  while (capacity < used + words) capacity *= 2;
  if (capacity > kMaxBodyWords) return false;
  ThreadBlock* const block = t_state.block;
  if (block == nullptr) return false;
  std::uint64_t* const body = AllocateBody(block, capacity);
  if (body == nullptr) return false;
  CopyWords(body, slot->body, used);
  const std::uint32_t former = slot->body_capacity;
  if (slot->body != slot->inline_body) FreeBody(block, slot->body, former);
  slot->UseBody(body, capacity);
  slot->fill = slot->fill.Grown(capacity - former);
  return true;
}

// Makes room for an entry. False: a limit forbids it.
inline bool Room(Slot* slot, std::size_t words, std::size_t text_bytes) noexcept {
  if (slot->fill.Plus(0, text_bytes).Over()) return false;
  return !slot->fill.Plus(words, 0).WordsOver() || Grow(slot, words);
}

// A text ready to be stored: cut, and known to be constant or not.
struct Prepared {
  const char* data;
  std::uint32_t bytes;
  bool constant;
  std::uint32_t Words() const noexcept { return EntryHead::TextWords(bytes, constant); }
};

inline Prepared Prepare(Text text, std::uint32_t limit) noexcept {
  std::size_t bytes = text.size();
  if (__builtin_expect(bytes > limit, 0)) bytes = CutUtf8(text.data(), bytes, limit);
  return {text.data(), static_cast<std::uint32_t>(bytes), IsConstant(text.data())};
}

inline std::uint64_t* Put(std::uint64_t* at, const Prepared& text) noexcept {
  if (text.constant) {
    StoreWord(at, reinterpret_cast<std::uintptr_t>(text.data));
    return at + 1;
  }
  return at + StoreText(at, text.data, text.bytes);
}

inline EntryType TypeOf(Value::Type type) noexcept {
  static_assert(static_cast<int>(EntryType::kText) == static_cast<int>(Value::Type::kText) + 1 &&
                static_cast<int>(EntryType::kBool) == static_cast<int>(Value::Type::kBool) + 1);
  return static_cast<EntryType>(static_cast<std::uint8_t>(type) + 1);
}

// The head and the key of a tag at the next entry's place; returns where its value goes.
inline std::uint64_t* PutKey(Slot* slot, EntryHead head, const Prepared& key) noexcept {
  std::uint64_t* const at = slot->NextEntry();
  if (key.constant) {
    StoreWord(at, head.WithConstantKey(key.data).bits());
    return at + 1;
  }
  StoreWord(at, head.bits());
  return at + 1 + StoreText(at + 1, key.data, key.bytes);
}

inline std::uint32_t KeyWords(const Prepared& key) noexcept { return key.constant ? 0 : key.Words(); }

// One key and number, not counted as a tag. False: no room.
bool PutNumberTag(Slot* slot, Text key_text, std::uint64_t bits, EntryType type) noexcept {
  const Prepared key = Prepare(key_text, kMaxNameBytes);
  const std::uint32_t words = 2 + KeyWords(key);
  if (!Room(slot, words, key.bytes)) return false;
  StoreWord(PutKey(slot, EntryHead::OfNumber(type, key.bytes), key), bits);
  slot->fill = slot->fill.Plus(words, key.bytes);
  return true;
}

// One key and text, not counted as a tag. False: no room.
bool PutTextTag(Slot* slot, Text key_text, Text value) noexcept {
  const Prepared key = Prepare(key_text, kMaxNameBytes);
  const Prepared text = Prepare(value, kMaxTextBytes);
  const std::uint32_t words = 1 + KeyWords(key) + text.Words();
  const std::uint32_t bytes = key.bytes + text.bytes;
  if (!Room(slot, words, bytes)) return false;
  Put(PutKey(slot, EntryHead::OfText(key.bytes, text.bytes, text.constant), key), text);
  slot->fill = slot->fill.Plus(words, bytes);
  return true;
}

bool PutTag(Slot* slot, Text key, const Value& value) noexcept {
  if (value.type() == Value::Type::kText) return PutTextTag(slot, key, value.text());
  return PutNumberTag(slot, key, value.bits(), TypeOf(value.type()));
}

std::uint64_t* FirstEntry(Slot* slot) noexcept {
  const std::uint32_t name_bytes = slot->meta.load(kRelaxed) & kMetaNameMask;
  return slot->body + (slot->name.load(kRelaxed) != 0 ? 0 : EntryHead::TextWords(name_bytes, false));
}

// The first entry of that key; false if there is none.
bool FindTag(Slot* slot, Text key, EntryView* entry) noexcept {
  const std::uint64_t* const end = slot->NextEntry();
  for (const std::uint64_t* at = FirstEntry(slot); at < end; at = SkipEntry(at)) {
    ReadEntry(at, entry);
    const EntryType type = entry->head.type();
    if (type >= EntryType::kText && type <= EntryType::kBool && entry->key == key.view()) return true;
  }
  return false;
}

// The table is full: a key that is there already may still be replaced. A number takes the old number's place; else the
// old entry is marked gone.
__attribute__((noinline)) bool Replace(Slot* slot, Text key, const Value& value) noexcept {
  const std::string_view wanted = {key.data(), CutUtf8(key.data(), key.size(), kMaxNameBytes)};
  const std::uint64_t* const end = slot->NextEntry();
  for (std::uint64_t* at = FirstEntry(slot); at < end; at += SkipEntry(at) - at) {
    EntryView entry;
    ReadEntry(at, &entry);
    const EntryType type = entry.head.type();
    if (type < EntryType::kText || type > EntryType::kBool || entry.key != wanted) continue;
    if (type == TypeOf(value.type()) && type != EntryType::kText) {
      StoreWord(at + 1 + entry.head.KeyWords(), value.bits());
      return true;
    }
    const std::ptrdiff_t offset = at - slot->body;
    if (!PutTag(slot, key, value)) return false;
    StoreWord(slot->body + offset, entry.head.Gone().bits());
    return true;
  }
  return false;
}

inline void CountDropped(std::uint16_t* counter, std::size_t more = 1) noexcept {
  const std::size_t sum = *counter + more;
  *counter = static_cast<std::uint16_t>(sum > 0xffff ? 0xffff : sum);
}

// Everything that the fast paths leave: copied keys, long texts, no room, 64 tags.
void SetSlowly(SpanHandle handle, Text key, const Value& value) noexcept {
  if (!IsOpen(handle)) return;
  Slot* const slot = handle.slot;
  if (slot->fill.tags() < kMaxTags ? PutTag(slot, key, value) : Replace(slot, key, value)) {
    if (slot->fill.tags() < kMaxTags) slot->fill = slot->fill.Plus(0, 0, 1);
    return;
  }
  CountDropped(&slot->dropped_tags);
}
// With the arguments of the fast paths, so that those jump here and save no registers.
__attribute__((noinline)) void SetTextSlowly(SpanHandle handle, Text key, Text text) noexcept {
  SetSlowly(handle, key, text);
}
__attribute__((noinline)) void SetNumberSlowly(SpanHandle handle, Text key, std::uint64_t bits,
                                               Value::Type type) noexcept {
  SetSlowly(handle, key, Value::OfBits(bits, type));
}

// Adds a text that is not a constant to the entry whose head is at `at`, and counts the tag.
__attribute__((noinline)) void FinishCopied(Slot* slot, std::uint64_t* at, std::size_t key_bytes, Text text) noexcept {
  slot->fill = slot->fill.Plus(1 + StoreText(at + 1, text.data(), text.size()), key_bytes + text.size(), 1);
}

// An event: its head, its text (of a log), its fields; all or nothing.
bool PutEvent(Slot* slot, EntryType type, LogLevel level, Text event_text, const Tag* fields,
              std::size_t count) noexcept {
  const std::uint32_t words_before = slot->BodyWords();
  const std::uint32_t text_before = slot->fill.text_bytes();
  const Prepared text = Prepare(event_text, kMaxTextBytes);
  const bool has_text = type == EntryType::kLog;
  const std::uint32_t words = 2 + (has_text ? text.Words() : 0);
  if (!Room(slot, words, text.bytes)) return false;
  slot->fill = slot->fill.Plus(words, text.bytes);
  std::uint32_t put = 0;
  for (; put < count && put < kMaxFields; ++put) {
    if (PutTag(slot, fields[put].key, fields[put].value)) continue;
    slot->fill = Fill::Of(slot->body_capacity).Plus(words_before, text_before, slot->fill.tags(), slot->fill.logs());
    return false;
  }
  std::uint64_t* const at = slot->body + words_before;
  StoreWord(
      at,
      EntryHead::OfEvent(type, text.bytes, text.constant, static_cast<std::uint32_t>(level), put, count - put).bits());
  StoreWord(at + 1, Ticks());
  if (has_text) Put(at + 2, text);
  return true;
}

}  // namespace

// A tag whose key is a constant, which fits: the entry's words, one after the other.
void SetSpanText(SpanHandle handle, Text key, Text text) noexcept {
  Slot* const slot = handle.slot;
  // As if the text had to be copied: a constant takes one word, never more.
  const Fill fill = slot->fill.Plus(2 + text.size() / 8, key.size() + text.size(), 1);
  // 0: the span is open, no limit is passed, no text is long. In one word, for one branch and fewer registers to save.
  const std::uint64_t unusual = (slot->generation.load(kRelaxed) ^ handle.generation) | fill.OverBits() |
                                key.size() / kMaxNameBytes | text.size() / kMaxTextBytes;
  if (__builtin_expect(unusual != 0 || !IsConstant(key.data()), 0)) {
    return SetTextSlowly(handle, key, text);
  }
  std::uint64_t* const at = slot->NextEntry();
  const EntryHead head = EntryHead::OfText(key.size(), text.size(), false).WithConstantKey(key.data());
  if (!IsConstant(text.data())) {
    StoreWord(at, head.bits());
    return FinishCopied(slot, at, key.size(), text);
  }
  StoreWord(at, head.WithConstantText().bits());
  StoreWord(at + 1, reinterpret_cast<std::uintptr_t>(text.data()));
  slot->fill = slot->fill.Plus(2, key.size() + text.size(), 1);
}

void SetSpanNumber(SpanHandle handle, Text key, std::uint64_t bits, Value::Type type) noexcept {
  Slot* const slot = handle.slot;
  const Fill fill = slot->fill.Plus(2, key.size(), 1);
  if (__builtin_expect(!IsOpen(handle) || !IsConstant(key.data()) || fill.Over() || key.size() > kMaxNameBytes, 0)) {
    return SetNumberSlowly(handle, key, bits, type);
  }
  std::uint64_t* const at = slot->NextEntry();
  StoreWord(at, EntryHead::OfNumber(TypeOf(type), key.size()).WithConstantKey(key.data()).bits());
  StoreWord(at + 1, bits);
  slot->fill = fill;
}

void SetSpanTags(SpanHandle handle, const Tag* tags, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    const Value& value = tags[i].value;
    if (value.type() == Value::Type::kText)
      SetSpanText(handle, tags[i].key, value.text());
    else
      SetSpanNumber(handle, tags[i].key, value.bits(), value.type());
  }
}

void KeepSpanText(SpanHandle handle, Text key, Text text) noexcept {
  if (!IsOpen(handle)) return;
  EntryView entry;
  if (!FindTag(handle.slot, key, &entry)) return SetSpanText(handle, key, text);
  if (entry.head.type() == EntryType::kText && entry.text == text.view()) return;
  if (!Replace(handle.slot, key, text.view())) CountDropped(&handle.slot->dropped_tags);
}

void KeepSpanFlag(SpanHandle handle, Text key) noexcept {
  EntryView entry;
  if (IsOpen(handle) && !FindTag(handle.slot, key, &entry)) SetSpanNumber(handle, key, 1, Value::Type::kBool);
}

void AddSpanLog(SpanHandle handle, LogLevel level, Text text, const Tag* fields, std::size_t count) noexcept {
  if (static_cast<std::uint8_t>(level) < g_log_level.load(kRelaxed) || !IsOpen(handle)) return;
  Slot* const slot = handle.slot;
  if (slot->fill.logs() >= kMaxLogs || !PutEvent(slot, EntryType::kLog, level, text, fields, count)) {
    return CountDropped(&slot->dropped_logs);
  }
  slot->fill = slot->fill.Plus(0, 0, 0, 1);
}

void FailSpan(SpanHandle handle, Text type, Text message_text) noexcept {
  if (!IsOpen(handle)) return;
  Slot* const slot = handle.slot;
  slot->failed = true;
  // Not among the 64: a failure must keep its type.
  if (type.size() > 0 && !PutTag(slot, "error.type", type)) CountDropped(&slot->dropped_tags);
  const Prepared message = Prepare(message_text, kMaxTextBytes);
  const std::uint32_t words = 1 + message.Words();
  if (!Room(slot, words, message.bytes)) return;
  std::uint64_t* const at = slot->NextEntry();
  StoreWord(at, EntryHead::OfEvent(EntryType::kFailure, message.bytes, message.constant, 0, 0, 0).bits());
  Put(at + 1, message);
  slot->fill = slot->fill.Plus(words, message.bytes);
}

void FailByUnwinding(SpanHandle handle) noexcept {
  if (!IsOpen(handle) || handle.slot->failed) return;
  FailSpan(handle, Text(), "left by an exception");
}

void AddException(SpanHandle handle, Text type, Text message, Text causes) noexcept {
  if (!IsOpen(handle)) return;
  const Tag fields[] = {
      {"exception.type", type}, {"exception.message", message}, {"spanwatch.exception.causes", causes}};
  if (!PutEvent(handle.slot, EntryType::kException, LogLevel::kError, Text(), fields, causes.size() > 0 ? 3 : 2)) {
    CountDropped(&handle.slot->dropped_logs);
  }
}

void AddLink(SpanHandle handle, std::uint64_t trace_hi, std::uint64_t trace_lo, std::uint64_t span_id) noexcept {
  if (!IsOpen(handle)) return;
  Slot* const slot = handle.slot;
  constexpr EntryHead kHead = EntryHead::OfLink();
  const std::uint32_t words = kHead.Words();
  if (slot->fill.logs() >= kMaxLogs || !Room(slot, words, 0)) return CountDropped(&slot->dropped_logs);
  std::uint64_t* at = slot->NextEntry();
  for (const std::uint64_t word : {kHead.bits(), trace_hi, trace_lo, span_id}) StoreWord(at++, word);
  slot->fill = slot->fill.Plus(words, 0, 0, 1);
}

void TruncateBody(const Slot& slot, std::uint32_t max_words, std::uint32_t* words, std::uint32_t* dropped_tags,
                  std::uint32_t* dropped_logs) noexcept {
  const std::uint64_t* const body = slot.body;
  const std::uint32_t name_bytes = slot.meta.load(kRelaxed) & kMetaNameMask;
  const std::uint64_t* at = body + (slot.name.load(kRelaxed) != 0 ? 0 : EntryHead::TextWords(name_bytes, false));
  const std::uint64_t* const end = body + slot.BodyWords();
  const std::uint64_t* kept = at;
  bool fits = true;
  while (at < end) {
    const EntryHead head(*at);
    at = SkipEntry(at);
    if (fits && at <= body + max_words) {
      kept = at;
      continue;
    }
    fits = false;
    if (head.type() == EntryType::kGone) continue;
    ++*(head.is_event() ? dropped_logs : dropped_tags);
  }
  *words = static_cast<std::uint32_t>(kept - body);
}

}  // namespace spanwatch::internal
