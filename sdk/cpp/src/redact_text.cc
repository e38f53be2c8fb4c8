// One pass over the text. Most of it is runs of word characters, [A-Za-z0-9_-], which cost a table look-up a byte; a
// run whose length and first character allow it is compared with the shapes of tokens when it ends, and a few other
// characters look around themselves.
#include "sdk/cpp/src/redact_text.h"

#include <array>

#include "sdk/cpp/src/redact_shapes.h"

namespace spanwatch::internal {
namespace {

constexpr std::uint8_t kPlain = 0, kWord = 1, kTrigger = 2;

constexpr std::array<std::uint8_t, 256> MakeClasses() {
  std::array<std::uint8_t, 256> classes{};
  for (std::size_t c = 0; c < 256; ++c) classes[c] = IsWordChar(static_cast<char>(c)) ? kWord : kPlain;
  for (const char c : {'@', '%', '+', '(', '.', '=', ':'}) classes[static_cast<unsigned char>(c)] = kTrigger;
  return classes;
}
constexpr std::array<std::uint8_t, 256> kClasses = MakeClasses();

class TextScanner {
 public:
  TextScanner(std::string_view text, std::size_t limit, TextBuffer* out) noexcept
      : text_(text), limit_(limit), out_(out) {}

  std::uint32_t Run() noexcept {
    const std::size_t size = text_.size();
    std::size_t run = 0;  // where the run of word characters began
    for (std::size_t i = 0; i <= size; ++i) {
      while (i < size && kClasses[static_cast<unsigned char>(text_[i])] == kWord) ++i;
      const std::uint8_t kind = i < size ? kClasses[static_cast<unsigned char>(text_[i])] : kPlain;
      Match match;
      if (i - run >= kShortestRun && MayBeInRun(text_, run, i)) match = FindInRun(text_, run, i);
      if (match.end == 0 && kind == kTrigger && MayBeAround(text_, i)) match = FindAround(text_, i, done_);
      if (match.end != 0 && Take(match)) {
        run = match.end;
        i = match.end - 1;
      } else {
        run = i + 1;
      }
    }
    if (found_ > 0) out_->Append(text_.substr(done_));
    return found_;
  }

 private:
  // Replaces what was found. False: it overlaps what is replaced already.
  bool Take(const Match& match) noexcept {
    if (match.begin < done_) return false;
    if (found_++ == 0) out_->Clear(limit_);
    // A match that is cut at its longest may end inside a character: that goes whole.
    std::size_t begin = match.begin, end = match.end;
    for (int i = 0; i < 3 && begin > done_ && IsContinuation(begin); ++i) --begin;
    for (int i = 0; i < 3 && IsContinuation(end); ++i) ++end;
    out_->Append(text_.substr(done_, begin - done_));
    out_->AppendMark(match.kind);
    done_ = end;
    return true;
  }

  bool IsContinuation(std::size_t at) const noexcept {
    return at < text_.size() && (static_cast<unsigned char>(text_[at]) & 0xC0) == 0x80;
  }

  const std::string_view text_;
  const std::size_t limit_;
  TextBuffer* const out_;
  std::size_t done_ = 0;  // text before this is in out_, if anything was found
  std::uint32_t found_ = 0;
};

constexpr std::array<std::string_view, 11> kMarks = {
    "[redacted:email]",   "[redacted:mention]",     "[redacted:phone]",  "[redacted:api_key]",
    "[redacted:token]",   "[redacted:credentials]", "[redacted:secret]", "[redacted:key]",
    "[redacted:content]", "[redacted:strict]",      "[redacted:cut]",
};

}  // namespace

std::string_view RedactedMark(Redacted kind) noexcept { return kMarks[static_cast<std::size_t>(kind)]; }

std::uint32_t RedactText(std::string_view text, std::size_t limit, TextBuffer* out) noexcept {
  return text.size() < kShortestSecret ? 0 : TextScanner(text, limit, out).Run();
}

}  // namespace spanwatch::internal
