#include "sidecar/core/span_detail.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <vector>

namespace spanwatch::core {
namespace {

constexpr std::size_t kMaxVarint = 5;
constexpr std::size_t kMaxScratch = 1 << 20;
constexpr std::size_t kShort = 16;
constexpr std::string_view kModelPrefix = "gen_ai.";
// What follows the attributes.
constexpr std::uint32_t kMore = 1, kTraceState = 2, kRemoteParent = 4;

// REQUIRES: longer than kShort.
bool IsModelKey(std::string_view key) { return key.starts_with(kModelPrefix); }

// Writes into room that was measured before: no check, no growth. See Room().
class Writer {
 public:
  explicit Writer(char* at) : at_(at) {}
  void Varint(std::uint32_t value) {
    while (value >= 0x80) {
      *at_++ = static_cast<char>(value | 0x80);
      value >>= 7;
    }
    *at_++ = static_cast<char>(value);
  }
  // Keys and values are short: fixed-size moves that may overlap cost a third of a call to memcpy.
  void Raw(const void* data, std::size_t size) {
    if (size <= kShort) return RawShort(static_cast<const char*>(data), size);
    std::memcpy(at_, data, size);
    at_ += size;
  }
  void RawShort(const char* from, std::size_t size) {
    if (size >= 8) {
      Move<std::uint64_t>(from, size);
    } else if (size >= 4) {
      Move<std::uint32_t>(from, size);
    } else {
      for (std::size_t i = 0; i < size; ++i) at_[i] = from[i];
    }
    at_ += size;
  }
  void Text(std::string_view text) {
    Varint(static_cast<std::uint32_t>(text.size()));
    Raw(text.data(), text.size());
  }
  void Attribute(const AttributeView& a) {
    Key(a.key);
    *at_++ = static_cast<char>(a.type);
    switch (a.type) {
      case AttributeType::kEmpty:
        break;
      case AttributeType::kBool:
        *at_++ = a.integer != 0;
        break;
      case AttributeType::kInt:
        Raw(&a.integer, 8);
        break;
      case AttributeType::kDouble:
        Raw(&a.number, 8);
        break;
      default:
        Text(a.text);
    }
  }
  char* at() const { return at_; }
  bool tells_model() const { return tells_model_; }

 private:
  void Key(std::string_view key) {
    Varint(static_cast<std::uint32_t>(key.size()));
    if (key.size() > kShort) {
      tells_model_ |= IsModelKey(key);
      std::memcpy(at_, key.data(), key.size());
      at_ += key.size();
    } else {
      RawShort(key.data(), key.size());
    }
  }
  // The first and the last word of [from, from + size). REQUIRES: sizeof(Word) <= size <= 2 * sizeof(Word).
  template <typename Word>
  void Move(const char* from, std::size_t size) {
    Word first, last;
    std::memcpy(&first, from, sizeof first);
    std::memcpy(&last, from + size - sizeof last, sizeof last);
    std::memcpy(at_, &first, sizeof first);
    std::memcpy(at_ + size - sizeof last, &last, sizeof last);
  }

  char* at_;
  bool tells_model_ = false;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  bool AtEnd() const { return bytes_.empty(); }
  std::uint32_t Varint() {
    std::uint32_t value = 0;
    for (int shift = 0; shift < 35 && !bytes_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      value |= static_cast<std::uint32_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) break;
    }
    return value;
  }
  std::string_view Text() {
    const std::size_t size = Varint();  // before substr() looks at bytes_
    const std::string_view text = bytes_.substr(0, size);
    bytes_.remove_prefix(text.size());
    return text;
  }
  template <typename T>
  T Raw() {
    T value{};
    if (bytes_.size() < sizeof value) return value;
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_.remove_prefix(sizeof value);
    return value;
  }
  AttributeView Attribute() {
    AttributeView a;
    a.key = Text();
    a.type = static_cast<AttributeType>(Raw<std::uint8_t>());
    switch (a.type) {
      case AttributeType::kEmpty:
        break;
      case AttributeType::kBool:
        a.integer = Raw<std::uint8_t>();
        break;
      case AttributeType::kInt:
        a.integer = Raw<std::int64_t>();
        break;
      case AttributeType::kDouble:
        a.number = Raw<double>();
        break;
      default:
        a.text = Text();
    }
    return a;
  }

 private:
  std::string_view bytes_;
};

std::size_t Room(const SpanBatch& batch, AttributeRange range) {
  std::size_t size = kMaxVarint;
  for (std::uint32_t i = 0; i < range.count; ++i) {
    const AttributeView& a = batch.attributes[range.first + i];
    size += a.key.size() + a.text.size() + 2 * kMaxVarint + 9;
  }
  return size;
}

void WriteAttributes(const SpanBatch& batch, AttributeRange range, Writer* out) {
  out->Varint(range.count);
  for (std::uint32_t i = 0; i < range.count; ++i) out->Attribute(batch.attributes[range.first + i]);
}

std::size_t RoomForMore(const SpanBatch& batch, const SpanView& span, std::string_view name) {
  std::size_t room = name.size() + span.status_message.size() + 8 * kMaxVarint + std::size_t{span.link_count} * 24;
  for (std::uint32_t i = 0; i < span.event_count; ++i) {
    const EventView& event = batch.events[span.first_event + i];
    room += 8 + event.name.size() + kMaxVarint + Room(batch, event.attributes);
  }
  return room;
}

void WriteMore(const SpanBatch& batch, const SpanView& span, std::string_view name, Writer* out) {
  out->Text(name);
  out->Text(span.status_message);
  out->Varint(span.dropped_attributes);
  out->Varint(span.dropped_events);
  out->Varint(span.dropped_links);
  out->Varint(span.event_count);
  for (std::uint32_t i = 0; i < span.event_count; ++i) {
    const EventView& event = batch.events[span.first_event + i];
    out->Raw(&event.time_ns, 8);
    out->Text(event.name);
    WriteAttributes(batch, event.attributes, out);
  }
  out->Varint(span.link_count);
  for (std::uint32_t i = 0; i < span.link_count; ++i) {
    const LinkView& link = batch.links[span.first_link + i];
    out->Raw(&link.trace_id.hi, 8);
    out->Raw(&link.trace_id.lo, 8);
    out->Raw(&link.span_id.value, 8);
  }
}

SpanCopy::Attribute Own(const AttributeView& a) {
  return {std::string(a.key), a.type, a.integer, a.number, std::string(a.text)};
}

std::vector<SpanCopy::Attribute> ReadAttributes(Reader* in) {
  std::vector<SpanCopy::Attribute> attributes;
  for (std::uint32_t n = in->Varint(); n > 0 && !in->AtEnd(); --n) attributes.push_back(Own(in->Attribute()));
  return attributes;
}

// Reads one list of attributes to its end, whatever was found.
std::uint64_t FindIn(Reader* in, const std::vector<TagMatch>& tags, std::uint64_t wanted) {
  std::uint64_t found = 0;
  for (std::uint32_t n = in->Varint(); n > 0 && !in->AtEnd(); --n) {
    const AttributeView attribute = in->Attribute();
    for (std::size_t i = 0; i < tags.size(); ++i) {
      const std::uint64_t bit = std::uint64_t{1} << i;
      if ((wanted & bit) != 0 && tags[i].Matches(attribute)) found |= bit;
    }
  }
  return found;
}

// What stands between the attributes and the name.
std::uint32_t ReadParts(Reader* in) {
  const std::uint32_t parts = in->Varint();
  if ((parts & kTraceState) != 0) in->Text();
  return parts;
}

void SkipDropped(Reader* in) {
  for (int i = 0; i < 3; ++i) in->Varint();
}

// From the name on.
void SkipToEvents(Reader* in) {
  in->Text();
  in->Text();
  SkipDropped(in);
}

bool ContainsLower(std::string_view text, std::string_view needle) {
  return std::search(text.begin(), text.end(), needle.begin(), needle.end(), [](char a, char b) {
           return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + ('a' - 'A')) : a) == b;
         }) != text.end();
}

bool ErrorTextIn(Reader* in, std::string_view needle) {
  bool found = false;
  for (std::uint32_t n = in->Varint(); n > 0 && !in->AtEnd(); --n) {
    const AttributeView a = in->Attribute();
    if (found || a.type != AttributeType::kString) continue;
    if (!a.key.starts_with("exception.") && !a.key.starts_with("error.")) continue;
    found = (a.key.ends_with(".type") || a.key.ends_with(".message")) && ContainsLower(a.text, needle);
  }
  return found;
}

}  // namespace

bool TellsModel(const SpanBatch& batch, AttributeRange range) {
  for (std::uint32_t i = 0; i < range.count; ++i) {
    const std::string_view key = batch.attributes[range.first + i].key;
    if (key.size() > kShort && IsModelKey(key)) return true;
  }
  return false;
}

bool AppendDetail(const SpanBatch& batch, const SpanView& span, bool with_name, FlatBuffer<char>* out) {
  const std::string_view name = with_name ? span.name : std::string_view();
  const bool more = !name.empty() || !span.status_message.empty() || span.event_count != 0 || span.link_count != 0 ||
                    (span.dropped_attributes | span.dropped_events | span.dropped_links) != 0;
  std::size_t room = 1 + Room(batch, span.attributes);
  if (more) room += RoomForMore(batch, span, name);
  room += span.trace_state.size() + kMaxVarint;
  // Measured, written into a buffer that is reused, then appended: growing *out first would clear the bytes in vain.
  static thread_local std::vector<char> scratch;
  if (scratch.size() < room) scratch.resize(room);
  Writer writer(scratch.data());
  WriteAttributes(batch, span.attributes, &writer);  // first: HasAttribute() stops there
  writer.Varint((more ? kMore : 0) | (span.trace_state.empty() ? 0 : kTraceState) |
                (span.parent_is_remote ? kRemoteParent : 0));
  if (!span.trace_state.empty()) writer.Text(span.trace_state);
  if (more) WriteMore(batch, span, name, &writer);
  out->Append(scratch.data(), static_cast<std::size_t>(writer.at() - scratch.data()));
  if (scratch.size() > kMaxScratch) std::vector<char>().swap(scratch);
  return writer.tells_model();
}

void EncodeAttributes(const SpanBatch& batch, AttributeRange range, std::size_t max_bytes, std::string* out) {
  out->clear();
  char count[kMaxVarint];
  std::uint32_t kept = 0;
  std::vector<char> scratch;
  for (std::uint32_t i = 0; i < range.count; ++i) {
    const std::size_t room = Room(batch, {range.first + i, 1});
    if (scratch.size() < room) scratch.resize(room);
    Writer writer(scratch.data());
    writer.Attribute(batch.attributes[range.first + i]);
    const auto size = static_cast<std::size_t>(writer.at() - scratch.data());
    if (out->size() + size + kMaxVarint > max_bytes) continue;
    out->append(scratch.data(), size);
    ++kept;
  }
  if (kept == 0) return;
  Writer writer(count);
  writer.Varint(kept);
  out->insert(0, count, static_cast<std::size_t>(writer.at() - count));
}

std::vector<AttributeCopy> DecodeAttributes(std::string_view encoded) {
  Reader in(encoded);
  return ReadAttributes(&in);
}

void ReadDetail(std::string_view detail, SpanCopy* copy) {
  Reader in(detail);
  copy->attributes = ReadAttributes(&in);
  const std::uint32_t parts = in.Varint();
  copy->parent_is_remote = (parts & kRemoteParent) != 0;
  if ((parts & kTraceState) != 0) copy->trace_state = in.Text();
  if ((parts & kMore) == 0) return;
  if (const std::string_view name = in.Text(); !name.empty()) copy->name = name;
  copy->status_message = in.Text();
  copy->dropped_attributes = in.Varint();
  copy->dropped_events = in.Varint();
  copy->dropped_links = in.Varint();
  for (std::uint32_t n = in.Varint(); n > 0; --n) {
    SpanCopy::Event event;
    event.time_ns = in.Raw<std::int64_t>();
    event.name = in.Text();
    event.attributes = ReadAttributes(&in);
    copy->events.push_back(std::move(event));
  }
  for (std::uint32_t n = in.Varint(); n > 0; --n) {
    LinkView link;
    link.trace_id.hi = in.Raw<std::uint64_t>();
    link.trace_id.lo = in.Raw<std::uint64_t>();
    link.span_id.value = in.Raw<std::uint64_t>();
    copy->links.push_back(link);
  }
}

bool FindAttribute(std::string_view encoded, std::string_view key, AttributeView* out) {
  Reader in(encoded);
  for (std::uint32_t n = in.Varint(); n > 0 && !in.AtEnd(); --n) {
    *out = in.Attribute();
    if (out->key == key) return true;
  }
  return false;
}

TagMatch::TagMatch(std::string_view key, std::string_view value) : key_(key), value_(value) {
  const char* end = value.data() + value.size();
  std::int64_t integer = 0;
  if (const auto read = std::from_chars(value.data(), end, integer); read.ec == std::errc() && read.ptr == end) {
    char digits[24];
    const auto text = std::to_chars(digits, digits + sizeof digits, integer);
    if (std::string_view(digits, static_cast<std::size_t>(text.ptr - digits)) == value) integer_ = integer;
  }
  double number = 0;
  if (const auto read = std::from_chars(value.data(), end, number); read.ec == std::errc() && read.ptr == end)
    number_ = number;
}

bool TagMatch::Matches(const AttributeView& attribute) const {
  if (attribute.key != key_) return false;
  switch (attribute.type) {
    case AttributeType::kEmpty:
      return value_.empty();
    case AttributeType::kBool:
      return value_ == (attribute.integer != 0 ? "true" : "false");
    case AttributeType::kInt:
      return integer_ && attribute.integer == *integer_;
    case AttributeType::kDouble:
      return number_ && (attribute.number == *number_ || (std::isnan(attribute.number) && std::isnan(*number_)));
    case AttributeType::kBytes:
      return false;
    case AttributeType::kString:
    case AttributeType::kJson:
      break;
  }
  return attribute.text == value_;
}

std::uint64_t FindTags(std::string_view detail, const std::vector<TagMatch>& tags, std::uint64_t wanted) {
  Reader in(detail);
  std::uint64_t missing = wanted & ~FindIn(&in, tags, wanted);
  if (missing == 0 || (ReadParts(&in) & kMore) == 0) return wanted & ~missing;
  SkipToEvents(&in);
  for (std::uint32_t n = in.Varint(); n > 0 && missing != 0 && !in.AtEnd(); --n) {
    in.Raw<std::int64_t>();
    in.Text();
    missing &= ~FindIn(&in, tags, missing);
  }
  return wanted & ~missing;
}

std::uint64_t FindTagsEncoded(std::string_view encoded, const std::vector<TagMatch>& tags, std::uint64_t wanted) {
  Reader in(encoded);
  return FindIn(&in, tags, wanted);
}

bool HasErrorText(std::string_view detail, bool failed, std::string_view needle) {
  Reader in(detail);
  if (ErrorTextIn(&in, needle)) return true;
  if ((ReadParts(&in) & kMore) == 0) return false;
  in.Text();
  if (const std::string_view message = in.Text(); failed && ContainsLower(message, needle)) return true;
  SkipDropped(&in);
  for (std::uint32_t n = in.Varint(); n > 0 && !in.AtEnd(); --n) {
    in.Raw<std::int64_t>();
    in.Text();
    if (ErrorTextIn(&in, needle)) return true;
  }
  return false;
}

std::string_view DetailName(std::string_view detail) {
  Reader in(detail);
  for (std::uint32_t n = in.Varint(); n > 0 && !in.AtEnd(); --n) in.Attribute();
  return (ReadParts(&in) & kMore) != 0 ? in.Text() : std::string_view();
}

}  // namespace spanwatch::core
