#include "sidecar/core/error_text.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "sidecar/core/error_token.h"
#include "sidecar/core/utf8.h"

namespace spanwatch::core {
namespace {

using namespace error_token;  // NOLINT: the predicates on pieces of text

constexpr std::string_view kNumber = "<n>", kId = "<id>", kText = "<text>", kTime = "<time>";
constexpr std::size_t kMaxTypeShown = 100, kMaxMessageShown = 200;
constexpr std::size_t kMaxCode = 5;             // digits of a status, an errno, a database's code
constexpr std::size_t kNameDigits = 2;          // as in gemini-1.5-pro: part of a name
constexpr std::uint32_t kFirstPassing = 32768;  // ports from here on are given to clients, and differ each time

struct Quotes {
  std::string_view open, close;
};
constexpr std::array<Quotes, 7> kQuotes = {{{"'", "'"},
                                            {"\"", "\""},
                                            {"`", "`"},
                                            {"\u201c", "\u201d"},
                                            {"\u2018", "\u2019"},
                                            {"\u201e", "\u201c"},
                                            {"\u00ab", "\u00bb"}}};

bool IsSeam(char c) { return c == '-' || c == '_' || c == '.'; }

class Normaliser {
 public:
  Normaliser(std::string_view in, std::string* out) : in_(in), out_(out) {}
  void Run();

 private:
  // What the last word said about a number right after it.
  enum class Context : std::uint8_t { kNone, kCode, kError };

  char At(std::size_t at) const { return at < in_.size() ? in_[at] : '\0'; }
  void Emit(std::string_view text);
  void Separator(char c);
  void Learn(std::string_view word);
  bool Quoted();
  std::size_t FindClose(std::size_t quotes, bool escaped, std::size_t from);
  bool IsKey(std::size_t close, std::string_view content) const;
  bool StartsChunk() const;
  void Chunk();
  void Url(std::string_view url);
  void Port(std::string_view digits);
  bool Address(std::string_view chunk);
  void Parts(std::string_view chunk, bool path);
  void Word(std::string_view word, bool path);
  void Piece(std::string_view piece, bool name);
  void Number(std::string_view digits, bool path);

  std::string_view in_;
  std::string* out_;
  std::size_t at_ = 0;
  Context context_ = Context::kNone;
  bool blank_ = false;      // to be written before what comes next
  bool minus_ = false;      // likewise, unless it is a folded number
  bool after_key_ = false;  // what comes is the value of a kept key
  char before_ = '\0';      // the last character that was neither blank nor a backslash
  std::array<std::array<bool, 2>, kQuotes.size()> unclosed_{};  // no such quote ends behind where it was looked for
};

void Normaliser::Emit(std::string_view text) {
  if (blank_ && !out_->empty()) out_->push_back(' ');
  if (minus_ && text != kNumber) out_->push_back('-');
  blank_ = minus_ = false;
  out_->append(text);
}

void Normaliser::Separator(char c) {
  if (c == '-' && IsDigit(At(at_ + 1)) && (at_ == 0 || !IsWord(in_[at_ - 1]))) {
    minus_ = true;
    return;
  }
  Emit({&c, 1});
  const bool opens = c == '(' || c == '[' || c == '#' || c == '{';
  const bool tells = c == ':' || c == '=' || c == '"';
  if (!opens && !(tells && context_ == Context::kCode)) context_ = Context::kNone;
  if (c != ':') after_key_ = false;
}

void Normaliser::Learn(std::string_view word) {
  if (EndsWith(word, "code") || EndsWith(word, "status") || EndsWith(word, "errno") || EndsWith(word, "signal") ||
      EqualsIgnoringCase(word, "http")) {
    context_ = Context::kCode;
  } else {
    context_ = EndsWith(word, "error") ? Context::kError : Context::kNone;
  }
}

// Each search that fails holds for all that come later: linear.
std::size_t Normaliser::FindClose(std::size_t quotes, bool escaped, std::size_t from) {
  bool& unclosed = unclosed_[quotes][escaped ? 1 : 0];
  if (unclosed) return std::string_view::npos;
  const std::string_view close = kQuotes[quotes].close;
  for (std::size_t at = in_.find(close, from); at != std::string_view::npos; at = in_.find(close, at + 1)) {
    if ((in_[at - 1] == '\\') != escaped) continue;
    if (close == "'" && IsWord(At(at + 1))) continue;  // an apostrophe
    return at;
  }
  unclosed = true;
  return std::string_view::npos;
}

// {"code": ...}: the name of a member says what failed.
bool Normaliser::IsKey(std::size_t close, std::string_view content) const {
  if (before_ != '{' && before_ != ',') return false;
  std::size_t next = close + 1;
  while (At(next) == ' ') ++next;
  return At(next) == ':' && IsIdentifier(content);
}

bool Normaliser::Quoted() {
  for (std::size_t quotes = 0; quotes < kQuotes.size(); ++quotes) {
    const std::string_view open = kQuotes[quotes].open;
    if (!in_.substr(at_).starts_with(open)) continue;
    const std::size_t from = at_ + open.size();
    if (open == "'" && ((at_ > 0 && IsWord(in_[at_ - 1])) || IsBlank(At(from)))) return false;
    const bool escaped = at_ > 0 && in_[at_ - 1] == '\\';
    const std::size_t close = FindClose(quotes, escaped, from);
    if (close == std::string_view::npos) return false;
    const std::size_t end = close + kQuotes[quotes].close.size();
    std::string_view content = in_.substr(from, close - from);
    if (escaped && content.ends_with('\\')) content.remove_suffix(1);
    const bool key = open.size() == 1 && IsKey(close, content);
    const bool kept = key || (after_key_ && IsConstant(content));
    Emit(kept ? in_.substr(at_, end - at_) : kText);
    Learn(key ? content : std::string_view());
    after_key_ = key;
    before_ = '"';
    at_ = end;
    return true;
  }
  return false;
}

bool Normaliser::StartsChunk() const {
  const char c = in_[at_], next = At(at_ + 1);
  if (IsWord(c)) return true;
  const bool fresh = at_ == 0 || !IsWord(in_[at_ - 1]);
  return (c == '/' && IsWord(next)) || (c == ':' && next == ':' && fresh && IsHex(At(at_ + 2)));
}

void Normaliser::Run() {
  out_->clear();
  while (at_ < in_.size() && out_->size() <= kMaxNormalised) {
    const char c = in_[at_];
    if (IsBlank(c)) {
      blank_ = true;
      ++at_;
      continue;
    }
    if (QuoteStart(c) && Quoted()) continue;
    if (StartsChunk()) {
      Chunk();
      after_key_ = false;
      before_ = 'a';
      continue;
    }
    Separator(c);
    if (c != '\\') before_ = c;
    ++at_;
  }
  if (minus_) Emit("");
  if (out_->size() <= kMaxNormalised) return;
  out_->resize(CutText(*out_, kMaxNormalised - 3).size());
  out_->append("...");
}

void Normaliser::Chunk() {
  const std::string_view rest = in_.substr(at_);
  const bool url = IsUrl(rest), path = rest.front() == '/';
  std::size_t size = 1;
  while (size < rest.size() && (url || path ? GoesOnInUrl(rest, size) : GoesOn(rest, size))) ++size;
  while (size > 1 && Is(rest[size - 1], kTrailing)) --size;
  const std::string_view chunk = rest.substr(0, size);
  at_ += size;
  if (url) return Url(chunk);
  if (path) return Parts(chunk, true);
  if (IsTime(chunk)) {
    if (out_->ends_with(kTime)) return void(blank_ = false);  // a date and a time
    Learn({});
    return Emit(kTime);
  }
  if (IsEmail(chunk)) {
    Learn({});
    return Emit("<email>");
  }
  if (IsHttpVersion(chunk)) {
    Emit(chunk);
    context_ = Context::kCode;
    return;
  }
  if (Address(chunk)) return;
  Parts(chunk, false);
  // 1,234,567
  while (out_->ends_with(kNumber) && At(at_) == ',' && IsDigit(At(at_ + 1)) && IsDigit(At(at_ + 2)) &&
         IsDigit(At(at_ + 3)) && !IsWord(At(at_ + 4)) && chunk.size() <= 3) {
    at_ += 4;
  }
}

void Normaliser::Port(std::string_view digits) {
  std::uint32_t port = 0;
  for (const char c : digits) port = std::min<std::uint32_t>(port * 10 + static_cast<std::uint32_t>(c - '0'), 65536);
  Emit(":");
  Emit(port < kFirstPassing ? digits : kNumber);
}

// An IP address, alone or with a port or the bits of its mask; MAC addresses.
bool Normaliser::Address(std::string_view chunk) {
  if (IsMac(chunk)) {
    Emit(kId);
  } else if (IsIpv6(chunk)) {
    Emit("<ip>");
  } else {
    const std::size_t end = std::min(chunk.find_first_of(":/"), chunk.size());
    const std::string_view rest = chunk.substr(std::min(end + 1, chunk.size()));
    if (!IsIpv4(chunk.substr(0, end)) || !std::all_of(rest.begin(), rest.end(), IsDigit)) return false;
    Emit("<ip>");
    if (!rest.empty() && chunk[end] == ':') Port(rest);
  }
  context_ = Context::kNone;
  return true;
}

void Normaliser::Url(std::string_view url) {
  const std::size_t scheme = url.find("://") + 3;
  Emit(url.substr(0, scheme));
  const std::size_t end = std::min(url.find_first_of("/?#", scheme), url.size());
  std::string_view host = url.substr(scheme, end - scheme);
  if (const std::size_t at = host.rfind('@'); at != std::string_view::npos) {
    Emit("<text>@");
    host.remove_prefix(at + 1);
  }
  const std::size_t colon = host.rfind(':');
  const std::string_view port = colon == std::string_view::npos ? std::string_view() : host.substr(colon + 1);
  if (!port.empty() && std::all_of(port.begin(), port.end(), IsDigit)) {
    if (!Address(host.substr(0, colon))) Parts(host.substr(0, colon), false);
    Port(port);
  } else if (!Address(host)) {
    Parts(host, false);
  }
  Parts(url.substr(end), true);
  context_ = Context::kNone;
}

// Words and what joins them. Of a path, the query is one text.
void Normaliser::Parts(std::string_view chunk, bool path) {
  for (char before = '\0'; !chunk.empty() && out_->size() <= kMaxNormalised;) {
    std::size_t end = 0;
    while (end < chunk.size() && !IsSplit(chunk[end])) ++end;
    if (end > 0) Word(chunk.substr(0, end), path && before != ':');  // after a colon: a line of a file
    if (end == chunk.size()) return;
    const char c = chunk[end];
    if (path && c == '?') return Emit("?<text>");
    Emit({&c, 1});
    if (c != ':' || context_ == Context::kError) context_ = Context::kNone;
    before = c;
    chunk.remove_prefix(end + 1);
  }
}

// No '/', ':' or the like in it.
void Normaliser::Word(std::string_view word, bool path) {
  if (std::all_of(word.begin(), word.end(), IsDigit)) return Number(word, path);
  if (IsErrorCode(word)) {
    Emit(word);
    return Learn({});
  }
  const bool hex = IsHexId(word) || (word.size() > 2 && word[0] == '0' && word[1] == 'x');
  if (hex || IsMeasure(word)) {
    Emit(hex ? kId : kNumber);
    return Learn({});
  }
  const bool name = !IsDigit(word.front());
  for (std::string_view rest = word; !rest.empty();) {
    if (IsUuidAt(rest)) {
      Emit(kId);
      rest.remove_prefix(kUuidSize);
      continue;
    }
    std::size_t end = 0;
    while (end < rest.size() && !IsSeam(rest[end])) ++end;
    if (end > 0) Piece(rest.substr(0, end), name);
    rest.remove_prefix(end);
    std::size_t joins = 0;
    while (joins < rest.size() && IsSeam(rest[joins])) ++joins;
    if (joins > 0) Emit(rest.substr(0, joins));
    rest.remove_prefix(joins);
  }
  Learn(word);
}

// Letters and digits. Short numbers are a part of names.
void Normaliser::Piece(std::string_view piece, bool name) {
  const Shape shape = ShapeOf(piece);
  if (shape.digits == 0) return Emit(piece);
  if (shape.digits == piece.size()) return Emit(name && piece.size() <= kNameDigits ? piece : kNumber);
  if (IsHexId(piece) || shape.IsOpaque(piece.size())) return Emit(kId);
  while (!piece.empty()) {
    const bool digits = IsDigit(piece.front());
    std::size_t end = 1;
    while (end < piece.size() && IsDigit(piece[end]) == digits) ++end;
    Emit(digits && end > kNameDigits ? kNumber : piece.substr(0, end));
    piece.remove_prefix(end);
  }
}

// Status codes say what failed: they stay.
void Normaliser::Number(std::string_view digits, bool path) {
  const std::string_view after = in_.substr(std::min(at_, in_.size()));
  const bool code =
      digits.size() <= kMaxCode && (context_ == Context::kCode || (context_ == Context::kError && digits.size() >= 3) ||
                                    (!path && HasReason(digits, after)));
  Emit(code ? digits : path ? kId : kNumber);
  context_ = Context::kNone;
}

}  // namespace

std::string_view CutText(std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  while (max_bytes > 0 && (static_cast<unsigned char>(text[max_bytes]) & 0xC0) == 0x80) --max_bytes;
  return text.substr(0, max_bytes);
}

void NormaliseError(std::string_view message, std::string* out) {
  Normaliser(CutText(message, kMaxErrorRead), out).Run();
}

std::string NormaliseError(std::string_view message) {
  std::string out;
  NormaliseError(message, &out);
  return out;
}

void DescribeError(std::string_view type, std::string_view message, std::string* out) {
  out->assign(CutUtf8(type, kMaxTypeShown));
  if (!type.empty() && !message.empty()) *out += ": ";
  *out += CutUtf8(message, kMaxMessageShown);
}

}  // namespace spanwatch::core
