#include "sidecar/config/matcher.h"

#include <re2/re2.h>

namespace spanwatch::config {
namespace {

constexpr std::size_t kMaxPatternBytes = 1024;
constexpr std::int64_t kMaxMatcherBytes = 1 << 20;

// A pattern without special characters is its own text: no automaton needed.
class LiteralMatcher : public PatternMatcher {
 public:
  explicit LiteralMatcher(std::string text) : text_(std::move(text)) {}
  bool Matches(std::string_view text) const override { return text == text_; }
  std::optional<std::string_view> Literal() const override { return text_; }
  const std::string& Pattern() const override { return text_; }

 private:
  const std::string text_;
};

class Re2Matcher : public PatternMatcher {
 public:
  explicit Re2Matcher(const std::string& pattern) : pattern_(pattern), regex_(pattern, MakeOptions()) {}
  bool Matches(std::string_view text) const override {
    return RE2::FullMatch(re2::StringPiece(text.data(), text.size()), regex_);
  }
  const std::string& Pattern() const override { return pattern_; }
  const RE2& regex() const { return regex_; }

 private:
  static RE2::Options MakeOptions() {
    RE2::Options options;
    options.set_max_mem(kMaxMatcherBytes);
    options.set_log_errors(false);
    options.set_never_capture(true);
    options.set_dot_nl(true);  // ".*" means any text, also one with line ends
    return options;
  }

  const std::string pattern_;
  const RE2 regex_;
};

}  // namespace

Parsed<std::shared_ptr<const PatternMatcher>> MakeMatcher(const std::string& pattern) {
  if (pattern.size() > kMaxPatternBytes) {
    return tl::make_unexpected("the pattern is longer than " + std::to_string(kMaxPatternBytes) + " bytes");
  }
  if (pattern.find_first_of("\\^$.|?*+()[]{}") == std::string::npos) return std::make_shared<LiteralMatcher>(pattern);
  auto matcher = std::make_shared<Re2Matcher>(pattern);
  if (!matcher->regex().ok()) {
    return tl::make_unexpected(Quote(pattern) + " is not a regular expression: " + matcher->regex().error() +
                               "; allowed: RE2 syntax, for the whole text, as in Gemini.*");
  }
  return matcher;
}

}  // namespace spanwatch::config
