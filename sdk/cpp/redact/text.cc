// One pass over the text. Most of it is runs of word characters, [A-Za-z0-9_-], which cost a table look-up a byte; a
// run whose length and first character allow it is compared with the shapes of tokens when it ends, and a few other
// characters look around themselves.
#include "sdk/cpp/redact/text.h"

#include <array>

#include "sdk/cpp/redact/shapes.h"

namespace spanwatch::redact {
namespace {

constexpr std::uint8_t kPlain = 0, kWord = 1, kTrigger = 2;

constexpr std::array<std::uint8_t, 256> MakeClasses() {
  std::array<std::uint8_t, 256> classes{};
  for (std::size_t c = 0; c < 256; ++c) classes[c] = IsWordChar(static_cast<char>(c)) ? kWord : kPlain;
  for (const char c : {'@', '%', '+', '(', '.', '=', ':'}) classes[static_cast<unsigned char>(c)] = kTrigger;
  return classes;
}
constexpr std::array<std::uint8_t, 256> kClasses = MakeClasses();

// Where the result goes: texts and marks in turn, after Begin.
class BufferSink {
 public:
  BufferSink(std::size_t limit, TextBuffer* out) noexcept : limit_(limit), out_(out) {}
  void Begin() noexcept { out_->Clear(limit_); }
  void Text(std::string_view text) noexcept { out_->Append(text); }
  void Mark(Redacted kind) noexcept { out_->AppendMark(kind); }

 private:
  const std::size_t limit_;
  TextBuffer* const out_;
};

class StringSink {
 public:
  StringSink(std::string* out, RedactedCounts* counts) noexcept : out_(out), counts_(counts) {}
  void Begin() { out_->clear(); }
  void Text(std::string_view text) { out_->append(text); }
  void Mark(Redacted kind) {
    out_->append(RedactedMark(kind));
    ++(*counts_)[static_cast<std::size_t>(kind)];
  }

 private:
  std::string* const out_;
  RedactedCounts* const counts_;
};

template <typename Sink>
class TextScanner {
 public:
  TextScanner(std::string_view text, Sink sink) noexcept : text_(text), sink_(sink) {}

  std::uint32_t Run() {
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
    if (found_ > 0) sink_.Text(text_.substr(done_));
    return found_;
  }

 private:
  // Replaces what was found. False: it overlaps what is replaced already.
  bool Take(const Match& match) {
    if (match.begin < done_) return false;
    if (found_++ == 0) sink_.Begin();
    // A match that is cut at its longest may end inside a character: that goes whole.
    std::size_t begin = match.begin, end = match.end;
    for (int i = 0; i < 3 && begin > done_ && IsContinuation(begin); ++i) --begin;
    for (int i = 0; i < 3 && IsContinuation(end); ++i) ++end;
    sink_.Text(text_.substr(done_, begin - done_));
    sink_.Mark(match.kind);
    done_ = end;
    return true;
  }

  bool IsContinuation(std::size_t at) const noexcept {
    return at < text_.size() && (static_cast<unsigned char>(text_[at]) & 0xC0) == 0x80;
  }

  const std::string_view text_;
  Sink sink_;
  std::size_t done_ = 0;  // text before this is in the sink, if anything was found
  std::uint32_t found_ = 0;
};

constexpr std::array<std::string_view, 12> kMarks = {
    "[redacted:email]",   "[redacted:mention]",     "[redacted:phone]",  "[redacted:api_key]",
    "[redacted:token]",   "[redacted:credentials]", "[redacted:secret]", "[redacted:key]",
    "[redacted:content]", "[redacted:depth]",       "[redacted:strict]", "[redacted:cut]",
};
static_assert(static_cast<std::size_t>(Redacted::kDepth) + 1 == kRedactedKinds &&
              static_cast<std::size_t>(Redacted::kCut) + 1 == kMarks.size());

}  // namespace

std::string_view RedactedMark(Redacted kind) noexcept { return kMarks[static_cast<std::size_t>(kind)]; }

std::string_view RedactedName(Redacted kind) noexcept {
  const std::string_view mark = RedactedMark(kind);
  const std::size_t colon = mark.find(':');
  return {mark.data() + colon + 1, mark.size() - colon - 2};
}

std::uint32_t RedactText(std::string_view text, std::size_t limit, TextBuffer* out) noexcept {
  return text.size() < kShortestSecret ? 0 : TextScanner(text, BufferSink(limit, out)).Run();
}

bool RedactText(std::string_view text, std::string* out, RedactedCounts* counts) {
  return text.size() >= kShortestSecret && TextScanner(text, StringSink(out, counts)).Run() > 0;
}

}  // namespace spanwatch::redact
