// Names of types and methods, made at compile time: "bot::GeminiService", "GeminiService.generateResponse". g++ and
// clang++. What begins with internal is not for users.
#ifndef SPANWATCH_NAMES_H_
#define SPANWATCH_NAMES_H_

#include <cstddef>
#include <string_view>
#include <type_traits>

#pragma GCC visibility push(default)
namespace spanwatch {
namespace internal {

// "... [with T = X; std::string_view = ...]" (g++) or "... [T = X]" (clang++).
constexpr std::string_view AfterEquals(std::string_view function) {
  const std::size_t begin = function.find(" = ") + 3;
  const std::string_view rest = function.substr(begin, function.size() - begin - 1);
  return rest.substr(0, rest.find("; std::string_view = "));
}

template <typename T>
struct TypeSpelling {
  static constexpr std::string_view Get() { return AfterEquals(__PRETTY_FUNCTION__); }
};
template <auto M>
struct ValueSpelling {
  static constexpr std::string_view Get() { return AfterEquals(__PRETTY_FUNCTION__); }
};

// Where the last part of a qualified name begins: after the last "::" that is in no template argument.
constexpr std::size_t LastPart(std::string_view name) {
  int depth = 0;
  for (std::size_t i = name.size(); i-- > 1;) {
    if (name[i] == '>') ++depth;
    if (name[i] == '<') --depth;
    if (depth == 0 && name[i] == ':' && name[i - 1] == ':') return i + 1;
  }
  return 0;
}

// "bot::Cache<int>" -> "Cache".
constexpr std::string_view ShortName(std::string_view type) {
  type = type.substr(LastPart(type));
  const std::size_t arguments = type.find('<');
  return type.substr(0, arguments);
}

// Where "operator" of "&bot::Cache::operator[]" begins; npos in any other name.
constexpr std::size_t OperatorIn(std::string_view spelling) {
  constexpr std::string_view kBetween = ":& ";
  const std::size_t at = spelling.rfind("operator");
  if (at == std::string_view::npos || at == 0 || kBetween.find(spelling[at - 1]) == std::string_view::npos)
    return spelling.npos;
  const char next = at + 8 < spelling.size() ? spelling[at + 8] : 'x';
  const bool goes_on =
      (next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z') || (next >= '0' && next <= '9') || next == '_';
  return goes_on ? spelling.npos : at;
}

// "&bot::GeminiService::generate", "(void (bot::A::*)(int))(& bot::A::f)", "bot::f" -> "generate", "f", "f".
constexpr std::string_view MethodOf(std::string_view spelling) {
  const std::size_t symbol = OperatorIn(spelling);
  if (symbol != std::string_view::npos && spelling.substr(symbol, 10) == "operator()") return "operator()";
  while (!spelling.empty() && (spelling.back() == ')' || spelling.back() == ' '))
    spelling = spelling.substr(0, spelling.size() - 1);
  if (symbol != std::string_view::npos) return spelling.substr(symbol);
  std::string_view method = spelling.substr(LastPart(spelling));
  const std::size_t other = method.find_last_of("&( ");  // a function without namespace
  if (other != std::string_view::npos) method = method.substr(other + 1);
  return method.substr(0, method.find('<'));
}

// A text in the program's constants, ended by a NUL: remembered by address (spanwatch/value.h).
template <std::size_t N>
struct FixedText {
  char text[N + 1] = {};
  constexpr void Append(std::string_view part, std::size_t at) {
    for (std::size_t i = 0; i < part.size(); ++i) text[at + i] = part[i];
  }
};

template <typename T>
struct TypeNameOf {
  static constexpr std::string_view kSpelling = TypeSpelling<T>::Get();
  static constexpr auto Make() {
    FixedText<kSpelling.size()> name;
    name.Append(kSpelling, 0);
    return name;
  }
  static constexpr auto kText = Make();
};

template <typename Service, auto M>
struct OperationNameOf {
  static constexpr std::string_view kService = ShortName(TypeSpelling<Service>::Get());
  static constexpr std::string_view kMethod = MethodOf(ValueSpelling<M>::Get());
  static constexpr auto Make() {
    FixedText<kService.size() + 1 + kMethod.size()> name;
    name.Append(kService, 0);
    name.Append(".", kService.size());
    name.Append(kMethod, kService.size() + 1);
    return name;
  }
  static constexpr auto kText = Make();
};

}  // namespace internal

// "bot::GeminiService". Static text.
template <typename T>
constexpr std::string_view TypeName() {
  return {internal::TypeNameOf<T>::kText.text, internal::TypeNameOf<T>::kSpelling.size()};
}

// "generateResponse" of &GeminiService::generateResponse, "f" of a function. Overloads: choose one by static_cast.
template <auto Function>
constexpr std::string_view MethodName() {
  return internal::MethodOf(internal::ValueSpelling<Function>::Get());
}

// "GeminiService.generateResponse". Namespaces and template arguments are left out. Static text.
template <typename Service, auto Method>
constexpr std::string_view OperationName() {
  using Name = internal::OperationNameOf<Service, Method>;
  return {Name::kText.text, Name::kService.size() + 1 + Name::kMethod.size()};
}

}  // namespace spanwatch

#pragma GCC visibility pop

#endif  // SPANWATCH_NAMES_H_
