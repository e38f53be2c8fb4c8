// What is known beforehand of some kinds of services: which methods are not worth a span, which tags a span gets. For
// Instrumented<T, Profile>. Everything is found by structure: a profile fits any class, and tags for which a class has
// nothing are left out. Lengths and counts only, never what people wrote.
//
// A profile of your own derives from PlainProfile and hides what it wants otherwise.
#ifndef SPANWATCH_PROFILES_H_
#define SPANWATCH_PROFILES_H_

#include <array>
#include <string_view>
#include <type_traits>
#include <utility>

#include "spanwatch/span.h"

#pragma GCC visibility push(default)
namespace spanwatch {
namespace internal {

constexpr char LowerOf(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Whether a method's name is `pattern`; letter case and '_' do not count. "get*" is "get" and what begins with it, as a
// word: getStats, GetStats, get_stats, not getaway; "*" is any name.
constexpr bool MatchesMethod(std::string_view method, std::string_view pattern) {
  const bool prefix = !pattern.empty() && pattern.back() == '*';
  if (prefix) pattern = pattern.substr(0, pattern.size() - 1);
  std::size_t m = 0;
  std::size_t p = 0;
  for (;;) {
    if (p == pattern.size()) break;
    if (pattern[p] == '_') {
      ++p;
      continue;
    }
    while (m < method.size() && method[m] == '_') ++m;
    if (m == method.size() || LowerOf(method[m]) != LowerOf(pattern[p])) return false;
    ++m;
    ++p;
  }
  if (m == method.size()) return true;
  if (prefix && m == 0) return true;
  if (prefix) return method[m] < 'a' || method[m] > 'z';  // the next word begins
  while (m < method.size() && method[m] == '_') ++m;
  return m == method.size();
}

// SPANWATCH_READER(Name, a): Name::kHas<T>, whether a T has a() or a; Name::Get(t), its value.
#define SPANWATCH_READER(Name, member)                                                  \
  struct Name {                                                                         \
    template <typename T>                                                               \
    static auto Test(int) -> decltype((void)std::declval<const T&>().member(), char()); \
    template <typename T>                                                               \
    static auto Test(long) -> decltype((void)std::declval<const T&>().member, short()); \
    template <typename T>                                                               \
    static auto Test(...) -> void;                                                      \
    template <typename T>                                                               \
    static constexpr bool kHas = !std::is_void_v<decltype(Test<T>(0))>;                 \
    template <typename T>                                                               \
    static decltype(auto) Get(const T& object) {                                        \
      if constexpr (std::is_same_v<decltype(Test<T>(0)), char>)                         \
        return object.member();                                                         \
      else                                                                              \
        return (object.member);                                                         \
    }                                                                                   \
  }
SPANWATCH_READER(ReadModel, model);
SPANWATCH_READER(ReadModelVersion, modelVersion);
SPANWATCH_READER(ReadModelVersionSnake, model_version);
SPANWATCH_READER(ReadVersion, version);
SPANWATCH_READER(ReadTemperature, temperature);
SPANWATCH_READER(ReadPrompt, prompt);
SPANWATCH_READER(ReadContent, content);
SPANWATCH_READER(ReadMaxTokens, max_tokens);
SPANWATCH_READER(ReadInputTokens, input_tokens);
SPANWATCH_READER(ReadOutputTokens, output_tokens);
SPANWATCH_READER(ReadHealthy, healthy);
SPANWATCH_READER(ReadText, text);
SPANWATCH_READER(ReadSize, size);
#undef SPANWATCH_READER

template <typename T>
inline constexpr bool kIsText = std::is_convertible_v<const T&, std::string_view>;

template <typename Reader, typename T>
void TagNumber(Span& span, Text key, const T& object) {
  if constexpr (Reader::template kHas<T>) {
    if constexpr (std::is_arithmetic_v<std::decay_t<decltype(Reader::Get(object))>>)
      span.SetTag(key, Reader::Get(object));
  }
}
template <typename Reader, typename T>
void TagText(Span& span, Text key, const T& object) {
  if constexpr (Reader::template kHas<T>) {
    if constexpr (kIsText<std::decay_t<decltype(Reader::Get(object))>>)
      span.SetTag(key, std::string_view(Reader::Get(object)));
  }
}
template <typename Reader, typename T>
void TagLength(Span& span, Text key, const T& object) {
  if constexpr (Reader::template kHas<T>) {
    if constexpr (kIsText<std::decay_t<decltype(Reader::Get(object))>>)
      span.SetTag(key, std::string_view(Reader::Get(object)).size());
  }
}
template <typename T>
void TagVersion(Span& span, const T& service) {
  TagText<ReadVersion>(span, "service.version", service);
  TagNumber<ReadVersion>(span, "service.version", service);
}

}  // namespace internal

// Nothing skipped, no tags.
struct PlainProfile {
  static constexpr SpanKind kKind = SpanKind::kInternal;
  // Names as in InstrumentOptions::skip_methods.
  static constexpr std::array<std::string_view, 0> kSkip{};
  // Whether ResultTags is called: results are then moved once more.
  static constexpr bool kLooksAtResults = false;

  // All are called with a span that records; before the call, or (ResultTags) after it returned.
  template <typename Service>
  static void ServiceTags(Span&, const Service&) {}
  // Tags from the arguments of a call.
  template <typename... Args>
  static void CallTags(Span&, std::string_view, const Args&...) {}
  // Tags from what a call returned.
  template <typename Result>
  static void ResultTags(Span&, std::string_view, const Result&) {}
};

// A language model's client (GeminiService). Skips accessors and housekeeping. Tags: operationType "ai_generation";
// modelVersion and gen_ai.request.model (the service's model(), modelVersion() or model_version()); service.version;
// promptLength (of the first argument that is text or has a `prompt`); temperature and gen_ai.request.temperature,
// gen_ai.request.max_tokens (of an argument that has them, or the service); responseLength and gen_ai.usage.* (of a
// result that is text or has text, input_tokens, output_tokens).
struct LlmProfile : PlainProfile {
  static constexpr SpanKind kKind = SpanKind::kClient;
  static constexpr std::array<std::string_view, 8> kSkip = {"get*",    "set*",     "is*",   "has*",
                                                            "cleanup", "shutdown", "stats", "model*"};
  static constexpr bool kLooksAtResults = true;

  // Tags that every call has.
  template <typename Service>
  static void ServiceTags(Span& span, const Service& service) {
    using namespace internal;  // NOLINT(google-build-using-namespace)
    span.SetTags({{"operationType", "ai_generation"}, {"gen_ai.operation.name", "generate_content"}});
    TagText<ReadModel>(span, "modelVersion", service);
    TagText<ReadModelVersion>(span, "modelVersion", service);
    TagText<ReadModelVersionSnake>(span, "modelVersion", service);
    TagText<ReadModelVersion>(span, "gen_ai.request.model", service);
    TagText<ReadModelVersionSnake>(span, "gen_ai.request.model", service);
    TagText<ReadModel>(span, "gen_ai.request.model", service);
    Request(span, service);
    TagVersion(span, service);
  }
  // Tags from the arguments of a call.
  template <typename... Args>
  static void CallTags(Span& span, std::string_view, const Args&... args) {
    bool has_prompt = false;
    (Argument(span, args, &has_prompt), ...);
  }
  // Tags from what a call returned.
  template <typename Result>
  static void ResultTags(Span& span, std::string_view, const Result& result) {
    using namespace internal;  // NOLINT(google-build-using-namespace)
    if constexpr (kIsText<Result>) span.SetTag("responseLength", std::string_view(result).size());
    TagLength<ReadText>(span, "responseLength", result);
    TagNumber<ReadInputTokens>(span, "gen_ai.usage.input_tokens", result);
    TagNumber<ReadOutputTokens>(span, "gen_ai.usage.output_tokens", result);
  }

 private:
  template <typename T>
  static void Request(Span& span, const T& object) {
    using namespace internal;  // NOLINT(google-build-using-namespace)
    TagNumber<ReadTemperature>(span, "temperature", object);
    TagNumber<ReadTemperature>(span, "gen_ai.request.temperature", object);
    TagNumber<ReadMaxTokens>(span, "gen_ai.request.max_tokens", object);
  }
  template <typename T>
  static void Argument(Span& span, const T& argument, bool* has_prompt) {
    using namespace internal;  // NOLINT(google-build-using-namespace)
    Request(span, argument);
    TagText<ReadModel>(span, "gen_ai.request.model", argument);
    if (*has_prompt) return;
    if constexpr (kIsText<T>) {
      span.SetTag("promptLength", std::string_view(argument).size());
      *has_prompt = true;
    } else if constexpr (ReadPrompt::kHas<T>) {
      TagLength<ReadPrompt>(span, "promptLength", argument);
      *has_prompt = true;
    }
  }
};

// Keeps what was said (ConversationManager). Tags: operationType "conversation"; messageLength (of an argument with a
// `content`); messageCount (of a result with a size, that is no text); service.version.
struct ConversationProfile : PlainProfile {
  static constexpr std::array<std::string_view, 8> kSkip = {"is*",   "has*",  "size",     "count",
                                                            "clear", "stats", "getStats", "cleanup"};
  static constexpr bool kLooksAtResults = true;

  // Tags that every call has.
  template <typename Service>
  static void ServiceTags(Span& span, const Service& service) {
    span.SetTag("operationType", "conversation");
    internal::TagVersion(span, service);
  }
  // Tags from the arguments of a call.
  template <typename... Args>
  static void CallTags(Span& span, std::string_view, const Args&... args) {
    (internal::TagLength<internal::ReadContent>(span, "messageLength", args), ...);
  }
  // Tags from what a call returned.
  template <typename Result>
  static void ResultTags(Span& span, std::string_view, const Result& result) {
    if constexpr (!internal::kIsText<Result>) internal::TagNumber<internal::ReadSize>(span, "messageCount", result);
  }
};

// Gathers what belongs to a message (ContextManager). Tags: operationType "context_management"; messageLength;
// contextSize (of a result with a size: its bytes or its elements); service.version.
struct ContextProfile : PlainProfile {
  static constexpr std::array<std::string_view, 8> kSkip = {"is*",   "has*",  "size",     "count",
                                                            "clear", "stats", "getStats", "cleanup"};
  static constexpr bool kLooksAtResults = true;

  // Tags that every call has.
  template <typename Service>
  static void ServiceTags(Span& span, const Service& service) {
    span.SetTag("operationType", "context_management");
    internal::TagVersion(span, service);
  }
  // Tags from the arguments of a call.
  template <typename... Args>
  static void CallTags(Span& span, std::string_view, const Args&... args) {
    (internal::TagLength<internal::ReadContent>(span, "messageLength", args), ...);
  }
  // Tags from what a call returned.
  template <typename Result>
  static void ResultTags(Span& span, std::string_view, const Result& result) {
    internal::TagNumber<internal::ReadSize>(span, "contextSize", result);
  }
};

// Looks after other parts (HealthMonitor). Tags: operationType "health_check"; healthy (of a bool result, or one with a
// `healthy`); service.version.
struct HealthProfile : PlainProfile {
  static constexpr std::array<std::string_view, 7> kSkip = {"get*", "set*", "is*", "start", "stop", "stats", "cleanup"};
  static constexpr bool kLooksAtResults = true;

  // Tags that every call has.
  template <typename Service>
  static void ServiceTags(Span& span, const Service& service) {
    span.SetTag("operationType", "health_check");
    internal::TagVersion(span, service);
  }
  // Tags from what a call returned.
  template <typename Result>
  static void ResultTags(Span& span, std::string_view, const Result& result) {
    if constexpr (std::is_same_v<std::decay_t<Result>, bool>) span.SetTag("healthy", result);
    internal::TagNumber<internal::ReadHealthy>(span, "healthy", result);
  }
};

}  // namespace spanwatch

#pragma GCC visibility pop

#endif  // SPANWATCH_PROFILES_H_
