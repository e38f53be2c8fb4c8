// The exception being handled, as texts: type (demangled), message, nested causes.
#include <cxxabi.h>

#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <typeinfo>

#include "sdk/cpp/src/allocations.h"
#include "sdk/cpp/src/span_body.h"

namespace spanwatch::internal {
namespace {

constexpr int kMaxCauses = 8;

std::string TypeName(const std::type_info* type) {
  if (type == nullptr) return "unknown";
  int status = 0;
  char* const demangled = abi::__cxa_demangle(type->name(), nullptr, nullptr, &status);
  std::string name = status == 0 && demangled != nullptr ? demangled : type->name();
  std::free(demangled);
  return name;
}

struct Description {
  std::string type;
  std::string message;
  std::string causes;  // "type: message" a line, the outermost first
};

#if defined(__cpp_exceptions)
// Fills from the exception being handled; calls itself for the nested ones.
void Describe(Description* out, int depth) {
  std::string type = TypeName(abi::__cxa_current_exception_type());
  std::string message;
  std::exception_ptr nested;
  try {
    throw;
  } catch (const std::exception& error) {
    if (const char* const what = error.what(); what != nullptr) message = what;
    if (const auto* nesting = dynamic_cast<const std::nested_exception*>(&error)) nested = nesting->nested_ptr();
  } catch (const std::nested_exception& error) {
    nested = error.nested_ptr();
  } catch (const std::string& error) {
    message = error;
  } catch (const char* error) {
    if (error != nullptr) message = error;
  } catch (...) {
  }
  // std::throw_with_nested wraps what it throws in a class of the library's own.
  for (const char* wrapper : {"std::_Nested_exception<", "std::__nested<"}) {
    const std::string prefix = wrapper;
    if (type.compare(0, prefix.size(), prefix) == 0 && type.back() == '>') {
      type = type.substr(prefix.size(), type.size() - prefix.size() - 1);
    }
  }
  if (depth == 0) {
    out->type = type;
    out->message = message;
  } else {
    out->causes += (depth == 1 ? "" : "\n") + type + ": " + message;
  }
  if (nested == nullptr || depth == kMaxCauses) return;
  try {
    std::rethrow_exception(nested);
  } catch (...) {
    Describe(out, depth + 1);
  }
}
#endif

}  // namespace

void FailSpanWithCurrentException(SpanHandle handle) noexcept {
#if defined(__cpp_exceptions)
  if (abi::__cxa_current_exception_type() == nullptr && std::current_exception() == nullptr) {
    return FailSpan(handle, Text(), "failed");
  }
  const UncountedAllocations uncounted;
  try {
    Description what;
    Describe(&what, 0);
    FailSpan(handle, what.type, what.message);
    AddException(handle, what.type, what.message, what.causes);
  } catch (...) {  // no memory for the texts, or a what() that throws
    FailSpan(handle, Text(), "an exception that could not be described");
  }
#else
  FailSpan(handle, Text(), "failed");
#endif
}

void FailSpanWithError(SpanHandle handle, Text type, Text message) noexcept {
  FailSpan(handle, type, message);
  AddException(handle, type, message, Text());
}

void FailSpanWithException(SpanHandle handle, const std::type_info& type, Text message) noexcept {
  const UncountedAllocations uncounted;
  try {
    FailSpanWithError(handle, TypeName(&type), message);
  } catch (const std::bad_alloc&) {
    FailSpanWithError(handle, Text(), message);
  }
}

void FailSpanWithPointer(SpanHandle handle, const std::exception_ptr& error) noexcept {
#if defined(__cpp_exceptions)
  if (error == nullptr) return FailSpanWithError(handle, Text(), "failed");
  try {
    std::rethrow_exception(error);
  } catch (...) {
    FailSpanWithCurrentException(handle);
  }
#else
  FailSpanWithError(handle, Text(), "failed");
#endif
}

}  // namespace spanwatch::internal
