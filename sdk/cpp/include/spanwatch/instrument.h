// Services in spans, without a line in the services: each call through an Instrumented gets a span "Service.method".
//
//   GeminiService gemini;
//   spanwatch::Instrumented traced(&gemini);
//   std::string answer = traced.Call<&GeminiService::generateResponse>(prompt);
//
// The name is made at compile time from the method. Arguments are forwarded, results come back as they are (references
// too), exceptions pass through and are recorded, results that are errors are recorded (spanwatch/error.h), and of what
// goes on after the call (futures, tasks) the span goes on too (spanwatch/async.h). With tracing off a call costs one
// load more than without.
//
// For call sites that cannot change, put an Instrumented into a class of the same interface (docs/sdk.md).
#ifndef SPANWATCH_INSTRUMENT_H_
#define SPANWATCH_INSTRUMENT_H_

#include <cstring>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "spanwatch/names.h"
#include "spanwatch/profiles.h"
#include "spanwatch/span.h"

#pragma GCC visibility push(default)
namespace spanwatch {

// Tags that own their texts: what tag extractors return. A value.
//   return spanwatch::TagList{{"serviceType", "custom"}, {"version", service.version()}};
class TagList {
 public:
  struct Entry {
    template <typename T>
    Entry(std::string entry_key, const T& entry_value) : key(std::move(entry_key)) {  // NOLINT
      const Value given(entry_value);
      is_text = given.type() == Value::Type::kText;
      if (is_text)
        text = std::string(given.text().view());
      else
        number = given;
    }
    Value value() const noexcept { return is_text ? Value(text) : number; }

    std::string key;
    std::string text;
    Value number = Value(0);
    bool is_text = false;
  };

  TagList() = default;
  TagList(std::initializer_list<Entry> entries) : entries_(entries) {}
  // One more, after the others.
  template <typename T>
  TagList& Add(std::string key, const T& value) {
    entries_.emplace_back(std::move(key), value);
    return *this;
  }
  // In the order of adding.
  const std::vector<Entry>& entries() const noexcept { return entries_; }

 private:
  std::vector<Entry> entries_;
};

// Threads: a value.
template <typename T>
struct InstrumentOptions {
  // The service part of span names; empty: the type's own name, without namespaces.
  std::string name;
  // Methods that are called without a span, as names: "cleanup", or "get*" for getStats, GetStats and get_stats (letter
  // case and '_' do not count). Those of the profile stay skipped.
  std::vector<std::string> skip_methods;
  // Tags of each span, taken from the service at each call. The key "version" becomes "service.version".
  std::function<TagList(const T&)> service_tags;
};

namespace internal {

template <typename Profile>
constexpr bool IsSkippedBy(std::string_view method) {
  for (const std::string_view pattern : Profile::kSkip) {
    if (MatchesMethod(method, pattern)) return true;
  }
  return false;
}

inline void SetTagList(Span& span, const TagList& tags) noexcept {
  for (const TagList::Entry& entry : tags.entries())
    span.SetTag(entry.key == "version" ? std::string_view("service.version") : std::string_view(entry.key),
                entry.value());
}

}  // namespace internal

// Chooses an overload by its signature: `svc.Call<spanwatch::Overload<int(int) const>(&Service::f)>(7)`.
template <typename Signature, typename T>
constexpr Signature T::*Overload(Signature T::*method) noexcept {
  return method;
}

// A service and how it is traced. Copies share the service; constness is the service's (Instrumented<const T>), not the
// wrapper's. Threads: any number may call, as far as the service lets them.
template <typename T, typename Profile = PlainProfile>
class Instrumented {
 public:
  using Options = InstrumentOptions<std::remove_const_t<T>>;

  // The service must live as long as the wrapper and its copies.
  explicit Instrumented(T* service, Options options = {}) noexcept
      : Instrumented(std::shared_ptr<T>(std::shared_ptr<void>(), service), std::move(options)) {}
  explicit Instrumented(std::shared_ptr<T> service, Options options = {})
      : service_(std::move(service)), options_(MakeShared(std::move(options))) {}
  template <typename Deleter>
  explicit Instrumented(std::unique_ptr<T, Deleter> service, Options options = {})
      : Instrumented(std::shared_ptr<T>(std::move(service)), std::move(options)) {}
  // Takes the service over.
  explicit Instrumented(T&& service, Options options = {})
      : Instrumented(std::make_shared<T>(std::move(service)), std::move(options)) {}

  // Calls the method in a span.
  template <auto Method, typename... Args>
  decltype(auto) Call(Args&&... args) const {
    return CallTagged<Method>([](Span&, const auto&...) {}, std::forward<Args>(args)...);
  }

  // The same, with tags of this call. `tags` gets the arguments, by const reference, before the call, and returns a
  // TagList; or it gets a Span& and the arguments and returns nothing. Not called when there is no span.
  //   traced.CallTagged<&Llm::Ask>([](auto& prompt) { return TagList{{"promptLength", prompt.size()}}; }, prompt);
  template <auto Method, typename Tags, typename... Args>
  decltype(auto) CallTagged(Tags&& tags, Args&&... args) const {
    using Result = std::invoke_result_t<decltype(Method), T&, Args...>;
    constexpr std::string_view kMethod = MethodName<Method>();
    if constexpr (internal::IsSkippedBy<Profile>(kMethod)) {
      return static_cast<Result>(std::invoke(Method, *service_, std::forward<Args>(args)...));
    } else {
      Span span;
      if (internal::TracingOn()) {
        if (!IsSkipped(kMethod)) span = Start<Method>();
        if (span.IsRecording()) SetTags(span, kMethod, tags, args...);
      } else if constexpr (internal::AsyncKind<Result>() == 0) {
        return static_cast<Result>(std::invoke(Method, *service_, std::forward<Args>(args)...));
      }
      return internal::RunAsync(span, [&]() -> Result {
        if constexpr (std::is_void_v<Result> || internal::AsyncKind<Result>() != 0 || !Profile::kLooksAtResults) {
          return std::invoke(Method, *service_, std::forward<Args>(args)...);
        } else {
          Result result = std::invoke(Method, *service_, std::forward<Args>(args)...);
          if (span.IsRecording()) Profile::ResultTags(span, kMethod, result);
          return static_cast<Result>(result);
        }
      });
    }
  }

  // The service itself: calls through it are not traced.
  T* get() const noexcept { return service_.get(); }
  T& operator*() const noexcept { return *service_; }
  T* operator->() const noexcept { return service_.get(); }

 private:
  static std::shared_ptr<const Options> MakeShared(Options options) {
    if (options.name.empty() && options.skip_methods.empty() && !options.service_tags) return nullptr;
    return std::make_shared<const Options>(std::move(options));
  }
  bool IsSkipped(std::string_view method) const noexcept {
    if (options_ == nullptr) return false;
    for (const std::string& pattern : options_->skip_methods) {
      if (internal::MatchesMethod(method, pattern)) return true;
    }
    return false;
  }
  template <auto Method>
  Span Start() const noexcept {
    if (options_ == nullptr || options_->name.empty())
      return Span(OperationName<std::remove_const_t<T>, Method>(), Profile::kKind);
    constexpr std::string_view kMethod = MethodName<Method>();
    char name[256];
    const std::size_t service = options_->name.size() < 128 ? options_->name.size() : 128;
    const std::size_t method = kMethod.size() < 127 ? kMethod.size() : 127;
    std::memcpy(name, options_->name.data(), service);
    name[service] = '.';
    std::memcpy(name + service + 1, kMethod.data(), method);
    return Span(std::string_view(name, service + 1 + method), Profile::kKind);
  }
  // An extractor that throws costs the rest of the tags, not the call.
  template <typename Tags, typename... Args>
  void SetTags(Span& span, std::string_view method, Tags&& tags, const Args&... args) const {
#if defined(__cpp_exceptions)
    try {
#endif
      SetTagsOrThrow(span, method, std::forward<Tags>(tags), args...);
#if defined(__cpp_exceptions)
    } catch (...) {
      span.AddLog(LogLevel::kWarn, "a tag extractor threw an exception");
    }
#endif
  }
  template <typename Tags, typename... Args>
  void SetTagsOrThrow(Span& span, std::string_view method, Tags&& tags, const Args&... args) const {
    const T& service = *service_;
    Profile::ServiceTags(span, service);
    Profile::CallTags(span, method, args...);
    if (options_ != nullptr && options_->service_tags) internal::SetTagList(span, options_->service_tags(service));
    if constexpr (std::is_invocable_v<Tags, Span&, const Args&...>) {
      tags(span, args...);
    } else {
      internal::SetTagList(span, tags(args...));
    }
  }

  std::shared_ptr<T> service_;
  std::shared_ptr<const Options> options_;  // null: all defaults
};

template <typename T>
Instrumented(T*) -> Instrumented<T>;
template <typename T>
Instrumented(T*, InstrumentOptions<std::remove_const_t<T>>) -> Instrumented<T>;

// An Instrumented from a pointer, a shared_ptr, a unique_ptr or a value (which is taken over).
template <typename Profile = PlainProfile, typename T>
auto Instrument(T* service, InstrumentOptions<std::remove_const_t<T>> options = {}) {
  return Instrumented<T, Profile>(service, std::move(options));
}
template <typename Profile = PlainProfile, typename T>
auto Instrument(std::shared_ptr<T> service, InstrumentOptions<std::remove_const_t<T>> options = {}) {
  return Instrumented<T, Profile>(std::move(service), std::move(options));
}
template <typename Profile = PlainProfile, typename T, typename Deleter>
auto Instrument(std::unique_ptr<T, Deleter> service, InstrumentOptions<std::remove_const_t<T>> options = {}) {
  return Instrumented<T, Profile>(std::move(service), std::move(options));
}
template <typename Profile = PlainProfile, typename T,
          std::enable_if_t<!std::is_lvalue_reference_v<T> && !std::is_pointer_v<T>, int> = 0>
auto Instrument(T&& service, InstrumentOptions<T> options = {}) {
  return Instrumented<T, Profile>(std::move(service), std::move(options));
}

// One service with its profile (spanwatch/profiles.h).
template <typename T>
auto InstrumentLlm(T&& service) {
  return Instrument<LlmProfile>(std::forward<T>(service));
}
template <typename T>
auto InstrumentConversationManager(T&& service) {
  return Instrument<ConversationProfile>(std::forward<T>(service));
}
template <typename T>
auto InstrumentContextManager(T&& service) {
  return Instrument<ContextProfile>(std::forward<T>(service));
}
template <typename T>
auto InstrumentHealthMonitor(T&& service) {
  return Instrument<HealthProfile>(std::forward<T>(service));
}

// What all services of a set have in common.
struct InstrumentSetOptions {
  std::vector<std::string> skip_methods;  // as in InstrumentOptions
  TagList tags;                           // of each span
};

namespace internal {

template <typename T, typename Profile>
auto InstrumentOne(const InstrumentSetOptions&, Instrumented<T, Profile> instrumented) {
  return instrumented;
}
template <typename Pointer>
auto InstrumentOne(const InstrumentSetOptions& set, Pointer service) {
  using T = std::remove_pointer_t<decltype(&*service)>;
  InstrumentOptions<std::remove_const_t<T>> options;
  options.skip_methods = set.skip_methods;
  if (!set.tags.entries().empty()) options.service_tags = [tags = set.tags](const T&) { return tags; };
  return Instrument(std::move(service), std::move(options));
}

}  // namespace internal

// A set of services in one call: a tuple of Instrumented, one for each pointer or shared_ptr, with the common options.
// What is an Instrumented already (with a profile, or options of its own) stays as it is.
//   auto [gemini, conversation, context] = spanwatch::InstrumentServices(
//       {}, spanwatch::InstrumentLlm(&gemini_service), &conversation_manager, &context_manager);
template <typename... Services>
auto InstrumentServices(const InstrumentSetOptions& options, Services... services) {
  return std::make_tuple(internal::InstrumentOne(options, std::move(services))...);
}

}  // namespace spanwatch

#pragma GCC visibility pop

#endif  // SPANWATCH_INSTRUMENT_H_
