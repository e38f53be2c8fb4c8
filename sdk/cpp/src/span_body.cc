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

__attribute__((noinline)) bool Grow(Slot* slot, std::uint32_t words) noexcept {
  std::uint32_t capacity = kSpareWords;
  while (capacity < slot->fill.words() + words) capacity *= 2;
  if (capacity > kMaxBodyWords) return false;
  ThreadBlock* const block = t_state.block;
  if (block == nullptr) return false;
  std::uint64_t* const body = AllocateBody(block, capacity);
  if (body == nullptr) return false;
  CopyWords(body, slot->body, slot->fill.words());
  if (slot->body != slot->inline_body) FreeBody(block, slot->body, slot->body_capacity);
  slot->body = body;
  slot->body_capacity = capacity;
  return true;
}

inline bool Room(Slot* slot, std::uint32_t words) noexcept {
  return __builtin_expect(slot->fill.words() + words <= slot->body_capacity, 1) || Grow(slot, words);
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
  switch (type) {
    case Value::Type::kText:
      return EntryType::kText;
    case Value::Type::kInt:
      return EntryType::kInt;
    case Value::Type::kDouble:
      return EntryType::kDouble;
    case Value::Type::kBool:
      break;
  }
  return EntryType::kBool;
}

// One key and number, not counted as a tag. False: no room.
bool PutNumberTag(Slot* slot, Text key_text, std::uint64_t bits, EntryType type) noexcept {
  const Prepared key = Prepare(key_text, kMaxNameBytes);
  const std::uint32_t words = 2 + key.Words();
  if (slot->fill.text_bytes() + key.bytes > kMaxSpanText || !Room(slot, words)) return false;
  EntryHead head;
  head.type = type;
  head.key_constant = key.constant;
  head.key_bytes = static_cast<std::uint16_t>(key.bytes);
  std::uint64_t* const at = slot->body + slot->fill.words();
  StoreWord(at, head.Pack());
  StoreWord(Put(at + 1, key), bits);
  slot->fill.Add(words, key.bytes);
  return true;
}

// One key and text, not counted as a tag. False: no room.
bool PutTextTag(Slot* slot, Text key_text, Text value) noexcept {
  const Prepared key = Prepare(key_text, kMaxNameBytes);
  const Prepared text = Prepare(value, kMaxTextBytes);
  const std::uint32_t words = 1 + key.Words() + text.Words();
  const std::uint32_t bytes = key.bytes + text.bytes;
  if (slot->fill.text_bytes() + bytes > kMaxSpanText || !Room(slot, words)) return false;
  EntryHead head;
  head.type = EntryType::kText;
  head.key_constant = key.constant;
  head.text_constant = text.constant;
  head.key_bytes = static_cast<std::uint16_t>(key.bytes);
  head.text_bytes = static_cast<std::uint16_t>(text.bytes);
  std::uint64_t* const at = slot->body + slot->fill.words();
  StoreWord(at, head.Pack());
  Put(Put(at + 1, key), text);
  slot->fill.Add(words, bytes);
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

// The table is full: a key that is there already may still be replaced. A number takes the old number's place; else the
// old entry is marked gone.
__attribute__((noinline)) bool Replace(Slot* slot, Text key, const Value& value) noexcept {
  const std::string_view wanted = {key.data(), CutUtf8(key.data(), key.size(), kMaxNameBytes)};
  std::uint64_t* at = FirstEntry(slot);
  std::uint64_t* const end = slot->body + slot->fill.words();
  while (at < end) {
    EntryView entry;
    ReadEntry(at, &entry);
    std::uint32_t fields = entry.head.count;
    std::uint64_t* next = at + entry.head.Words();
    for (; fields > 0; --fields) next += EntryHead::Unpack(*next).Words();
    const EntryType type = entry.head.type;
    if (type >= EntryType::kInt && type <= EntryType::kText && entry.key == wanted) {
      if (type == TypeOf(value.type()) && type != EntryType::kText) {
        StoreWord(at + 1 + entry.head.KeyWords(), value.bits());
        return true;
      }
      const std::size_t offset = static_cast<std::size_t>(at - slot->body);
      if (!PutTag(slot, key, value)) return false;
      EntryHead gone = entry.head;
      gone.type = EntryType::kGone;
      if (type != EntryType::kText) {
        gone.text_bytes = 8;  // the number's word
        gone.text_constant = false;
      }
      StoreWord(slot->body + offset, gone.Pack());
      return true;
    }
    at = next;
  }
  return false;
}

inline void CountDropped(std::uint16_t* counter, std::size_t more = 1) noexcept {
  const std::size_t sum = *counter + more;
  *counter = static_cast<std::uint16_t>(sum > 0xffff ? 0xffff : sum);
}

// Everything that the fast paths leave: copied keys, long texts, no room, 64 tags.
__attribute__((noinline)) void SetSlowly(SpanHandle handle, Text key, const Value& value) noexcept {
  if (!IsOpen(handle)) return;
  Slot* const slot = handle.slot;
  if (slot->fill.tags() < kMaxTags ? PutTag(slot, key, value) : Replace(slot, key, value)) {
    if (slot->fill.tags() < kMaxTags) slot->fill.AddTag(0, 0);
    return;
  }
  CountDropped(&slot->dropped_tags);
}

// An event's head, its text and its fields, all or nothing.
bool PutEvent(Slot* slot, EntryHead head, Text event_text, const Tag* fields, std::size_t count) noexcept {
  const Fill before = slot->fill;
  const Prepared text = Prepare(event_text, kMaxTextBytes);
  const bool has_text = head.type == EntryType::kLog;
  const std::uint32_t words = 2 + (has_text ? text.Words() : 0);
  if (slot->fill.text_bytes() + text.bytes > kMaxSpanText || !Room(slot, words)) return false;
  slot->fill.Add(words, text.bytes);
  std::uint8_t put = 0;
  for (std::size_t i = 0; i < count && put < kMaxFields; ++i) {
    if (!PutTag(slot, fields[i].key, fields[i].value)) {
      slot->fill = before;
      return false;
    }
    ++put;
  }
  head.count = put;
  head.key_bytes = static_cast<std::uint16_t>(count - put > 0xffff ? 0xffff : count - put);
  head.text_constant = text.constant;
  head.text_bytes = static_cast<std::uint16_t>(has_text ? text.bytes : 0);
  std::uint64_t* const at = slot->body + before.words();
  StoreWord(at, head.Pack());
  StoreWord(at + 1, Ticks());
  if (has_text) Put(at + 2, text);
  return true;
}

}  // namespace

// A tag whose key is a constant, which fits: the entry's words, one after the other.
void SetSpanText(SpanHandle handle, Text key, Text text) noexcept {
  Slot* const slot = handle.slot;
  const bool constant = IsConstant(text.data());
  const std::size_t bytes = key.size() + text.size();
  const std::uint32_t words = 2 + (constant ? 1 : static_cast<std::uint32_t>(text.size() + 7) / 8);
  const Fill fill = slot->fill;
  if (__builtin_expect(!IsOpen(handle) || !IsConstant(key.data()) || key.size() > kMaxNameBytes ||
                           text.size() > kMaxTextBytes || fill.tags() >= kMaxTags ||
                           fill.words() + words > slot->body_capacity || fill.text_bytes() + bytes > kMaxSpanText,
                       0)) {
    return SetSlowly(handle, key, text);
  }
  std::uint64_t* const at = slot->body + fill.words();
  StoreWord(at, EntryHead::PackTag(EntryType::kText, key.size(), constant, text.size()));
  StoreWord(at + 1, reinterpret_cast<std::uintptr_t>(key.data()));
  if (constant) StoreWord(at + 2, reinterpret_cast<std::uintptr_t>(text.data()));
  else StoreText(at + 2, text.data(), text.size());
  slot->fill.AddTag(words, bytes);
}

void SetSpanNumber(SpanHandle handle, Text key, std::uint64_t bits, Value::Type type) noexcept {
  Slot* const slot = handle.slot;
  const Fill fill = slot->fill;
  if (__builtin_expect(!IsOpen(handle) || !IsConstant(key.data()) || key.size() > kMaxNameBytes ||
                           fill.tags() >= kMaxTags || fill.words() + 3 > slot->body_capacity ||
                           fill.text_bytes() + key.size() > kMaxSpanText,
                       0)) {
    return SetSlowly(handle, key, Value::OfBits(bits, type));
  }
  std::uint64_t* const at = slot->body + fill.words();
  StoreWord(at, EntryHead::PackTag(TypeOf(type), key.size(), false, 0));
  StoreWord(at + 1, reinterpret_cast<std::uintptr_t>(key.data()));
  StoreWord(at + 2, bits);
  slot->fill.AddTag(3, key.size());
}

void SetSpanTags(SpanHandle handle, const Tag* tags, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    const Value& value = tags[i].value;
    if (value.type() == Value::Type::kText) SetSpanText(handle, tags[i].key, value.text());
    else SetSpanNumber(handle, tags[i].key, value.bits(), value.type());
  }
}

void AddSpanLog(SpanHandle handle, LogLevel level, Text text, const Tag* fields, std::size_t count) noexcept {
  if (static_cast<std::uint8_t>(level) < g_log_level.load(kRelaxed) || !IsOpen(handle)) return;
  Slot* const slot = handle.slot;
  EntryHead head;
  head.type = EntryType::kLog;
  head.level = static_cast<std::uint8_t>(level);
  if (slot->fill.logs() >= kMaxLogs || !PutEvent(slot, head, text, fields, count)) return CountDropped(&slot->dropped_logs);
  slot->fill.CountLog();
}

void FailSpan(SpanHandle handle, Text type, Text message_text) noexcept {
  if (!IsOpen(handle)) return;
  Slot* const slot = handle.slot;
  slot->failed = true;
  // Not among the 64: a failure must keep its type.
  if (type.size() > 0 && !PutTag(slot, "error.type", type)) CountDropped(&slot->dropped_tags);
  const Prepared message = Prepare(message_text, kMaxTextBytes);
  EntryHead head;
  head.type = EntryType::kFailure;
  head.text_constant = message.constant;
  head.text_bytes = static_cast<std::uint16_t>(message.bytes);
  const std::uint32_t words = 1 + message.Words();
  if (slot->fill.text_bytes() + message.bytes > kMaxSpanText || !Room(slot, words)) return;
  std::uint64_t* const at = slot->body + slot->fill.words();
  StoreWord(at, head.Pack());
  Put(at + 1, message);
  slot->fill.Add(words, message.bytes);
}

void FailByUnwinding(SpanHandle handle) noexcept {
  if (!IsOpen(handle) || handle.slot->failed) return;
  FailSpan(handle, Text(), "left by an exception");
}

void AddException(SpanHandle handle, Text type, Text message, Text causes) noexcept {
  if (!IsOpen(handle)) return;
  EntryHead head;
  head.type = EntryType::kException;
  const Tag fields[] = {{"exception.type", type}, {"exception.message", message}, {"spanwatch.exception.causes", causes}};
  if (!PutEvent(handle.slot, head, Text(), fields, causes.size() > 0 ? 3 : 2)) CountDropped(&handle.slot->dropped_logs);
}

void TruncateBody(const Slot& slot, std::uint32_t max_words, std::uint32_t* words, std::uint32_t* dropped_tags,
                  std::uint32_t* dropped_logs) noexcept {
  const std::uint64_t* const body = slot.body;
  const std::uint32_t name_bytes = slot.meta.load(kRelaxed) & kMetaNameMask;
  const std::uint64_t* at = body + (slot.name.load(kRelaxed) != 0 ? 0 : EntryHead::TextWords(name_bytes, false));
  const std::uint64_t* const end = body + slot.fill.words();
  const std::uint64_t* kept = at;
  bool fits = true;
  while (at < end) {
    const EntryHead head = EntryHead::Unpack(*at);
    at += head.Words();
    for (std::uint32_t fields = head.count; fields > 0; --fields) at += EntryHead::Unpack(*at).Words();
    if (fits && at <= body + max_words) {
      kept = at;
      continue;
    }
    fits = false;
    if (head.type == EntryType::kGone) continue;
    ++*(head.type >= EntryType::kLog ? dropped_logs : dropped_tags);
  }
  *words = static_cast<std::uint32_t>(kept - body);
}

}  // namespace spanwatch::internal
