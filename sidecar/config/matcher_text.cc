#include "sidecar/config/matcher_text.h"

#include <cctype>
#include <string>
#include <utility>

#include "sidecar/config/matcher.h"
#include "sidecar/core/utf8.h"

namespace spanwatch::config {
namespace {

constexpr std::size_t kMaxText = 8192, kMaxName = 128, kMaxValue = 1024;
constexpr const char* kExample =
    "allowed: NAME=\"VALUE\", !=, =~ and !~, as in severity=\"critical\" or service=~\"bot|api\"";

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == ':' ||
         c == '.' || c == '-' || c == '/';
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Parsed<std::vector<core::Matcher>> Parse() {
    if (text_.size() > kMaxText) return tl::make_unexpected(std::string("matchers: longer than 8192 bytes"));
    if (!core::IsUtf8(text_)) return tl::make_unexpected(std::string("matchers: not UTF-8"));
    Skip();
    const bool braces = Take('{');
    Skip();
    const auto at_end = [&] { return braces ? Peek() == '}' : at_ >= text_.size(); };
    while (!failed_ && !at_end()) {
      ReadOne();
      Skip();
      if (failed_ || at_end()) break;
      if (!Take(',')) {
        Fail(braces ? "expected , or }" : "expected , or the end");
        break;
      }
      Skip();
    }
    if (!failed_ && braces) {
      Take('}');
      Skip();
      if (at_ < text_.size()) Fail("expected the end");
    }
    if (!failed_ && matchers_.empty()) Fail("expected a matcher");
    if (failed_) return tl::make_unexpected(std::move(error_));
    return std::move(matchers_);
  }

 private:
  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool Take(char c) {
    if (Peek() != c || at_ >= text_.size()) return false;
    ++at_;
    return true;
  }
  void Skip() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  void FailAt(std::size_t at, const std::string& what) {
    if (failed_) return;
    failed_ = true;
    error_ = Quote(text_) + ", character " + std::to_string(at + 1) + ": " + what;
  }
  void Fail(const std::string& what) { FailAt(at_, what + "; " + kExample); }

  std::string ReadQuoted() {
    const std::size_t begin = at_;
    std::string value;
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        return value;
      }
      if (c != '\\') {
        value.push_back(c);
        continue;
      }
      const char next = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
      // As in Alertmanager: what is no escape stands for itself, so that a pattern's \. needs no second backslash.
      if (next == 'n') {
        value.push_back('\n');
      } else if (next == '"' || next == '\\') {
        value.push_back(next);
      } else {
        value.push_back(c);
        continue;
      }
      ++at_;
    }
    FailAt(begin, "this quote does not end");
    return value;
  }

  std::string ReadName() {
    if (Peek() == '"') return ReadQuoted();
    const std::size_t begin = at_;
    while (at_ < text_.size() && IsNameCharacter(text_[at_])) ++at_;
    if (at_ == begin) Fail("expected the name of a label");
    return std::string(text_.substr(begin, at_ - begin));
  }

  core::MatchOp ReadOp() {
    const std::string_view rest = text_.substr(at_);
    if (rest.starts_with("==")) {
      Fail("no such comparison: ==");
      return core::MatchOp::kEqual;
    }
    constexpr std::pair<std::string_view, core::MatchOp> kOps[] = {{"=~", core::MatchOp::kRegex},
                                                                   {"!~", core::MatchOp::kNotRegex},
                                                                   {"!=", core::MatchOp::kNotEqual},
                                                                   {"=", core::MatchOp::kEqual}};
    for (const auto& [text, op] : kOps) {
      if (!rest.starts_with(text)) continue;
      at_ += text.size();
      return op;
    }
    Fail("expected =, !=, =~ or !~");
    return core::MatchOp::kEqual;
  }

  std::string ReadValue() {
    if (Peek() == '"') return ReadQuoted();
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '}' &&
           std::isspace(static_cast<unsigned char>(text_[at_])) == 0) {
      if (text_[at_] == '"' || text_[at_] == '\'' || text_[at_] == '{') {
        Fail("put the whole value into double quotes");
        return "";
      }
      ++at_;
    }
    return std::string(text_.substr(begin, at_ - begin));
  }

  void ReadOne() {
    core::Matcher matcher;
    const std::size_t name_at = at_;
    matcher.name = ReadName();
    if (!failed_ && (matcher.name.empty() || matcher.name.size() > kMaxName))
      FailAt(name_at, "not the name of a label");
    Skip();
    if (!failed_) matcher.op = ReadOp();
    Skip();
    const std::size_t value_at = at_;
    if (!failed_) matcher.value = ReadValue();
    if (failed_) return;
    if (matcher.value.size() > kMaxValue) return FailAt(value_at, "the value is longer than 1024 bytes");
    if (matcher.op == core::MatchOp::kRegex || matcher.op == core::MatchOp::kNotRegex) {
      auto pattern = MakeMatcher(matcher.value);
      if (!pattern) return FailAt(value_at, pattern.error());
      matcher.pattern = std::move(*pattern);
    }
    matchers_.push_back(std::move(matcher));
  }

  const std::string_view text_;
  std::size_t at_ = 0;
  bool failed_ = false;
  std::string error_;
  std::vector<core::Matcher> matchers_;
};

}  // namespace

Parsed<std::vector<core::Matcher>> ParseMatchers(std::string_view text) { return Parser(text).Parse(); }

}  // namespace spanwatch::config
