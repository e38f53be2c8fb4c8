// Errors that are values: std::error_code, expected-like and status-like results, as errors of a span.
//
// Traced(), Trace(), Instrumented and TracedFuture look at what a function returns. It is a failure of the span if it
// is
//
//   a code        value(), category().name(), message(), and it converts to true: std::error_code, boost's
//   expected      has_value() is false, error() is there: std::expected, tl::expected, outcome
//   a status      ok() is false; message(), error_message(), ToString() or status() is there: absl, gRPC
//   of a type for which ResultTraits is specialised
//
// The result is returned as it is. What a type of yours means:
//
//   template <>
//   struct spanwatch::ResultTraits<Reply> {
//     static bool Failed(const Reply& reply) { return reply.code >= 500; }
//     static void Record(const Reply& reply, spanwatch::Span& span) { span.Fail("HTTP 5xx", reply.reason); }
//   };
//
// All detection is structural: nothing of <system_error> is included here. Nothing throws.
#include "spanwatch/span.h"  // which includes this file, after Span

#ifndef SPANWATCH_ERROR_H_
#define SPANWATCH_ERROR_H_

#include <exception>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "spanwatch/names.h"

#pragma GCC visibility push(default)
namespace spanwatch {

// Specialise for types of your own; `kNone` says that the type is not specialised.
template <typename T, typename Enable = void>
struct ResultTraits {
  static constexpr bool kNone = true;
};

namespace internal {

// Type and message, as a failure and as an exception event with the time. `type` may be null. Never throws.
void FailSpanWithError(SpanHandle handle, Text type, Text message) noexcept;
void FailSpanWithException(SpanHandle handle, const std::type_info& type, Text message) noexcept;
void FailSpanWithPointer(SpanHandle handle, const std::exception_ptr& error) noexcept;

template <typename Void, template <typename> class Expression, typename T>
struct Detect : std::false_type {};
template <template <typename> class Expression, typename T>
struct Detect<std::void_t<Expression<T>>, Expression, T> : std::true_type {};
template <template <typename> class Expression, typename T>
inline constexpr bool kHas = Detect<void, Expression, T>::value;

template <typename T>
using CodeExpression = decltype(static_cast<long>(std::declval<const T&>().value()),
                                std::string_view(std::declval<const T&>().category().name()),
                                Text(std::declval<const T&>().message()), static_cast<bool>(std::declval<const T&>()));
template <typename T>
using ExpectedExpression =
    decltype(static_cast<bool>(std::declval<const T&>().has_value()), std::declval<const T&>().error());
template <typename T>
using OkExpression = std::enable_if_t<std::is_convertible_v<decltype(std::declval<const T&>().ok()), bool>>;
template <typename T>
using MessageExpression = decltype(Text(std::declval<const T&>().message()));
template <typename T>
using ErrorMessageExpression = decltype(Text(std::declval<const T&>().error_message()));
template <typename T>
using ToStringExpression = decltype(Text(std::declval<const T&>().ToString()));
template <typename T>
using StatusExpression = decltype(std::declval<const T&>().status());
template <typename T>
using WhatExpression = decltype(Text(std::declval<const T&>().what()));
template <typename T>
using MakeCodeExpression = decltype(make_error_code(std::declval<T>()).message());
template <typename T>
using StatusCodeExpression = decltype(static_cast<long>(std::declval<const T&>().code()));
template <typename T>
using SpecialisedExpression = decltype(ResultTraits<T>::Failed(std::declval<const T&>()));

template <typename T>
inline constexpr bool kIsCode = kHas<CodeExpression, T>;
template <typename T>
inline constexpr bool kIsExpected = kHas<ExpectedExpression, T>;
template <typename T>
inline constexpr bool kIsStatus = kHas<OkExpression, T> &&
                                  (kHas<MessageExpression, T> || kHas<ErrorMessageExpression, T> ||
                                   kHas<ToStringExpression, T> || kHas<StatusExpression, T>);
// Whether a function's result of that type can say that it failed.
template <typename T>
inline constexpr bool kIsResult = std::is_class_v<T> &&
                                  (kHas<SpecialisedExpression, T> || kIsCode<T> || kIsExpected<T> || kIsStatus<T>);

template <typename T>
std::string NumberedType(long number) {
  return std::string(TypeName<T>()) + ":" + std::to_string(number);
}

// May throw (texts, the type's own functions).
template <typename E>
void RecordError(SpanHandle handle, const E& error) {
  if constexpr (std::is_constructible_v<Text, const E&>) {
    FailSpanWithError(handle, Text(), error);
  } else if constexpr (std::is_same_v<E, std::exception_ptr>) {
    FailSpanWithPointer(handle, error);
  } else if constexpr (kHas<WhatExpression, E>) {
#if defined(__cpp_rtti)
    FailSpanWithException(handle, typeid(error), error.what());
#else
    FailSpanWithError(handle, TypeName<E>(), error.what());  // as it is declared: what it is, nobody knows
#endif
  } else if constexpr (kIsCode<E>) {
    FailSpanWithError(handle, std::string(error.category().name()) + ":" + std::to_string(error.value()),
                      error.message());
  } else if constexpr (kHas<MakeCodeExpression, E>) {
    RecordError(handle, make_error_code(error));
  } else if constexpr (std::is_enum_v<E> || std::is_arithmetic_v<E>) {
    const std::string type = NumberedType<E>(static_cast<long>(error));
    FailSpanWithError(handle, type, type);
  } else if constexpr (kHas<StatusExpression, E>) {
    RecordError(handle, error.status());
  } else {
    std::string type(TypeName<E>());
    if constexpr (kHas<StatusCodeExpression, E>) type += ":" + std::to_string(static_cast<long>(error.code()));
    if constexpr (kHas<MessageExpression, E>) {
      FailSpanWithError(handle, type, error.message());
    } else if constexpr (kHas<ErrorMessageExpression, E>) {
      FailSpanWithError(handle, type, error.error_message());
    } else if constexpr (kHas<ToStringExpression, E>) {
      FailSpanWithError(handle, type, error.ToString());
    } else {
      FailSpanWithError(handle, type, "failed");
    }
  }
}

template <typename E>
void RecordErrorSafely(SpanHandle handle, const E& error) noexcept {
#if defined(__cpp_exceptions)
  try {
    RecordError(handle, error);
  } catch (...) {
    FailSpanWithError(handle, Text(), "an error that could not be described");
  }
#else
  RecordError(handle, error);
#endif
}

template <typename T>
void RecordResult(Span& span, SpanHandle handle, const T& result) {
  if constexpr (kHas<SpecialisedExpression, T>) {
    if (ResultTraits<T>::Failed(result)) ResultTraits<T>::Record(result, span);
  } else if constexpr (kIsExpected<T>) {
    if (!result.has_value()) RecordError(handle, result.error());
  } else if constexpr (kIsCode<T>) {
    if (static_cast<bool>(result)) RecordError(handle, result);
  } else if constexpr (kIsStatus<T>) {
    if (!result.ok()) RecordError(handle, result);
  }
}

}  // namespace internal

template <typename E, typename>
Span& Span::Fail(const E& error) noexcept {
  if (handle_.slot != nullptr) internal::RecordErrorSafely(handle_, error);
  return *this;
}

template <typename T>
Span& Span::FailIfError(const T& result) noexcept {
  if (handle_.slot == nullptr) return *this;
#if defined(__cpp_exceptions)
  try {
    internal::RecordResult(*this, handle_, result);
  } catch (...) {
    internal::FailSpanWithError(handle_, Text(), "an error that could not be described");
  }
#else
  internal::RecordResult(*this, handle_, result);
#endif
  return *this;
}

}  // namespace spanwatch

#pragma GCC visibility pop

#endif  // SPANWATCH_ERROR_H_
