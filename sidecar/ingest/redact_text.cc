// One pass over the text. Most of it is runs of word characters, [A-Za-z0-9_-], which cost a table look-up a byte; a
// run that is long enough is compared with the shapes of tokens when it ends, and a few other characters look around
// themselves.
#include "sidecar/ingest/redact_text.h"

#include <algorithm>

#include "sidecar/ingest/redact_keys.h"
#include "sidecar/ingest/redact_shapes.h"

namespace spanwatch::ingest {
namespace {

constexpr std::size_t kShortestMatch = 6;  // a@b.cc, +1234567

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
  TextScanner(std::string_view text, std::string* out, RedactedCounts* counts)
      : text_(text), out_(out), counts_(counts) {}

  bool Run() {
    std::size_t run = 0;  // where the run of word characters began
    for (std::size_t i = 0; i <= text_.size(); ++i) {
      const std::uint8_t kind = i < text_.size() ? kClasses[static_cast<unsigned char>(text_[i])] : kPlain;
      if (kind == kWord) continue;
      Match match;
      if (i - run >= kShortestRun) match = FindInRun(text_, run, i);
      if (match.end == 0 && kind == kTrigger) match = FindAround(text_, i, done_);
      if (Take(match)) {
        run = match.end;
        i = match.end - 1;
      } else {
        run = i + 1;
      }
    }
    if (!found_) return false;
    out_->append(text_.substr(done_));
    return true;
  }

 private:
  // Replaces what was found. False: nothing was, or it overlaps what is replaced already.
  bool Take(const Match& match) {
    if (match.end == 0 || match.begin < done_) return false;
    if (!found_) out_->clear();
    found_ = true;
    // A match that is cut at its longest may end inside a character: that goes whole.
    std::size_t begin = match.begin, end = match.end;
    for (int i = 0; i < 3 && begin > done_ && IsContinuation(begin); ++i) --begin;
    for (int i = 0; i < 3 && IsContinuation(end); ++i) ++end;
    out_->append(text_.substr(done_, begin - done_)).append(RedactedMark(match.kind));
    done_ = end;
    ++(*counts_)[static_cast<std::size_t>(match.kind)];
    return true;
  }

  bool IsContinuation(std::size_t at) const {
    return at < text_.size() && (static_cast<unsigned char>(text_[at]) & 0xC0) == 0x80;
  }

  const std::string_view text_;
  std::string* const out_;
  RedactedCounts* const counts_;
  std::size_t done_ = 0;  // text before this is in out_, if anything was found
  bool found_ = false;
};

constexpr std::array<std::string_view, kRedactedKinds> kMarks = {
    "[redacted:email]",       "[redacted:mention]", "[redacted:phone]", "[redacted:api_key]", "[redacted:token]",
    "[redacted:credentials]", "[redacted:secret]",  "[redacted:key]",   "[redacted:content]", "[redacted:depth]",
};

}  // namespace

std::string_view RedactedMark(Redacted kind) { return kMarks[static_cast<std::size_t>(kind)]; }

std::string_view RedactedName(Redacted kind) {
  const std::string_view mark = RedactedMark(kind);
  const std::size_t colon = mark.find(':');
  return mark.substr(colon + 1, mark.size() - colon - 2);
}

bool RedactText(std::string_view text, std::string* out, RedactedCounts* counts) {
  return text.size() >= kShortestMatch && TextScanner(text, out, counts).Run();
}

}  // namespace spanwatch::ingest
