// A growing array of plain values in memory from malloc: it grows in place where the system can (large ones without a
// copy), by half while small and by an eighth when large, and gives back what it does not use when told. Out of memory
// ends the process, as with every container. Not thread-safe.
#ifndef SPANWATCH_SIDECAR_CORE_FLAT_BUFFER_H_
#define SPANWATCH_SIDECAR_CORE_FLAT_BUFFER_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

namespace spanwatch::core {

template <typename T>
class FlatBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  FlatBuffer() = default;
  FlatBuffer(const FlatBuffer& other) { Append(other.data_, other.size_); }
  FlatBuffer(FlatBuffer&& other) noexcept { Swap(&other); }
  FlatBuffer& operator=(FlatBuffer other) noexcept {
    Swap(&other);
    return *this;
  }
  ~FlatBuffer() { std::free(data_); }

  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }

  // A new one at the end, to be filled in place: valid until the next that is added.
  T& Add() {
    if (size_ == capacity_) Grow(1);
    return *::new (static_cast<void*>(data_ + size_++)) T();
  }
  void Append(const T* values, std::size_t count) {
    if (count == 0) return;
    if (capacity_ - size_ < count) Grow(count);
    std::memcpy(static_cast<void*>(data_ + size_), values, count * sizeof(T));
    size_ += static_cast<std::uint32_t>(count);
  }
  void clear() { size_ = 0; }
  void Shrink() {
    if (size_ != capacity_) Move(size_);
  }

 private:
  static constexpr std::size_t kLargeBytes = 8192;

  void Swap(FlatBuffer* other) {
    std::swap(data_, other->data_);
    std::swap(size_, other->size_);
    std::swap(capacity_, other->capacity_);
  }
  void Grow(std::size_t more) {
    const std::size_t step = capacity_ * sizeof(T) < kLargeBytes ? capacity_ / 2 : capacity_ / 8;
    Move(std::max(size_ + more, capacity_ + step));
  }
  void Move(std::size_t capacity) {
    if (capacity > UINT32_MAX) throw std::bad_alloc();
    if (capacity == 0) {
      std::free(std::exchange(data_, nullptr));
    } else {
      void* data = std::realloc(static_cast<void*>(data_), capacity * sizeof(T));
      if (data == nullptr) throw std::bad_alloc();
      data_ = static_cast<T*>(data);
    }
    capacity_ = static_cast<std::uint32_t>(capacity);
  }

  T* data_ = nullptr;
  std::uint32_t size_ = 0, capacity_ = 0;
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_FLAT_BUFFER_H_
