// Spans in memory, for tests of traced programs: no sidecar, no socket, no thread, no waiting.
//
//   TEST(Bot, AnswersInOneTrace) {
//     spanwatch::testing::Capture capture;
//     bot.OnMessage(message);
//     EXPECT_EQ(capture.Tree(), "messageCreate\n  GeminiService.generateResponse\n");
//     EXPECT_EQ(capture.One("messageCreate").tag("messageLength"), 12);
//   }
//
// What is captured is what would have been sent: redaction and sampling have been at work. Link with the SDK as ever.
#ifndef SPANWATCH_TESTING_H_
#define SPANWATCH_TESTING_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "spanwatch/ids.h"
#include "spanwatch/options.h"
#include "spanwatch/span.h"
#include "spanwatch/value.h"

#pragma GCC visibility push(default)
namespace spanwatch {
namespace testing {

// The value of a tag or of a log's field, or none. Compares with text, numbers and bools: `span.tag("tokens") == 512`.
// A number is not equal to the text of its digits.
class CapturedValue {
 public:
  CapturedValue() = default;
  explicit CapturedValue(std::string text) : type_(Value::Type::kText), text_(std::move(text)) {}
  // The bits of a number, as Value::bits() gives them.
  CapturedValue(Value::Type type, std::uint64_t bits) : type_(type), bits_(bits) {}

  // Whether there is a value at all.
  explicit operator bool() const noexcept { return has_value(); }
  // The same, by a name.
  bool has_value() const noexcept { return type_ != kNone; }
  // "gemini", "512", "0.5", "true"; "(none)" without a value.
  std::string ToString() const;

  template <typename T>
  friend bool operator==(const CapturedValue& value, const T& other) {
    return value.IsEqual(other);
  }
  template <typename T>
  friend bool operator!=(const CapturedValue& value, const T& other) {
    return !(value == other);
  }
  template <typename Stream>
  friend Stream& operator<<(Stream& out, const CapturedValue& value) {
    out << value.ToString();
    return out;
  }

 private:
  static constexpr Value::Type kNone = static_cast<Value::Type>(0xff);

  template <typename T>
  bool IsEqual(const T& other) const {
    if constexpr (std::is_same_v<T, CapturedValue>) {
      return type_ == other.type_ && text_ == other.text_ && bits_ == other.bits_;
    } else if constexpr (std::is_arithmetic_v<T>) {
      const Value wanted(other);
      if (type_ == Value::Type::kDouble && wanted.type() == Value::Type::kInt)
        return Value::OfBits(bits_, type_).number() == static_cast<double>(other);
      return type_ == wanted.type() && bits_ == wanted.bits();
    } else {
      return type_ == Value::Type::kText && text_ == std::string_view(other);
    }
  }

  Value::Type type_ = kNone;
  std::string text_;
  std::uint64_t bits_ = 0;
};

// By their keys.
using CapturedTags = std::map<std::string, CapturedValue>;

// What AddLog wrote on the span, in the order of writing.
struct CapturedLog {
  LogLevel level = LogLevel::kInfo;
  std::string text;
  CapturedTags fields;
};

// An error that the span recorded, in the order of recording.
struct CapturedError {
  std::string type;
  std::string message;
  std::string causes;  // "type: message" a line, the outermost first; empty: none
};

// A span of another trace that led to this one: Span::LinkTo, WithNewContext.
struct CapturedLink {
  TraceId trace_id;
  SpanId span_id;
};

// A span that has ended. A value.
struct CapturedSpan {
  std::string name;
  SpanKind kind = SpanKind::kInternal;
  TraceId trace_id;
  SpanId span_id;
  SpanId parent_id;  // !IsValid(): the root of its trace
  CapturedTags tags;
  std::vector<CapturedLog> logs;
  std::vector<CapturedError> errors;
  std::vector<CapturedLink> links;
  bool failed = false;
  std::string error_type;     // of the last failure; also the tag "error.type"
  std::string error_message;  // of the last failure
  std::int64_t start_ns = 0;  // since the epoch
  std::int64_t duration_ns = 0;

  // An empty value (== nothing) if there is no such tag.
  CapturedValue tag(const std::string& key) const {
    const auto found = tags.find(key);
    return found == tags.end() ? CapturedValue() : found->second;
  }
};

// While one lives, tracing is on and all spans of the process go into it. A run that Start() began is shut down before;
// Start() and Shutdown() by the program under test change nothing meanwhile (Start returns true). After its end tracing
// is off. One at a time: a second one captures nothing (!ok()).
//
// Threads: any may be traced and any may call; destroy it when no thread of the program under test uses spans any more.
class Capture {
 public:
  // Default options, and nothing from the environment: the same on every machine.
  Capture() : Capture(Options()) {}
  // `options`: sample_rate, log_level, redaction and hash_key count.
  explicit Capture(const Options& options);
  ~Capture();
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  // Whether it captures: not while another one does, or a former sender thread still runs.
  bool ok() const noexcept { return state_ != nullptr; }

  // All spans that ended since construction or Clear(), in the order in which they ended.
  std::vector<CapturedSpan> Spans();
  // Those of that name.
  std::vector<CapturedSpan> Named(std::string_view name);
  // The only span of that name. None or several: an empty one, whose name says so ("(no span ...)").
  CapturedSpan One(std::string_view name);
  // The traces as text: a line a span, children two spaces further in, in the order in which they started; a span whose
  // parent is not captured (still running, in another process) stands as a root. "!" follows the names of failed ones.
  std::string Tree();
  void Clear();
  // Spans that ended but are not here: sampled out is not counted, only lost ones (thousands open at once).
  std::uint64_t dropped();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace testing
}  // namespace spanwatch

#pragma GCC visibility pop

#endif  // SPANWATCH_TESTING_H_
