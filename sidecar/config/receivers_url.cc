// The receivers that are a URL of the user's, "webhook" and "alertmanager", and "watchdog". No message here quotes a
// URL or a credential.
#include <algorithm>
#include <cstdint>

#include "sidecar/config/address.h"
#include "sidecar/config/receivers.h"

namespace spanwatch::config {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::size_t kMaxCredential = 4096;

struct UrlKeys {
  SecretKey secret;
  const char* inline_example;
};
constexpr UrlKeys kWebhook = {{"url", "the URL", "ALERT_WEBHOOK_URL"}, "url: \"http://127.0.0.1:5001/alerts\""};
constexpr UrlKeys kAlertmanager = {{"url", "the URL", "ALERTMANAGER_URL"}, "url: \"http://127.0.0.1:9093\""};
constexpr SecretKey kPingUrl = {"url", "the URL", "WATCHDOG_PING_URL"};
constexpr SecretKey kBearerToken = {"bearer_token", "the token", "ALERTMANAGER_TOKEN"};
constexpr SecretKey kPassword = {"password", "the password", "ALERTMANAGER_PASSWORD"};

std::string Base64(const std::string& text) {
  constexpr const char* kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (i + k < text.size() ? static_cast<std::uint8_t>(text[i + k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k) out += i + k > text.size() ? '=' : kDigits[bits >> (18 - 6 * k) & 63];
  }
  return out;
}

bool IsCredential(const std::string& text) {
  return text.size() <= kMaxCredential &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

const char* const kNoPlain =
    "plain http to another machine, which anybody on the way can read and change; allowed: https, http to loopback, "
    "or http with insecure_http: true";

// The URL under "url", "url_env" or "url_file".
void ReadUrl(MapReader* reader, const std::string& path, const UrlKeys& keys, const SettingsOptions& options,
             core::Receiver* receiver, Problems* problems) {
  bool insecure = false;
  reader->Bool("insecure_http", &insecure);
  const Node* plain = reader->Find("url");
  const FoundSecret found = FindSecret(reader, path, keys.secret, options, problems);
  std::string text = found.text;
  Position at = found.at;
  std::string where = found.path + ": " + found.source + ": ";
  if (plain != nullptr && found.named) {
    return reader->Add(plain->at, "url", "beside url_env or url_file; give one of them");
  }
  if (plain == nullptr && !found.named) {
    return reader->Add(reader->node().at, "",
                       std::string("no URL; give ") + keys.inline_example + ", url_env: NAME or url_file: PATH");
  }
  if (plain != nullptr) {
    const std::string* given = ScalarText(*plain, path + ".url", "a URL", problems);
    if (given == nullptr) return;
    text = *given;
    at = plain->at;
    where = path + ".url: ";
    if (text.find('@') != std::string::npos || LooksSecret(text.substr(std::min(text.find("://"), text.size())))) {
      return problems->Add(at, where + "it seems to hold a password or a token (value not shown), and a secret does " +
                                   "not belong into this file; give url_env (the name of an environment variable) or " +
                                   "url_file (a path)");
    }
  }
  receiver->url_source = plain != nullptr ? text : found.source;
  if (text.empty() && plain == nullptr) return;
  const Parsed<TargetUrl> url = CheckTargetUrl(text);
  if (!url) {
    problems->Add(at, where + url.error());
  } else if (url->unencrypted && !insecure) {
    problems->Add(at, where + kNoPlain);
  } else if (receiver->kind == core::ReceiverKind::kAlertmanager && url->rest.find('?') != std::string::npos) {
    problems->Add(at, where + "a query; give Alertmanager's address alone, as in http://127.0.0.1:9093");
  } else {
    receiver->url = Secret(text);
  }
}

// A token or password; empty if it is not there or not to be looked up.
std::string Credential(const FoundSecret& found, const SettingsOptions& options, bool is_file, Problems* problems) {
  if (found.source.empty()) return "";
  if (found.text.empty()) {
    const bool looked = is_file ? options.read_secrets : options.use_environment;
    if (looked) problems->Add(found.at, found.path + ": " + found.source + " is empty or not set");
    return "";
  }
  if (IsCredential(found.text)) return found.text;
  problems->Add(found.at, found.path + ": " + found.source +
                              " holds no credential (not shown); allowed: printable ASCII without spaces, at most 4096 "
                              "characters");
  return "";
}

void ReadBasicAuth(const Node& node, const std::string& path, const SettingsOptions& options, core::Receiver* receiver,
                   Problems* problems) {
  MapReader reader(node, path, problems);
  if (node.kind != Node::Kind::kMap) return;
  std::string user;
  reader.String("username", &user);
  if (reader.Find("username") == nullptr) reader.Add(node.at, "", "username is missing");
  if (user.find(':') != std::string::npos || !IsCredential(user)) {
    reader.Add(reader.Find("username")->at, "username",
               "not a user name (not shown); allowed: printable ASCII without spaces and \":\"");
  }
  reader.Hint("password", "a secret does not belong into this file; " + OneSource(kPassword));
  const FoundSecret found = FindSecret(&reader, path, kPassword, options, problems);
  if (!found.named && node.Find("password") == nullptr) {
    reader.Add(node.at, "", "no password; " + OneSource(kPassword));
  }
  const std::string password = Credential(found, options, reader.Find("password_file") != nullptr, problems);
  if (!password.empty()) receiver->authorization = Secret("Basic " + Base64(user + ":" + password));
}

void ReadAuthorization(MapReader* reader, const std::string& path, const SettingsOptions& options,
                       core::Receiver* receiver, Problems* problems) {
  reader->Hint("bearer_token", "a secret does not belong into this file; " + OneSource(kBearerToken));
  const FoundSecret token = FindSecret(reader, path, kBearerToken, options, problems);
  const Node* basic = reader->Find("basic_auth");
  if (basic != nullptr && token.named) {
    return reader->Add(basic->at, "basic_auth", "beside a bearer token; give one of them");
  }
  if (basic != nullptr) return ReadBasicAuth(*basic, path + ".basic_auth", options, receiver, problems);
  const std::string text = Credential(token, options, reader->Find("bearer_token_file") != nullptr, problems);
  if (!text.empty()) receiver->authorization = Secret("Bearer " + text);
}

}  // namespace

void ReadWebhook(const Node& node, const std::string& path, const SettingsOptions& options, core::Receiver* receiver,
                 Problems* problems) {
  MapReader reader(node, path, problems);
  if (node.kind != Node::Kind::kMap && node.kind != Node::Kind::kNull) return;
  receiver->kind = core::ReceiverKind::kWebhook;
  ReadUrl(&reader, path, kWebhook, options, receiver, problems);
  ReadAuthorization(&reader, path, options, receiver, problems);
  std::size_t format = 0;
  reader.Choice("format", {"alertmanager", "json"}, &format);
  receiver->format = format == 0 ? core::WebhookFormat::kAlertmanager : core::WebhookFormat::kJson;
  reader.Bool("send_resolved", &receiver->send_resolved);
}

void ReadAlertmanager(const Node& node, const std::string& path, const SettingsOptions& options,
                      core::Receiver* receiver, Problems* problems) {
  MapReader reader(node, path, problems);
  if (node.kind != Node::Kind::kMap && node.kind != Node::Kind::kNull) return;
  receiver->kind = core::ReceiverKind::kAlertmanager;
  ReadUrl(&reader, path, kAlertmanager, options, receiver, problems);
  ReadAuthorization(&reader, path, options, receiver, problems);
  reader.Duration("resend_interval", &receiver->resend_interval_ns, kSecondNs, 3600 * kSecondNs);
  reader.Bool("send_resolved", &receiver->send_resolved);
}

void ReadWatchdog(const Node& node, const SettingsOptions& options, Config* config, Problems* problems) {
  MapReader reader(node, "watchdog", problems);
  if (node.kind != Node::Kind::kMap) return;
  Watchdog* const watchdog = &config->watchdog;
  reader.Duration("interval", &watchdog->interval_ns, kSecondNs, 86'400 * kSecondNs);
  reader.Hint("url", "whoever knows the URL can silence the watchdog, so it does not belong into this file; " +
                         OneSource(kPingUrl));
  bool insecure = false;
  reader.Bool("insecure_http", &insecure);
  const FoundSecret found = FindSecret(&reader, "watchdog", kPingUrl, options, problems);
  if (!found.named && node.Find("url") == nullptr) reader.Add(node.at, "", "no URL; " + OneSource(kPingUrl));
  watchdog->url_source = found.source;
  if (found.text.empty()) return;
  const Parsed<TargetUrl> url = CheckTargetUrl(found.text);
  if (!url) {
    problems->Add(found.at, found.path + ": " + found.source + ": " + url.error());
  } else if (url->unencrypted && !insecure) {
    problems->Add(found.at, found.path + ": " + found.source + ": " + kNoPlain);
  } else {
    watchdog->url = Secret(found.text);
  }
}

}  // namespace spanwatch::config
