// Protobuf's wire format without exceptions, by positions: what rewrites messages needs to know where a field begins
// and ends. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_INGEST_OTLP_WIRE_H_
#define SPANWATCH_SIDECAR_INGEST_OTLP_WIRE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace spanwatch::ingest {

// A byte that no reader takes for a field (wire type 7): stands in the place of bytes that could not be read, so that
// the decoder meets and counts the fault without the bytes.
inline constexpr char kBrokenField = 0x0f;

// Whether a tag's varint is one that protobuf allows. All readers here ask this, so that they agree on what is broken.
inline constexpr bool IsTag(std::uint64_t tag) {
  const std::uint64_t number = tag >> 3;
  return tag <= UINT32_MAX && number >= 1 && !(number >= 19000 && number <= 19999);
}

struct WireField {
  std::uint32_t number = 0;
  std::uint32_t wire_type = 0;
  std::size_t begin = 0, end = 0;  // of the whole field, in the message
  std::string_view value;          // wire type 2: the content; else the raw bytes of the value
};

class WireReader {
 public:
  explicit WireReader(std::string_view message) : message_(message) {}

  // False at the end, or where the message is broken; see broken().
  bool Next(WireField* field) {
    if (at_ >= message_.size()) return false;
    field->begin = at_;
    std::uint64_t tag = 0;
    if (!Varint(&tag) || !IsTag(tag)) return Break(field->begin);
    field->number = static_cast<std::uint32_t>(tag >> 3);
    field->wire_type = static_cast<std::uint32_t>(tag & 7);
    std::uint64_t size = 0;
    std::size_t value = at_;
    switch (field->wire_type) {
      case 0:
        if (!Varint(&size)) return Break(field->begin);
        size = 0;
        break;
      case 1:
        size = 8;
        break;
      case 2:
        if (!Varint(&size)) return Break(field->begin);
        value = at_;
        break;
      case 5:
        size = 4;
        break;
      default:
        return Break(field->begin);
    }
    if (size > message_.size() - at_) return Break(field->begin);
    at_ += static_cast<std::size_t>(size);
    field->end = at_;
    field->value = message_.substr(value, at_ - value);
    return true;
  }

  bool broken() const { return broken_; }
  std::size_t at() const { return at_; }  // broken: where the broken field begins

 private:
  bool Break(std::size_t begin) {
    at_ = begin;
    broken_ = true;
    return false;
  }

  bool Varint(std::uint64_t* value) {
    *value = 0;
    for (unsigned shift = 0; shift < 70 && at_ < message_.size(); shift += 7) {
      const auto byte = static_cast<unsigned char>(message_[at_++]);
      if (shift < 64) *value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  const std::string_view message_;
  std::size_t at_ = 0;
  bool broken_ = false;
};

inline void AppendVarint(std::uint64_t value, std::string* out) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}

inline void AppendTag(std::uint32_t number, std::uint32_t wire_type, std::string* out) {
  AppendVarint(static_cast<std::uint64_t>(number) << 3 | wire_type, out);
}

inline void AppendField(std::uint32_t number, std::string_view content, std::string* out) {
  AppendTag(number, 2, out);
  AppendVarint(content.size(), out);
  out->append(content);
}

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_OTLP_WIRE_H_
