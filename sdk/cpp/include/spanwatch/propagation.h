// W3C Trace Context and Baggage through any collection of headers: std::map, std::multimap, std::unordered_map, a
// vector of pairs, the header types of HTTP libraries (anything whose elements are pairs of text).
//
//   spanwatch::InjectInto(request.headers);                                          // the calling side
//   spanwatch::Span span("GET /", spanwatch::SpanKind::kServer, spanwatch::ExtractFrom(request.headers));
#ifndef SPANWATCH_PROPAGATION_H_
#define SPANWATCH_PROPAGATION_H_

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "spanwatch/context.h"

#pragma GCC visibility push(default)
namespace spanwatch {
namespace internal {

// Of header names; `lower` is in lower case.
constexpr bool IsHeader(std::string_view name, std::string_view lower) {
  if (name.size() != lower.size()) return false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != lower[i]) return false;
  }
  return true;
}

template <typename Headers, typename = void>
struct HasMappedType : std::false_type {};
template <typename Headers>
struct HasMappedType<Headers, std::void_t<typename Headers::mapped_type>> : std::true_type {};

template <typename Headers>
void SetHeader(Headers& headers, std::string_view name, std::string&& value) {
  for (auto at = headers.begin(); at != headers.end();) {  // what a retry, or the caller's caller, left there
    if (IsHeader(at->first, name))
      at = headers.erase(at);
    else
      ++at;
  }
  if constexpr (HasMappedType<Headers>::value)
    headers.emplace(std::string(name), std::move(value));
  else
    headers.emplace_back(std::string(name), std::move(value));
}

}  // namespace internal

// Sets traceparent, tracestate and baggage, in place of those that are there; nothing if the context is not valid. May
// throw what the collection throws.
template <typename Headers>
void InjectInto(Headers& headers, const Context& context = Context::Current()) {
  InjectHeaders(
      context, [&](std::string_view name, std::string value) { internal::SetHeader(headers, name, std::move(value)); });
}

// The context in the headers of an incoming request; letter case does not count, several tracestates are joined,
// several traceparents make it invalid, as W3C says. May throw std::bad_alloc.
template <typename Headers>
Context ExtractFrom(const Headers& headers) {
  std::string traceparent;
  std::string tracestate;
  std::string baggage;
  const auto append = [](std::string* to, std::string_view value) {
    if (!to->empty()) *to += ',';
    to->append(value.data(), value.size());
  };
  for (const auto& header : headers) {
    const std::string_view name(header.first);
    if (internal::IsHeader(name, "traceparent")) append(&traceparent, std::string_view(header.second));
    if (internal::IsHeader(name, "tracestate")) append(&tracestate, std::string_view(header.second));
    if (internal::IsHeader(name, "baggage")) append(&baggage, std::string_view(header.second));
  }
  return Context::FromTraceparent(traceparent, tracestate, baggage);
}

}  // namespace spanwatch

#pragma GCC visibility pop

#endif  // SPANWATCH_PROPAGATION_H_
