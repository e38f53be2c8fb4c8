#include "sdk/cpp/src/redactor.h"

#include <algorithm>
#include <cstring>

#include "sdk/cpp/redact/siphash.h"
#include "sdk/cpp/src/user_hash.h"

namespace spanwatch::internal {
namespace {

using redact::EndsWithWord;
using redact::IsHarmlessKey;
using redact::JudgeKey;
using redact::LowerChar;
using redact::RedactedMark;
using redact::RedactText;

constexpr std::string_view kRules = "spanwatch redaction 1";  // another number when the built-in rules change
constexpr std::size_t kMaxGaugeText = 128;
constexpr std::size_t kMaxCutWord = 512;

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), LowerChar);
  return lower;
}

std::vector<std::string> Normalized(const std::vector<std::string>& keys, bool joints) {
  std::vector<std::string> out;
  for (const std::string& key : keys) {
    std::string lower = Lower(key);
    if (!joints)
      lower.erase(std::remove_if(lower.begin(), lower.end(), [](char c) { return c == '-' || c == '_'; }), lower.end());
    if (!lower.empty()) out.push_back(lower);
  }
  std::sort(out.begin(), out.end());
  return out;
}

// Two processes with the same policy have the same hash; 0 is no policy.
std::uint64_t Hash(RedactionMode mode, bool keep_content, const std::vector<std::string>& allow,
                   const std::vector<std::string>& deny) {
  std::string all(kRules);
  all += mode == RedactionMode::kStrict ? " strict" : " default";
  if (keep_content) all += " content";
  for (const std::string& key : allow) all += "\nallow " + key;
  for (const std::string& key : deny) all += "\ndeny " + key;
  return redact::SipHash({}, all).lo | 1;
}

// Where the last word of a text that was cut begins, if that may be the beginning of a secret, too short now to be
// known as one. All of them have a digit, an '@' or a ':'. Else the text's end.
std::size_t BeginOfCutWord(std::string_view text) noexcept {
  constexpr std::string_view kBetween = " \n\t\"',;&?/<>()";
  std::size_t begin = text.size();
  bool suspicious = false;
  while (begin > 0 && text.size() - begin < kMaxCutWord && kBetween.find(text[begin - 1]) == std::string_view::npos) {
    --begin;
    suspicious = suspicious || text[begin] == '@' || text[begin] == ':' || (text[begin] >= '0' && text[begin] <= '9');
  }
  return suspicious ? CutUtf8(text.data(), text.size(), begin) : text.size();
}

}  // namespace

const char* RedactionModeName(RedactionMode mode) noexcept {
  if (mode == RedactionMode::kOff) return "off";
  return mode == RedactionMode::kStrict ? "strict" : "default";
}

Redactor::Redactor(const Redaction& policy)
    : on_(policy.mode != RedactionMode::kOff),
      strict_(policy.mode == RedactionMode::kStrict),
      keep_content_(policy.keep_content),
      allow_(Normalized(policy.allow_keys, true)),
      deny_(Normalized(policy.deny_keys, false)) {
  if (!on_) return;
  log_verdict_ = Judge("log.message");
  message_verdict_ = Judge("exception.message");
  policy_hash_ = Hash(policy.mode, keep_content_, allow_, deny_);
}

Redactor::JudgedKey Redactor::Key(std::string_view key) noexcept {
  if (!on_) return {key, KeyVerdict::kKeep};
  if (IsConstant(key.data()) && !IsCut(key, kMaxNameBytes)) {
    const Entry& entry = Judged(key);
    return {entry.clean ? key : Search(key, kMaxNameBytes, &key_), entry.verdict};
  }
  if (key.empty() || key.size() > sizeof(CopiedKey::text)) return {Search(key, kMaxNameBytes, &key_), Judge(key)};
  const CopiedKey& copied = JudgedCopy(key);
  return {copied.clean ? key : Search(key, kMaxNameBytes, &key_), copied.verdict};
}

const Redactor::CopiedKey& Redactor::JudgedCopy(std::string_view key) noexcept {
  // The first and the last bytes tell keys apart well enough for a table that compares.
  std::uint64_t first = 0, last = 0;
  const std::size_t bytes = key.size() < 8 ? key.size() : 8;
  std::memcpy(&first, key.data(), bytes);
  std::memcpy(&last, key.data() + key.size() - bytes, bytes);
  const std::uint64_t hash = (first ^ (last << 23 | last >> 41) ^ key.size()) * 0x9E3779B97F4A7C15u;
  CopiedKey& entry = copied_[hash >> (64 - kCopiedBits)];
  if (entry.size == key.size() && std::memcmp(entry.text, key.data(), key.size()) == 0) return entry;
  entry.size = static_cast<std::uint8_t>(key.size());
  entry.verdict = Judge(key);
  entry.clean = RedactText(key, kMaxNameBytes, &key_) == 0;
  std::memcpy(entry.text, key.data(), key.size());
  return entry;
}

void Redactor::Redact(std::vector<Gauge>* gauges) {
  if (!on_) return;
  // Gauges with longer texts were refused, none is cut before.
  const auto replace = [this](std::string* text) {
    const std::uint32_t found = RedactText(*text, kMaxGaugeText, &text_);
    if (found > 0) *text = text_.view();
    marks_ += found;
  };
  for (Gauge& gauge : *gauges) {
    replace(&gauge.name);
    for (auto& [name, value] : gauge.labels) {
      const KeyVerdict verdict = Judge(name);
      if (verdict == KeyVerdict::kKeep)
        replace(&value);
      else
        value = Hidden(verdict, value);
      replace(&name);
    }
  }
}

void Redactor::Fill(std::string_view constant, Entry* entry) noexcept {
  entry->text = constant.data();
  entry->size = static_cast<std::uint32_t>(constant.size());
  entry->verdict = Judge(constant);
  entry->clean = RedactText(constant, kMaxTextBytes, &text_) == 0;
}

KeyVerdict Redactor::Judge(std::string_view key) const noexcept {
  // How a key ends decides: of one that was cut, nobody knows.
  if (IsCut(key, kMaxNameBytes)) return KeyVerdict::kSecret;
  for (const std::string& word : deny_) {
    if (EndsWithWord(key, word)) return KeyVerdict::kSecret;
  }
  if (!allow_.empty() && IsAllowed(key)) return KeyVerdict::kKeep;
  const KeyVerdict verdict = JudgeKey(key);
  if (verdict == KeyVerdict::kContent) return keep_content_ ? KeyVerdict::kKeep : verdict;
  if (verdict == KeyVerdict::kKeep && strict_ && !IsHarmlessKey(key)) return KeyVerdict::kUnlisted;
  return verdict;
}

bool Redactor::IsAllowed(std::string_view key) const noexcept {
  const auto same = [](char a, char b) { return LowerChar(a) == b; };
  return std::any_of(allow_.begin(), allow_.end(), [&](std::string_view allowed) {
    const bool family = allowed.back() == '*';
    if (family) allowed.remove_suffix(1);
    return (family ? key.size() >= allowed.size() : key.size() == allowed.size()) &&
           std::equal(allowed.begin(), allowed.end(), key.begin(), [&](char b, char a) { return same(a, b); });
  });
}

std::string_view Redactor::Hidden(KeyVerdict verdict, std::string_view text) noexcept {
  if (verdict == KeyVerdict::kUnlisted && (text.empty() || IsUserHash(text))) return text;
  ++marks_;
  if (verdict == KeyVerdict::kUnlisted) return RedactedMark(Redacted::kStrict);
  return RedactedMark(verdict == KeyVerdict::kSecret ? Redacted::kKey : Redacted::kContent);
}

std::string_view Redactor::Search(std::string_view text, std::size_t limit, TextBuffer* buffer) noexcept {
  const std::string_view whole = text.substr(0, IsCut(text, limit) ? BeginOfCutWord(text) : text.size());
  const std::uint32_t found = RedactText(whole, limit, buffer);
  marks_ += found;
  if (whole.size() == text.size()) return found == 0 ? text : buffer->view();
  if (found == 0) {
    buffer->Clear(limit);
    buffer->Append(whole);
  }
  buffer->AppendMark(Redacted::kCut);
  ++marks_;
  return buffer->view();
}

}  // namespace spanwatch::internal
