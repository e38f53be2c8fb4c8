// protozero with std::string_view as its view type, and the wire tags as case labels. Include this, never protozero
// itself: every source must agree on the view type.
#ifndef SPANWATCH_SIDECAR_INGEST_PBF_H_
#define SPANWATCH_SIDECAR_INGEST_PBF_H_

#include <cstdint>
#include <cstring>
#include <string_view>

#define PROTOZERO_USE_VIEW std::string_view
#include <protozero/byteswap.hpp>
#include <protozero/exception.hpp>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>
#include <protozero/varint.hpp>

#include "sidecar/ingest/otlp_wire.h"

namespace spanwatch::ingest {

// For `switch (reader.tag_and_type())`, and of what FieldReader::Next() returns: a field of the wrong wire type then
// falls to `default: reader.skip()`, as an unknown field would.
constexpr std::uint32_t Varint(std::uint32_t field) {
  return protozero::tag_and_type(field, protozero::pbf_wire_type::varint);
}
constexpr std::uint32_t Bytes(std::uint32_t field) {
  return protozero::tag_and_type(field, protozero::pbf_wire_type::length_delimited);
}
constexpr std::uint32_t Fixed64(std::uint32_t field) {
  return protozero::tag_and_type(field, protozero::pbf_wire_type::fixed64);
}
constexpr std::uint32_t Fixed32(std::uint32_t field) {
  return protozero::tag_and_type(field, protozero::pbf_wire_type::fixed32);
}

// A reader for the hot path: protozero's semantics and exceptions, with tags and lengths below 128 (all that spans
// have, but for long texts) read in line. Half the instructions of pbf_reader for a span.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  // Field number and wire type; 0 at the end. Then exactly one of the functions below must follow.
  std::uint32_t Next() {
    if (at_ == end_) return 0;
    const auto first = static_cast<unsigned char>(*at_);
    if (first - 8u >= 0x80u - 8u) return LongTag();
    ++at_;
    return tag_ = first;
  }
  std::uint64_t Number() {
    if (at_ != end_ && static_cast<unsigned char>(*at_) < 0x80) return static_cast<unsigned char>(*at_++);
    return protozero::decode_varint(&at_, end_);
  }
  std::string_view View() {
    const std::uint64_t size = Number();
    return {Take(size), static_cast<std::size_t>(size)};
  }
  std::uint64_t Word64() { return Word<std::uint64_t>(); }
  std::uint32_t Word32() { return Word<std::uint32_t>(); }
  void Skip() {
    switch (static_cast<protozero::pbf_wire_type>(tag_ & 7)) {
      case protozero::pbf_wire_type::varint:
        Number();
        break;
      case protozero::pbf_wire_type::fixed64:
        Take(8);
        break;
      case protozero::pbf_wire_type::length_delimited:
        Take(Number());
        break;
      case protozero::pbf_wire_type::fixed32:
        Take(4);
        break;
      default:
        throw protozero::unknown_pbf_wire_type_exception{};
    }
  }

 private:
  const char* Take(std::uint64_t size) {
    if (size > static_cast<std::uint64_t>(end_ - at_)) throw protozero::end_of_buffer_exception{};
    const char* const begin = at_;
    at_ += size;
    return begin;
  }
  // A tag of zero is no end: what follows it would go unread and uncounted.
  [[gnu::noinline]] std::uint32_t LongTag() {
    const std::uint64_t tag = protozero::decode_varint(&at_, end_);
    if (!IsTag(tag)) throw protozero::invalid_tag_exception{};
    return tag_ = static_cast<std::uint32_t>(tag);
  }
  template <typename T>
  T Word() {
    T value;
    std::memcpy(&value, Take(sizeof value), sizeof value);
#if PROTOZERO_BYTE_ORDER != PROTOZERO_LITTLE_ENDIAN
    protozero::byteswap_inplace(&value);
#endif
    return value;
  }

  const char* at_;
  const char* const end_;
  std::uint32_t tag_ = 0;
};

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_PBF_H_
