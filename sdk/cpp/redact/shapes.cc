#include "sdk/cpp/redact/shapes.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace spanwatch::redact {
namespace {

constexpr std::size_t kMaxLocalPart = 64, kMaxDomain = 255, kMaxUserInfo = 256;

char Lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }
bool IsHigh(char c) noexcept { return static_cast<unsigned char>(c) >= 0x80; }
char At(std::string_view text, std::size_t i) noexcept { return i < text.size() ? text[i] : '\0'; }
bool HasDigit(std::string_view text) noexcept { return std::any_of(text.begin(), text.end(), IsDigit); }

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) noexcept {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(), [](char a, char b) { return Lower(a) == b; });
}

std::size_t EndOfWord(std::string_view text, std::size_t at) noexcept {
  while (at < text.size() && IsWordChar(text[at])) ++at;
  return at;
}

// --- Runs ---

struct Issuer {
  std::string_view prefix;
  std::size_t size;  // at least, prefix included
};
constexpr Issuer kIssuers[] = {
    {"sk-", 20},   {"sk_live_", 20},    {"sk_test_", 20}, {"pk_live_", 20}, {"rk_live_", 20}, {"AIza", 35},
    {"AKIA", 20},  {"ASIA", 20},        {"ghp_", 36},     {"gho_", 36},     {"ghu_", 36},     {"ghs_", 36},
    {"ghr_", 36},  {"github_pat_", 40}, {"glpat-", 20},   {"xoxb-", 20},    {"xoxp-", 20},    {"xoxa-", 20},
    {"xoxr-", 20}, {"xoxs-", 20},       {"xapp-", 20},    {"hf_", 30},      {"npm_", 36},     {"gsk_", 30},
    {"r8_", 30},   {"pplx-", 30},       {"GOCSPX-", 30},  {"dop_v1_", 40},  {"shpat_", 30},
};

constexpr std::array<bool, 128> FirstsOfIssuers() {
  std::array<bool, 128> firsts{};
  for (const Issuer& issuer : kIssuers) firsts[static_cast<std::size_t>(issuer.prefix[0])] = true;
  return firsts;
}
constexpr std::array<bool, 128> kFirstsOfIssuers = FirstsOfIssuers();

// Made by chance, not words: digits, or small and capital letters alone (all keys of Hugging Face, some of others).
bool IsRandom(std::string_view text) noexcept {
  bool small = false, capital = false, joined = false;
  for (const char c : text) {
    if (IsDigit(c)) return true;
    joined |= c == '-' || c == '_';
    small |= c >= 'a' && c <= 'z';
    capital |= c >= 'A' && c <= 'Z';
  }
  return small && capital && !joined;
}

Match FindApiKey(std::string_view text, std::size_t begin, std::size_t end) noexcept {
  while (begin < end && (text[begin] == '-' || text[begin] == '_')) ++begin;
  if (begin == end || !kFirstsOfIssuers[static_cast<std::size_t>(text[begin])]) return {};
  const std::string_view run = text.substr(begin, end - begin);
  for (const Issuer& issuer : kIssuers) {
    if (run.size() < issuer.size || !run.starts_with(issuer.prefix)) continue;
    if (IsRandom(run.substr(issuer.prefix.size()))) return {begin, end, Redacted::kApiKey};
  }
  return {};
}

Match FindPrivateKey(std::string_view text, std::size_t begin, std::size_t end) noexcept {
  if (text.substr(begin, end - begin) != "-----BEGIN") return {};
  const std::string_view rest = text.substr(end);
  if (rest.substr(0, 40).find("PRIVATE KEY-----") == std::string_view::npos) return {};
  constexpr std::string_view kEnd = "PRIVATE KEY-----";
  const std::size_t close = rest.find(kEnd, std::min(rest.find("-----END"), rest.size()));
  return {begin, close == std::string_view::npos ? text.size() : end + close + kEnd.size(), Redacted::kApiKey};
}

// header.payload.signature; the first two are JSON objects.
Match FindJwt(std::string_view text, std::size_t begin, std::size_t end) noexcept {
  if (!text.substr(begin).starts_with("eyJ") || At(text, end) != '.' || !text.substr(end + 1).starts_with("eyJ"))
    return {};
  const std::size_t second = EndOfWord(text, end + 1);
  if (At(text, second) != '.') return {};
  return {begin, EndOfWord(text, second + 1), Redacted::kToken};
}

// A user id in base64, a time, a checksum.
Match FindDiscordToken(std::string_view text, std::size_t begin, std::size_t end) noexcept {
  if (text[begin] < 'M' || text[begin] > 'O' || end - begin > 30 || At(text, end) != '.') return {};
  const std::size_t second = EndOfWord(text, end + 1);
  if (second - end - 1 < 6 || second - end - 1 > 7 || At(text, second) != '.') return {};
  const std::size_t third = EndOfWord(text, second + 1);
  if (third - second - 1 < 25) return {};
  return {begin, third, Redacted::kToken};
}

// The last part of a path that lets anybody post: Discord's and Slack's webhooks.
Match FindWebhook(std::string_view text, std::size_t begin, std::size_t end) noexcept {
  if (begin == 0 || text[begin - 1] != '/') return {};
  const std::string_view before =
      text.substr(begin - std::min<std::size_t>(begin, 64), std::min<std::size_t>(begin, 64));
  const bool discord = end - begin >= 50 && before.find("/webhooks/") != std::string_view::npos;
  const bool slack = before.find("hooks.slack.com/services/") != std::string_view::npos;
  if (!discord && !slack) return {};
  return {begin, end, Redacted::kToken};
}

Match FindDashedPhone(std::string_view text, std::size_t begin, std::size_t end) noexcept {
  std::string_view run = text.substr(begin, end - begin);
  if (run.starts_with("1-")) run.remove_prefix(2);
  if (run.size() != 12 || run[3] != '-' || run[7] != '-') return {};
  for (std::size_t i = 0; i < run.size(); ++i) {
    if (i != 3 && i != 7 && !IsDigit(run[i])) return {};
  }
  return {begin, end, Redacted::kPhone};
}

int Base64Digit(char c) noexcept {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

// Base64 of printable text with a colon.
bool IsBasicCredentials(std::string_view text) noexcept {
  std::uint32_t bits = 0;
  int count = 0;
  bool colon = false;
  for (const char c : text.substr(0, text.find('='))) {
    const int digit = Base64Digit(c);
    if (digit < 0) return false;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    const auto byte = static_cast<unsigned char>(bits >> count & 0xff);
    if (byte < 0x20 || byte == 0x7f) return false;
    colon |= byte == ':';
  }
  return colon;
}

// text[.., end) is "Bearer" or "Basic"; what follows is replaced.
Match FindAuthorization(std::string_view text, std::size_t begin, std::size_t end) noexcept {
  const std::string_view scheme = text.substr(begin, end - begin);
  const bool bearer = EqualsIgnoringCase(scheme, "bearer");
  if (At(text, end) != ' ' || (!bearer && !EqualsIgnoringCase(scheme, "basic"))) return {};
  std::size_t value = end;
  while (At(text, value) == ' ' && value < end + 4) ++value;
  std::size_t stop = value;
  while (stop < text.size() &&
         (IsWordChar(text[stop]) || std::string_view("._~+/=").find(text[stop]) != std::string_view::npos))
    ++stop;
  const std::string_view token = text.substr(value, stop - value);
  if (token.size() < 8 || !(bearer ? HasDigit(token) : IsBasicCredentials(token))) return {};
  return {value, stop, bearer ? Redacted::kToken : Redacted::kCredentials};
}

// --- Around a character ---

// <@123>, <@!123>, <@&123>
Match FindMention(std::string_view text, std::size_t at) noexcept {
  if (at == 0 || text[at - 1] != '<') return {};
  std::size_t i = at + 1;
  if (At(text, i) == '!' || At(text, i) == '&') ++i;
  const std::size_t digits = i;
  while (IsDigit(At(text, i)) && i - digits < 24) ++i;
  if (i - digits < 5 || At(text, i) != '>') return {};
  return {at - 1, i + 1, Redacted::kMention};
}

// scheme://user:password@host
Match FindUserInfo(std::string_view text, std::size_t at) noexcept {
  std::size_t begin = at;
  const std::size_t lowest = at - std::min(at, kMaxUserInfo);
  while (begin > lowest && text[begin - 1] != '/' && text[begin - 1] != '"' &&
         static_cast<unsigned char>(text[begin - 1]) > ' ')
    --begin;
  if (begin == at || begin < 3 || text.substr(begin - 3, 3) != "://") return {};
  if (text.substr(begin, at - begin).find("[redacted:") != std::string_view::npos) return {};
  return {begin, at, Redacted::kCredentials};
}

bool IsLocalChar(char c) noexcept {
  return IsWordChar(c) || IsHigh(c) || c == '.' || c == '%' || c == '+' || c == '\'';
}
bool IsDomainChar(char c) noexcept { return IsAlpha(c) || IsDigit(c) || IsHigh(c) || c == '-' || c == '.'; }

// Ends with a label that begins with two letters, as top-level domains do; versions ("pkg@1.2.3") do not.
std::size_t EndOfDomain(std::string_view text, std::size_t begin) noexcept {
  std::size_t end = begin;
  while (end < text.size() && end - begin < kMaxDomain && IsDomainChar(text[end])) ++end;
  while (end > begin) {
    const std::size_t dot = text.substr(begin, end - begin).rfind('.');
    if (dot == std::string_view::npos || dot == 0) return begin;
    const std::string_view label = text.substr(begin + dot + 1, end - begin - dot - 1);
    if (label.size() >= 2 && (IsAlpha(label[0]) || IsHigh(label[0])) && (IsAlpha(label[1]) || IsHigh(label[1])))
      return end;
    end = begin + dot;
  }
  return begin;
}

// text[at, at + width) is "@" or "%40".
Match FindEmail(std::string_view text, std::size_t at, std::size_t width, std::size_t floor) noexcept {
  std::size_t begin = at;
  while (begin > floor && at - begin < kMaxLocalPart && IsLocalChar(text[begin - 1])) --begin;
  while (begin < at && (text[begin] == '.' || text[begin] == '\'' || text[begin] == '-')) ++begin;
  const std::size_t end = EndOfDomain(text, at + width);
  if (begin == at || end == at + width) return {};
  return {begin, end, Redacted::kEmail};
}

// +49 (30) 1234-5678: 8 to 15 digits, single separators between.
Match FindInternationalPhone(std::string_view text, std::size_t at, std::size_t floor) noexcept {
  if (at > floor && (IsWordChar(text[at - 1]) || text[at - 1] == '.')) return {};
  int digits = 0, separators = 0;
  std::size_t end = at + 1;
  for (std::size_t i = at + 1; i < text.size() && digits <= 15; ++i) {
    if (IsDigit(text[i])) {
      ++digits;
      separators = 0;
      end = i + 1;
    } else if (std::string_view(" .-()").find(text[i]) == std::string_view::npos || ++separators > 2 || digits == 0) {
      break;
    }
  }
  if (digits < 8 || digits > 15 || IsAlpha(At(text, end))) return {};
  return {at, end, Redacted::kPhone};
}

bool AreDigits(std::string_view text, std::size_t at, std::size_t count) noexcept {
  if (at + count > text.size()) return false;
  return std::all_of(text.begin() + static_cast<std::ptrdiff_t>(at),
                     text.begin() + static_cast<std::ptrdiff_t>(at + count), IsDigit);
}

// (555) 123-4567
Match FindBracketedPhone(std::string_view text, std::size_t at) noexcept {
  if (!AreDigits(text, at + 1, 3) || At(text, at + 4) != ')') return {};
  std::size_t i = at + 5;
  if (At(text, i) == ' ') ++i;
  if (!AreDigits(text, i, 3) || (At(text, i + 3) != '-' && At(text, i + 3) != '.' && At(text, i + 3) != ' ')) return {};
  if (!AreDigits(text, i + 4, 4) || IsWordChar(At(text, i + 8))) return {};
  return {at, i + 8, Redacted::kPhone};
}

// 555.123.4567, seen from its first dot
Match FindDottedPhone(std::string_view text, std::size_t at, std::size_t floor) noexcept {
  if (at < floor + 3 || !IsDigit(text[at - 1]) || !AreDigits(text, at - 3, 3) || !AreDigits(text, at + 1, 3)) return {};
  if (At(text, at + 4) != '.' || !AreDigits(text, at + 5, 4)) return {};
  const char before = at > floor + 3 ? text[at - 4] : ' ', after = At(text, at + 9);
  if (IsWordChar(before) || before == '.' || IsWordChar(after) || (after == '.' && IsDigit(At(text, at + 10))))
    return {};
  return {at - 3, at + 9, Redacted::kPhone};
}

}  // namespace

Match FindInRun(std::string_view text, std::size_t begin, std::size_t end) noexcept {
  const std::size_t size = end - begin;
  if (size <= 6) return FindAuthorization(text, begin, end);
  if (size == 10) return FindPrivateKey(text, begin, end);
  if (size < 12) return {};
  if (size <= 14 && IsDigit(text[begin])) return FindDashedPhone(text, begin, end);
  if (size < 18) return {};
  for (const auto find : {FindApiKey, FindJwt, FindDiscordToken, FindWebhook}) {
    if (const Match match = find(text, begin, end); match.end != 0) return match;
  }
  return {};
}

Match FindAround(std::string_view text, std::size_t at, std::size_t floor) noexcept {
  switch (text[at]) {
    case '@': {
      if (const Match match = FindMention(text, at); match.end != 0) return match;
      if (const Match match = FindUserInfo(text, at); match.end != 0 && match.begin >= floor) return match;
      return FindEmail(text, at, 1, floor);
    }
    case '%':
      return text.substr(at, 3) == "%40" ? FindEmail(text, at, 3, floor) : Match{};
    case '+':
      return FindInternationalPhone(text, at, floor);
    case '(':
      return FindBracketedPhone(text, at);
    case '.':
      return FindDottedPhone(text, at, floor);
    default:
      return FindAssigned(text, at, floor);
  }
}

}  // namespace spanwatch::redact
