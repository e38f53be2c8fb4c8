#include "sidecar/core/routing.h"

namespace spanwatch::core {

const char* ToString(MatchOp op) {
  constexpr const char* kNames[] = {"=", "!=", "=~", "!~"};
  return kNames[static_cast<int>(op)];
}

const char* ToString(ReceiverKind kind) {
  constexpr const char* kNames[] = {"discord", "webhook", "alertmanager"};
  return kNames[static_cast<int>(kind)];
}

const char* ToString(SilenceState state) {
  constexpr const char* kNames[] = {"pending", "active", "expired"};
  return kNames[static_cast<int>(state)];
}

bool Matcher::Matches(std::string_view text) const {
  switch (op) {
    case MatchOp::kEqual:
      return text == value;
    case MatchOp::kNotEqual:
      return text != value;
    case MatchOp::kRegex:
      return pattern != nullptr && pattern->Matches(text);
    case MatchOp::kNotRegex:
      break;
  }
  return pattern != nullptr && !pattern->Matches(text);
}

std::string Matcher::Text() const {
  std::string text = name + ToString(op) + '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') text.push_back('\\');
    text.push_back(c);
  }
  return text + '"';
}

}  // namespace spanwatch::core
