#include "sidecar/notify/discord_reply.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "sidecar/notify/discord_text.h"

namespace spanwatch::notify {
namespace {

constexpr double kMaxWaitSeconds = 86400;
constexpr std::int64_t kDefaultWaitNs = 5'000'000'000;
constexpr std::size_t kMaxErrorText = 500;

std::optional<std::int64_t> SecondsToNs(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return std::nullopt;
  return static_cast<std::int64_t>(std::ceil(std::min(seconds, kMaxWaitSeconds) * 1e9));
}

// A snowflake: digits alone, so that it can stand in a path.
std::string IdOf(const nlohmann::json& body, const char* key) {
  const auto it = body.find(key);
  if (it == body.end() || !it->is_string()) return "";
  const auto& text = it->get_ref<const std::string&>();
  if (text.empty() || text.size() > 20 || text.find_first_not_of("0123456789") != std::string::npos) return "";
  return text;
}

int CodeOf(const nlohmann::json& body) {
  const auto it = body.find("code");
  if (it == body.end() || !it->is_number_integer()) return 0;
  const auto code = it->get<std::int64_t>();
  return code > 0 && code < 1'000'000'000 ? static_cast<int>(code) : 0;
}

std::string Describe(const Reply& reply) {
  if (reply.status == 0) return CleanText(reply.transport_error, kMaxErrorText);
  return CleanText("Discord answered " + std::to_string(reply.status) + ": " + reply.body, kMaxErrorText);
}

std::int64_t RetryAfter(const nlohmann::json& body, const Reply& reply) {
  if (const auto it = body.find("retry_after"); it != body.end() && it->is_number()) {
    if (const auto ns = SecondsToNs(it->get<double>())) return *ns;
  }
  if (const auto ns = ParseSeconds(reply.retry_after)) return *ns;
  if (const auto ns = ParseSeconds(reply.reset_after)) return *ns;
  return kDefaultWaitNs;
}

bool IsGlobal(const nlohmann::json& body, const Reply& reply) {
  const auto it = body.find("global");
  return (it != body.end() && it->is_boolean() && it->get<bool>()) || reply.global == "true" || reply.scope == "global";
}

ReplyVerdict JudgeNotFound(Method method, int code) {
  constexpr int kUnknownMessageCode = 10008, kUnknownChannel = 10003, kUnknownWebhook = 10015;
  if (code == kUnknownMessageCode) return ReplyVerdict::kUnknownMessage;
  if (code == kUnknownChannel || code == kUnknownWebhook) return ReplyVerdict::kGiveUp;
  // Without a code a missing message and a missing webhook look the same; posting anew tells them apart.
  return method == Method::kPatch ? ReplyVerdict::kUnknownMessage : ReplyVerdict::kGiveUp;
}

ReplyVerdict JudgeError(Method method, int status, int code) {
  constexpr int kTooManyOldEdits = 30046, kForumFirst = 220001, kForumLast = 220004;
  constexpr int kThreadArchived = 50083, kThreadLocked = 160005;
  if (code == kTooManyOldEdits) return ReplyVerdict::kTooManyEdits;
  if ((code >= kForumFirst && code <= kForumLast) || code == kThreadArchived || code == kThreadLocked)
    return ReplyVerdict::kGiveUp;
  if (status == 401 || status == 403) return ReplyVerdict::kGiveUp;
  if (status == 404) return JudgeNotFound(method, code);
  if (status >= 400 && status < 500 && status != 408 && status != 425) return ReplyVerdict::kRefused;
  return ReplyVerdict::kRetry;
}

}  // namespace

const char* ToString(Method method) {
  constexpr const char* kNames[] = {"POST", "PATCH", "GET"};
  return kNames[static_cast<int>(method)];
}

std::optional<std::int64_t> ParseSeconds(const std::string& text) {
  if (text.empty()) return std::nullopt;
  char* end = nullptr;
  const double seconds = std::strtod(text.c_str(), &end);
  if (end != text.c_str() + text.size()) return std::nullopt;
  return SecondsToNs(seconds);
}

Outcome Judge(Method method, const Reply& reply) {
  nlohmann::json body = nlohmann::json::parse(reply.body, nullptr, false);
  if (!body.is_object()) body = nlohmann::json::object();
  Outcome outcome;
  if (reply.status >= 200 && reply.status < 300) {
    outcome.verdict = ReplyVerdict::kDelivered;
    outcome.message_id = IdOf(body, "id");
    outcome.channel_id = IdOf(body, "channel_id");
    outcome.guild_id = IdOf(body, "guild_id");
    return outcome;
  }
  outcome.text = Describe(reply);
  if (reply.status == 429 && CodeOf(body) != 30046) {
    outcome.verdict = ReplyVerdict::kRateLimited;
    outcome.retry_after_ns = RetryAfter(body, reply);
    outcome.global = IsGlobal(body, reply);
    return outcome;
  }
  outcome.verdict = reply.status == 0 ? ReplyVerdict::kRetry : JudgeError(method, reply.status, CodeOf(body));
  return outcome;
}

}  // namespace spanwatch::notify
