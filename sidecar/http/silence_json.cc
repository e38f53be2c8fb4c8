#include "sidecar/http/silence_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sidecar/http/params.h"
#include "sidecar/http/text.h"

namespace spanwatch::http {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxDepth = 8;
constexpr const char* kTime = "must be a time as in \"2026-05-01T10:00:00Z\"";
constexpr const char* kLength = "must be a length as in \"2h\" or \"1h30m\"";

// What is wrong; thrown nowhere, handed up.
struct Mistake {
  std::string text;  // empty: nothing
};

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

core::SilenceState StateAt(const core::Silence& silence, std::int64_t now_ns) {
  if (now_ns >= silence.ends_ns) return core::SilenceState::kExpired;
  return now_ns < silence.starts_ns ? core::SilenceState::kPending : core::SilenceState::kActive;
}

Json ToJson(const core::Silence& silence, std::int64_t now_ns) {
  Json matchers = Json::array();
  for (const core::Matcher& matcher : silence.matchers) {
    const bool is_regex = matcher.op == core::MatchOp::kRegex || matcher.op == core::MatchOp::kNotRegex;
    const bool is_equal = matcher.op == core::MatchOp::kEqual || matcher.op == core::MatchOp::kRegex;
    matchers.push_back(
        {{"name", matcher.name}, {"value", matcher.value}, {"isRegex", is_regex}, {"isEqual", is_equal}});
  }
  return {{"id", silence.id},
          {"status", {{"state", core::ToString(StateAt(silence, now_ns))}}},
          {"matchers", std::move(matchers)},
          {"startsAt", TimeText(silence.starts_ns)},
          {"endsAt", TimeText(silence.ends_ns)},
          {"updatedAt", TimeText(silence.updated_ns)},
          {"createdBy", silence.created_by},
          {"comment", silence.comment}};
}

// The parser needs no stack for it, but nobody sends such a thing in good faith.
bool TooDeep(std::string_view text) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
      continue;
    }
    in_string = c == '"';
    depth += c == '{' || c == '[' ? 1 : c == '}' || c == ']' ? -1 : 0;
    deepest = std::max(deepest, depth);
  }
  return deepest > kMaxDepth;
}

Mistake ReadText(const Json& json, const std::string& field, std::string* out) {
  if (!json.is_string()) return {field + ": must be a text"};
  *out = json.get<std::string>();
  return {};
}

Mistake ReadFlag(const Json& json, const std::string& field, bool* out) {
  if (!json.is_boolean()) return {field + ": must be true or false"};
  *out = json.get<bool>();
  return {};
}

Mistake ReadMatcher(const Json& json, const std::string& field, core::Matcher* matcher) {
  if (!json.is_object()) return {field + R"(: must be an object as in {"name":"service","value":"bot"})"};
  bool is_regex = false, is_equal = true, has_value = false;
  for (const auto& [key, value] : json.items()) {
    Mistake mistake;
    if (key == "name") {
      mistake = ReadText(value, field + ".name", &matcher->name);
    } else if (key == "value") {
      has_value = true;
      mistake = ReadText(value, field + ".value", &matcher->value);
    } else if (key == "isRegex") {
      mistake = ReadFlag(value, field + ".isRegex", &is_regex);
    } else if (key == "isEqual") {
      mistake = ReadFlag(value, field + ".isEqual", &is_equal);
    } else {
      mistake.text = field + "." + key + ": unknown; allowed: name, value, isRegex, isEqual";
    }
    if (!mistake.text.empty()) return mistake;
  }
  if (!has_value) return {field + ".value: is missing"};
  matcher->op = is_regex ? (is_equal ? core::MatchOp::kRegex : core::MatchOp::kNotRegex)
                         : (is_equal ? core::MatchOp::kEqual : core::MatchOp::kNotEqual);
  return {};
}

Mistake ReadTime(const Json& json, const std::string& field, std::int64_t* out) {
  const bool good =
      json.is_string() && !json.get<std::string>().starts_with('-') && ParseTimeNs(json.get<std::string>(), 0, out);
  return {good ? "" : field + ": " + kTime};
}

// "1h30m": one after another; at most 100 years.
bool ParseLength(std::string_view text, std::int64_t* out) {
  constexpr std::int64_t kLongest = 36'500LL * 86'400 * 1'000'000'000;
  *out = 0;
  if (text.empty()) return false;
  while (!text.empty()) {
    std::size_t end = text.find_first_not_of("0123456789.");
    if (end == std::string_view::npos || end == 0) return false;
    end = std::min(text.find_first_of("0123456789.", end), text.size());
    const std::int64_t part = ParseDurationNs(text.substr(0, end));
    if (part < 0 || part > kLongest - *out) return false;
    *out += part;
    text.remove_prefix(end);
  }
  return *out > 0;
}

// All that a silence may have, as it is written.
struct Reading {
  core::Silence silence;
  bool has_start = false, has_end = false;
  std::int64_t length_ns = 0;  // 0: not given
};

Mistake ReadField(const std::string& key, const Json& value, Reading* reading) {
  core::Silence* silence = &reading->silence;
  if (key == "id") return value.is_null() ? Mistake{} : ReadText(value, key, &silence->id);
  if (key == "createdBy") return ReadText(value, key, &silence->created_by);
  if (key == "comment") return ReadText(value, key, &silence->comment);
  if (key == "status" || key == "updatedAt") return {};  // of one that was read and is sent back
  if (key == "startsAt") {
    reading->has_start = true;
    return ReadTime(value, key, &silence->starts_ns);
  }
  if (key == "endsAt") {
    reading->has_end = true;
    return ReadTime(value, key, &silence->ends_ns);
  }
  if (key == "duration") {
    const bool good = value.is_string() && ParseLength(value.get<std::string>(), &reading->length_ns);
    return {good ? "" : key + ": " + kLength};
  }
  if (key != "matchers") {
    return {key + ": unknown; allowed: matchers, startsAt, endsAt, duration, createdBy, comment, id"};
  }
  if (!value.is_array()) return {"matchers: must be a list"};
  if (value.size() > core::kMaxMatchers) return {"matchers: more than " + std::to_string(core::kMaxMatchers)};
  for (std::size_t i = 0; i < value.size(); ++i) {
    core::Matcher matcher;
    Mistake mistake = ReadMatcher(value[i], "matchers[" + std::to_string(i) + "]", &matcher);
    if (!mistake.text.empty()) return mistake;
    silence->matchers.push_back(std::move(matcher));
  }
  return {};
}

}  // namespace

std::string SilenceJson(const core::Silence& silence, std::int64_t now_ns) { return Dump(ToJson(silence, now_ns)); }

std::string SilencesJson(const std::vector<core::Silence>& silences, std::string_view state, std::int64_t now_ns) {
  Json list = Json::array();
  for (const core::Silence& silence : silences) {
    if (state.empty() || core::ToString(StateAt(silence, now_ns)) == state) list.push_back(ToJson(silence, now_ns));
  }
  return Dump({{"silences", std::move(list)}});
}

tl::expected<core::Silence, std::string> ParseSilence(std::string_view body, std::int64_t now_ns) {
  const Json json = TooDeep(body) ? Json(Json::value_t::discarded) : Json::parse(body, nullptr, false);
  if (!json.is_object()) return tl::make_unexpected(std::string("the body must be a JSON object"));
  Reading reading;
  for (const auto& [key, value] : json.items()) {
    const Mistake mistake = ReadField(key, value, &reading);
    if (!mistake.text.empty()) return tl::make_unexpected(mistake.text);
  }
  core::Silence& silence = reading.silence;
  if (!reading.has_start) silence.starts_ns = now_ns;
  if (reading.has_end == (reading.length_ns > 0)) {
    return tl::make_unexpected(std::string(reading.has_end
                                               ? "duration: give either endsAt or duration"
                                               : "endsAt: is missing; give it, or a duration as in \"2h\""));
  }
  if (!reading.has_end) silence.ends_ns = std::max(silence.starts_ns, now_ns) + reading.length_ns;
  return std::move(silence);
}

}  // namespace spanwatch::http
