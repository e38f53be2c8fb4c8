// As much of protobuf's wire format as the SDK writes and reads.
#ifndef SPANWATCH_SDK_CPP_SRC_PROTOBUF_H_
#define SPANWATCH_SDK_CPP_SRC_PROTOBUF_H_

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace spanwatch::internal {

enum WireType : std::uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

inline constexpr std::uint32_t VarintSize(std::uint64_t value) noexcept {
  return value == 0 ? 1 : (63 - static_cast<std::uint32_t>(__builtin_clzll(value))) / 7 + 1;
}

// Writers: store at `out` and return the next place. The caller made room. Fields have numbers below 16.
inline std::uint8_t* PutVarint(std::uint8_t* out, std::uint64_t value) noexcept {
  while (value >= 0x80) {
    *out++ = static_cast<std::uint8_t>(value | 0x80);
    value >>= 7;
  }
  *out++ = static_cast<std::uint8_t>(value);
  return out;
}
inline std::uint8_t* PutRaw(std::uint8_t* out, const void* data, std::size_t size) noexcept {
  if (size > 0) std::memcpy(out, data, size);
  return out + size;
}
inline std::uint8_t* PutTag(std::uint8_t* out, std::uint32_t field, WireType type) noexcept {
  *out = static_cast<std::uint8_t>(field << 3 | type);
  return out + 1;
}
inline std::uint8_t* PutFixed64Raw(std::uint8_t* out, std::uint64_t value) noexcept { return PutRaw(out, &value, 8); }
inline std::uint8_t* PutFixed64(std::uint8_t* out, std::uint32_t field, std::uint64_t value) noexcept {
  return PutFixed64Raw(PutTag(out, field, kFixed64), value);
}
// Nothing for 0, as proto3 has it.
inline std::uint8_t* PutNumber(std::uint8_t* out, std::uint32_t field, std::uint64_t value) noexcept {
  return value == 0 ? out : PutVarint(PutTag(out, field, kVarint), value);
}
inline std::uint8_t* PutHead(std::uint8_t* out, std::uint32_t field, std::size_t size) noexcept {
  return PutVarint(PutTag(out, field, kBytes), size);
}
inline std::uint8_t* PutBytes(std::uint8_t* out, std::uint32_t field, std::string_view bytes) noexcept {
  return PutRaw(PutHead(out, field, bytes.size()), bytes.data(), bytes.size());
}
inline std::uint8_t* PutBigEndian(std::uint8_t* out, std::uint64_t value) noexcept {
  return PutFixed64Raw(out, __builtin_bswap64(value));
}

// Closes a message whose body was written at `body`, after one byte of tag and two reserved bytes of length: writes the
// length and moves the body if it takes another number of bytes. Returns the end.
inline std::uint8_t* CloseMessage(std::uint8_t* body, std::uint8_t* end) noexcept {
  const auto size = static_cast<std::size_t>(end - body);
  const std::uint32_t length_bytes = VarintSize(size);
  std::uint8_t* const length = body - 2;
  if (length_bytes != 2) std::memmove(length + length_bytes, body, size);
  PutVarint(length, size);
  return length + length_bytes + size;
}

// Bytes that grow; memory that cannot be had is reported, not thrown. Threads: one.
class ByteBuffer {
 public:
  ByteBuffer() noexcept = default;
  ~ByteBuffer() { std::free(data_); }
  ByteBuffer(const ByteBuffer&) = delete;
  ByteBuffer& operator=(const ByteBuffer&) = delete;

  // Where `more` bytes may be written, or null.
  std::uint8_t* Room(std::size_t more) noexcept {
    if (size_ + more > capacity_) {
      std::size_t capacity = capacity_ == 0 ? 1024 : capacity_;
      while (capacity < size_ + more) capacity *= 2;
      void* const data = std::realloc(data_, capacity);
      if (data == nullptr) return nullptr;
      data_ = static_cast<std::uint8_t*>(data);
      capacity_ = capacity;
    }
    return data_ + size_;
  }
  void SetEnd(const std::uint8_t* end) noexcept { size_ = static_cast<std::size_t>(end - data_); }
  void Clear() noexcept { size_ = 0; }
  const std::uint8_t* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  std::size_t capacity() const noexcept { return capacity_; }
  std::string_view view() const noexcept { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

// Reads the fields of one message, in order, whatever the bytes are.
class ProtobufReader {
 public:
  explicit ProtobufReader(std::string_view bytes) noexcept : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  // The next field; false at the end and at the first malformed byte (then !ok()).
  bool Next() noexcept {
    std::uint64_t tag = 0;
    if (!ok_ || at_ == end_ || !ReadVarint(&tag)) return false;
    field_ = static_cast<std::uint32_t>(tag >> 3);
    type_ = static_cast<std::uint32_t>(tag & 7);
    std::uint64_t size = 0;
    switch (type_) {
      case kVarint:
        return ReadVarint(&number_);
      case kFixed64:
        number_ = 0;
        return Take(8) && (std::memcpy(&number_, bytes_.data(), 8), true);
      case kFixed32:
        number_ = 0;
        return Take(4) && (std::memcpy(&number_, bytes_.data(), 4), true);
      case kBytes:
        return ReadVarint(&size) && Take(size);
      default:
        return ok_ = false;
    }
  }
  bool ok() const noexcept { return ok_; }
  bool Is(std::uint32_t field, WireType type) const noexcept { return field_ == field && type_ == type; }
  std::uint64_t number() const noexcept { return number_; }
  std::string_view bytes() const noexcept { return bytes_; }

 private:
  bool ReadVarint(std::uint64_t* value) noexcept {
    *value = 0;
    for (std::uint32_t shift = 0; shift < 64 && at_ != end_; shift += 7) {
      const auto byte = static_cast<unsigned char>(*at_++);
      *value |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return true;
    }
    return ok_ = false;
  }
  bool Take(std::uint64_t size) noexcept {
    if (size > static_cast<std::uint64_t>(end_ - at_)) return ok_ = false;
    bytes_ = {at_, static_cast<std::size_t>(size)};
    at_ += size;
    return true;
  }

  const char* at_;
  const char* end_;
  bool ok_ = true;
  std::uint32_t field_ = 0;
  std::uint32_t type_ = 0;
  std::uint64_t number_ = 0;
  std::string_view bytes_;
};

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_PROTOBUF_H_
