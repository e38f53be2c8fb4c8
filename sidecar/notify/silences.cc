#include "sidecar/notify/silences.h"

#include <algorithm>
#include <random>
#include <utility>

#include "sidecar/core/codec.h"
#include "sidecar/core/utf8.h"
#include "sidecar/notify/routing.h"
#include "spanwatch/ids.h"

namespace spanwatch::notify {
namespace {

using core::Matcher;
using core::Silence;
using core::SilenceState;

constexpr std::uint64_t kVersion = 1;
constexpr std::size_t kMaxName = 128, kMaxValue = 1024, kMaxAuthor = 128, kMaxComment = 1024;
constexpr std::size_t kMaxPatterns = 4000;                         // of all that are kept
constexpr std::int64_t kLatest = 7'258'118'400 * 1'000'000'000LL;  // the year 2200
constexpr std::int64_t kEarliest = 946'684'800 * 1'000'000'000LL;  // 2000

bool IsPattern(const Matcher& matcher) {
  return matcher.op == core::MatchOp::kRegex || matcher.op == core::MatchOp::kNotRegex;
}

bool HasControls(std::string_view text, bool allow_lines) {
  return std::any_of(text.begin(), text.end(), [&](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && !(allow_lines && (c == '\n' || c == '\t'))) || c == 0x7f;
  });
}

std::string TextProblem(const char* field, const std::string& text, std::size_t limit, bool allow_lines) {
  const std::string name = field;
  if (text.find_first_not_of(" \t\n") == std::string::npos) return name + ": is missing; say who, and why";
  if (text.size() > limit) return name + ": longer than " + std::to_string(limit) + " bytes";
  if (!core::IsUtf8(text) || HasControls(text, allow_lines))
    return name + ": allowed: UTF-8 without control characters";
  return "";
}

std::string NewId() {
  std::random_device random;
  const auto word = [&] { return std::uint64_t{random()} << 32 | random(); };
  return TraceId{word(), word() | 1}.ToHex();
}

bool SameMatchers(const std::vector<Matcher>& a, const std::vector<Matcher>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Matcher& one, const Matcher& other) {
    return one.name == other.name && one.op == other.op && one.value == other.value;
  });
}

}  // namespace

const Silence* SilenceBook::Find(const std::string& id) const {
  const auto it = silences_.find(id);
  return it == silences_.end() ? nullptr : &it->second;
}

std::string SilenceBook::Compile(Matcher* matcher) const {
  matcher->pattern = nullptr;
  if (!IsPattern(*matcher)) return "";
  if (compile_ == nullptr) return "patterns are not supported here";
  auto pattern = compile_(matcher->value);
  if (!pattern) return pattern.error();
  matcher->pattern = std::move(*pattern);
  return "";
}

std::string SilenceBook::Problem(Silence* silence, std::int64_t wall_ns) const {
  if (silence->matchers.empty()) return "matchers: give at least one, as in {\"name\":\"service\",\"value\":\"bot\"}";
  if (silence->matchers.size() > core::kMaxMatchers) {
    return "matchers: more than " + std::to_string(core::kMaxMatchers);
  }
  bool narrow = false;
  for (std::size_t i = 0; i < silence->matchers.size(); ++i) {
    Matcher& matcher = silence->matchers[i];
    const std::string field = "matchers[" + std::to_string(i) + "].";
    if (matcher.name.empty()) return field + "name: is missing; give the name of a label, as in service";
    if (matcher.name.size() > kMaxName || !core::IsUtf8(matcher.name) || HasControls(matcher.name, false)) {
      return field + "name: is not the name of a label";
    }
    if (matcher.value.size() > kMaxValue) return field + "value: longer than " + std::to_string(kMaxValue) + " bytes";
    if (!core::IsUtf8(matcher.value)) return field + "value: is not UTF-8";
    if (const std::string problem = Compile(&matcher); !problem.empty()) return field + "value: " + problem;
    narrow = narrow || !matcher.Matches("");
  }
  if (!narrow) return "matchers: they match everything; at least one must not match an empty value";
  if (silence->starts_ns < kEarliest || silence->starts_ns > kLatest) return "startsAt: out of range";
  if (silence->ends_ns > kLatest) return "endsAt: out of range";
  if (silence->ends_ns <= silence->starts_ns) return "endsAt: must be after startsAt";
  if (silence->ends_ns <= wall_ns) return "endsAt: is in the past";
  std::string problem = TextProblem("createdBy", silence->created_by, kMaxAuthor, false);
  if (problem.empty()) problem = TextProblem("comment", silence->comment, kMaxComment, true);
  return problem;
}

std::size_t SilenceBook::CountPatterns() const {
  std::size_t patterns = 0;
  for (const auto& [id, silence] : silences_) {
    patterns += static_cast<std::size_t>(std::count_if(silence.matchers.begin(), silence.matchers.end(), IsPattern));
  }
  return patterns;
}

std::string SilenceBook::MakeRoom(std::int64_t wall_ns, Changed* changed) {
  if (silences_.size() < core::kMaxSilences) return "";
  auto oldest = silences_.end();
  for (auto it = silences_.begin(); it != silences_.end(); ++it) {
    if (StateOf(it->second, wall_ns) != SilenceState::kExpired) continue;
    if (oldest == silences_.end() || it->second.ends_ns < oldest->second.ends_ns) oldest = it;
  }
  if (oldest == silences_.end()) {
    return "there are " + std::to_string(core::kMaxSilences) + " silences that are not over; expire some first";
  }
  changed->removed.push_back(oldest->first);
  silences_.erase(oldest);
  return "";
}

tl::expected<SilenceBook::Changed, std::string> SilenceBook::Set(Silence silence, std::int64_t wall_ns) {
  Changed changed;
  changed.removed = Purge(wall_ns);
  const Silence* old = nullptr;
  if (!silence.id.empty()) {
    old = Find(silence.id);
    if (old == nullptr) return tl::make_unexpected("id: there is no silence " + silence.id);
    if (StateOf(*old, wall_ns) == SilenceState::kExpired) old = nullptr;
  }
  const bool active = old != nullptr && StateOf(*old, wall_ns) == SilenceState::kActive;
  const bool in_place =
      old != nullptr && (!active || (silence.starts_ns <= wall_ns && SameMatchers(silence.matchers, old->matchers)));
  silence.starts_ns = active && in_place ? old->starts_ns : std::max(silence.starts_ns, wall_ns);
  if (const std::string problem = Problem(&silence, wall_ns); !problem.empty()) return tl::make_unexpected(problem);
  if (CountPatterns() > kMaxPatterns) {
    return tl::make_unexpected("matchers: the silences of the last five days have more than " +
                               std::to_string(kMaxPatterns) + " patterns; use isRegex: false");
  }
  silence.updated_ns = wall_ns;
  if (!in_place) {
    if (old != nullptr) {
      // A copy: expiring changes what `old` points to.
      const std::string id = old->id;
      Expire(id, wall_ns, &changed);
    }
    if (const std::string problem = MakeRoom(wall_ns, &changed); !problem.empty()) return tl::make_unexpected(problem);
    silence.id = NewId();
  }
  changed.id = silence.id;
  changed.written.push_back(silence.id);
  silences_[changed.id] = std::move(silence);
  return changed;
}

bool SilenceBook::Expire(const std::string& id, std::int64_t wall_ns, Changed* changed) {
  const auto it = silences_.find(id);
  if (it == silences_.end()) return false;
  changed->id = id;
  Silence& silence = it->second;
  if (StateOf(silence, wall_ns) == SilenceState::kExpired) return true;
  silence.starts_ns = std::min(silence.starts_ns, wall_ns);
  silence.ends_ns = silence.updated_ns = wall_ns;
  changed->written.push_back(id);
  return true;
}

std::vector<std::string> SilenceBook::Purge(std::int64_t wall_ns) {
  std::vector<std::string> gone;
  for (auto it = silences_.begin(); it != silences_.end();) {
    const bool old = wall_ns - it->second.ends_ns >= kKeepSilencesNs;
    if (old) gone.push_back(it->first);
    it = old ? silences_.erase(it) : std::next(it);
  }
  return gone;
}

std::string SilenceBook::Encode(const Silence& silence) {
  std::string bytes;
  core::CodecWriter writer(&bytes);
  writer.U64(kVersion).Text(silence.id).I64(silence.starts_ns).I64(silence.ends_ns).I64(silence.updated_ns);
  writer.Text(silence.created_by).Text(silence.comment).U64(silence.matchers.size());
  for (const Matcher& matcher : silence.matchers) {
    writer.Text(matcher.name).U64(static_cast<std::uint64_t>(matcher.op)).Text(matcher.value);
  }
  return bytes;
}

bool SilenceBook::Add(std::string_view bytes) {
  core::CodecReader reader(bytes);
  Silence silence;
  if (reader.U64() != kVersion) return false;
  silence.id = reader.Text();
  silence.starts_ns = reader.I64();
  silence.ends_ns = reader.I64();
  silence.updated_ns = reader.I64();
  silence.created_by = reader.Text();
  silence.comment = reader.Text();
  const std::size_t count = reader.Count();
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    Matcher matcher;
    matcher.name = reader.Text();
    matcher.op = static_cast<core::MatchOp>(reader.Below(4));
    matcher.value = reader.Text();
    if (!reader.ok() || !Compile(&matcher).empty()) return false;
    silence.matchers.push_back(std::move(matcher));
  }
  // Without matchers it would silence everything.
  if (!reader.AtEnd() || silence.matchers.empty() || silences_.size() >= core::kMaxSilences) return false;
  std::string id = silence.id;
  silences_.insert_or_assign(std::move(id), std::move(silence));
  return true;
}

}  // namespace spanwatch::notify
