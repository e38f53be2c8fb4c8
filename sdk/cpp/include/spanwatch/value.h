// Texts and values that tags, logs and names are made of: plain views, nothing is owned and nothing allocates.
// What lies in the read-only data of the program itself (every string literal does) is remembered by its address; every
// other text is copied by the call that receives it, so a view has to live only until that call returns. Texts are cut
// at 4096 bytes, names and keys at 256, at a UTF-8 boundary. Threads: values, use them from any thread.
#ifndef SPANWATCH_VALUE_H_
#define SPANWATCH_VALUE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#define SPANWATCH_INLINE inline __attribute__((always_inline))

#pragma GCC visibility push(default)
namespace spanwatch {

// A name, a key or a text. Made implicitly from literals, const char* (nullptr is empty), std::string,
// std::string_view.
class Text {
 public:
  constexpr Text() noexcept = default;
  // An array counts up to its first NUL.
  template <std::size_t N>
  SPANWATCH_INLINE Text(const char (&text)[N]) noexcept  // NOLINT(google-explicit-constructor)
      : data_(text), size_(Length(text, N)) {}
  template <typename Pointer,
            std::enable_if_t<std::is_same_v<Pointer, const char*> || std::is_same_v<Pointer, char*>, int> = 0>
  SPANWATCH_INLINE Text(const Pointer& text) noexcept  // NOLINT(google-explicit-constructor)
      : data_(text), size_(text == nullptr ? 0 : Clamp(__builtin_strlen(text))) {}
  SPANWATCH_INLINE Text(std::string_view text) noexcept  // NOLINT(google-explicit-constructor)
      : data_(text.data()), size_(Clamp(text.size())) {}
  SPANWATCH_INLINE Text(const std::string& text) noexcept  // NOLINT(google-explicit-constructor)
      : data_(text.data()), size_(Clamp(text.size())) {}

  // Valid as long as what it was made from. Not ended by a zero.
  const char* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  std::string_view view() const noexcept { return {data_, size_}; }

 private:
  static constexpr std::size_t Clamp(std::size_t size) noexcept { return size < 0x7fffffff ? size : 0x7fffffff; }
  SPANWATCH_INLINE static std::size_t Length(const char* text, std::size_t capacity) noexcept {
    if (__builtin_constant_p(__builtin_strlen(text))) return __builtin_strlen(text);
    const void* nul = __builtin_memchr(text, 0, capacity);
    return nul == nullptr ? capacity : static_cast<std::size_t>(static_cast<const char*>(nul) - text);
  }

  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

// What a tag holds: text, a 64-bit signed integer (larger unsigned ones become INT64_MAX), a double or a bool.
class Value {
 public:
  enum class Type : std::uint8_t { kText, kInt, kDouble, kBool };

  template <typename T, std::enable_if_t<std::is_same_v<T, bool>, int> = 0>
  constexpr Value(T value) noexcept : integer_(value ? 1 : 0), type_(Type::kBool) {}  // NOLINT
  template <typename T, std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool>, long> = 0>
  constexpr Value(T value) noexcept : integer_(Saturate(value)), type_(Type::kInt) {}  // NOLINT
  template <typename T, std::enable_if_t<std::is_floating_point_v<T>, char> = 0>
  constexpr Value(T value) noexcept : number_(static_cast<double>(value)), type_(Type::kDouble) {}  // NOLINT
  template <std::size_t N>
  SPANWATCH_INLINE Value(const char (&text)[N]) noexcept : text_(text), type_(Type::kText) {}  // NOLINT
  template <typename T,
            std::enable_if_t<!std::is_arithmetic_v<std::remove_reference_t<T>> &&
                                 !std::is_same_v<std::decay_t<T>, Value> && std::is_constructible_v<Text, T&&>,
                             short> = 0>
  SPANWATCH_INLINE Value(T&& text) noexcept : text_(static_cast<T&&>(text)), type_(Type::kText) {}  // NOLINT

  static Value OfBits(std::uint64_t bits, Type type) noexcept {  // what bits() gave
    Value value(0);
    value.type_ = type;
    if (type == Type::kDouble)
      __builtin_memcpy(&value.number_, &bits, sizeof(bits));
    else
      value.integer_ = static_cast<std::int64_t>(bits);
    return value;
  }

  // Which of these it is.
  Type type() const noexcept { return type_; }
  const Text& text() const noexcept { return text_; }         // REQUIRES: type() == kText
  std::int64_t integer() const noexcept { return integer_; }  // REQUIRES: type() is kInt or kBool
  double number() const noexcept { return number_; }          // REQUIRES: type() == kDouble
  std::uint64_t bits() const noexcept {                       // of any number. REQUIRES: type() != kText
    std::uint64_t bits = 0;
    if (type_ == Type::kDouble)
      __builtin_memcpy(&bits, &number_, sizeof(bits));
    else
      bits = static_cast<std::uint64_t>(integer_);
    return bits;
  }

 private:
  template <typename T>
  static constexpr std::int64_t Saturate(T value) noexcept {
    if constexpr (std::is_unsigned_v<T> && sizeof(T) == 8) {
      return value > static_cast<T>(INT64_MAX) ? INT64_MAX : static_cast<std::int64_t>(value);
    } else {
      return static_cast<std::int64_t>(value);
    }
  }

  union {
    Text text_;
    std::int64_t integer_;
    double number_;
  };
  Type type_;
};

// How grave a log is. Options::log_level and TRACING_LOG_LEVEL say from which one on they are kept.
enum class LogLevel : std::uint8_t { kDebug = 0, kInfo = 1, kWarn = 2, kError = 3 };

// One key and its value: `span.SetTags({{"model", "gemini"}, {"tokens", 512}})`.
struct Tag {
  Text key;
  Value value;
};

}  // namespace spanwatch

#pragma GCC visibility pop

#endif  // SPANWATCH_VALUE_H_
