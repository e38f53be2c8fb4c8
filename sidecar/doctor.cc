#include "sidecar/doctor.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>

#include "sidecar/app.h"
#include "sidecar/client/http_client.h"

namespace spanwatch::app {
namespace {

using Json = nlohmann::json;

std::int64_t WallLessSteadyNs() {
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  const auto steady = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::nanoseconds(wall).count() - std::chrono::nanoseconds(steady).count();
}

std::string Text(const Json& json, const char* key) {
  const auto it = json.find(key);
  return it != json.end() && it->is_string() ? it->get<std::string>() : "";
}

bool Flag(const Json& json, const char* key, bool otherwise) {
  const auto it = json.find(key);
  return it != json.end() && it->is_boolean() ? it->get<bool>() : otherwise;
}

// False: not what a Spanwatch answers.
bool ReadStatus(const std::string& body, RunningSidecar* out) {
  const Json json = Json::parse(body, nullptr, false);
  if (!json.is_object() || Text(json, "version").empty() || !json.contains("endpoints")) return false;
  out->answers = true;
  out->version = Text(json, "version");
  out->config_file = Text(json, "configFile");
  out->started = Text(json, "started");
  out->ready = Flag(json, "ready", false);
  out->otlp_listen = Text(json, "otlpListen");
  out->state_dir = Text(json, "stateDir");
  for (const Json& endpoint : json["endpoints"]) {
    if (endpoint.is_string()) out->endpoints.push_back(endpoint.get<std::string>());
  }
  const Json reload = json.value("reload", Json::object());
  out->reload_successful = Flag(reload, "successful", true);
  out->reload_error = Text(reload, "error");
  const Json journal = json.value("journal", Json::object());
  out->journal_on = Flag(journal, "on", true);
  out->journal_problem = Text(journal, "problem");
  const Json outbox = json.value("outbox", Json::object());
  out->outbox_on = Flag(outbox, "on", true);
  out->outbox_writable = Flag(outbox, "writable", true);
  out->outbox_problem = Text(outbox, "problem");
  for (const Json& receiver : json.value("receivers", Json::array())) {
    if (!receiver.is_object()) continue;
    out->receivers.push_back({Text(receiver, "name"), Flag(receiver, "posting", false), Text(receiver, "lastError")});
  }
  return true;
}

std::string AddressText(const config::ListenAddress& address) {
  return ListenUrl(address, address.port).substr(std::strlen("http://"));
}

}  // namespace

void Doctor::CheckRules() {
  const std::size_t count = config_.rules->rules.size();
  const std::string text = std::to_string(count) + (count == 1 ? " rule" : " rules") + " without mistakes";
  if (count > 0) return Ok("rules", text);
  Warn("rules", "no rules: nothing ever alerts",
       "name rule files under `rules:`, or remove the key for the shipped ones");
}

bool Doctor::CanBind(const char* check, const config::ListenAddress& address, const char* key) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found) != 0) {
    Fail(check, AddressText(address) + ": no such address", std::string("correct ") + key);
    return false;
  }
  const int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int one = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  const int result = ::bind(fd, found->ai_addr, found->ai_addrlen) == 0 && ::listen(fd, 1) == 0 ? 0 : errno;
  ::close(fd);
  ::freeaddrinfo(found);
  if (result == 0) return true;
  const std::string advice =
      result == EADDRINUSE ? "stop the program that listens there (`ss -ltnp` names it), or set " + std::string(key)
                           : "set " + std::string(key) + " to an address and port that you may use";
  Fail(check, AddressText(address) + " cannot be taken: " + std::strerror(result), advice);
  return false;
}

void Doctor::CheckPort() {
  const std::string where = AddressText(config_.http);
  client::Options options;
  options.origin = ListenUrl(config_.http, config_.http.port);
  options.connect_timeout_ns = options.timeout_ns = 3'000'000'000;
  client::HttpClient http(options);
  const client::Response answer = http.Send({"GET", "/api/v1/status", {}, ""});
  if (answer.status == 200 && ReadStatus(answer.body, &sidecar_)) {
    const std::string text = where + ": Spanwatch " + sidecar_.version + " answers, up since " + sidecar_.started;
    if (!sidecar_.ready) return Warn("port", text + ", not ready yet", "it reads its journal; look again in a second");
    if (sidecar_.version == SPANWATCH_VERSION) return Ok("port", text);
    return Warn("port", text, "this command is version " SPANWATCH_VERSION "; restart the sidecar after an update");
  }
  if (answer.status != 0) {
    return Fail("port", where + " is taken by another program (it answers, but is no Spanwatch)",
                "stop it, or set http.listen to another port");
  }
  if (!CanBind("port", config_.http, "http.listen")) return;
  Warn("port", where + " is free: no sidecar runs", "start it: spanwatch serve");
}

void Doctor::CheckOtlpPort() {
  if (sidecar_.answers) {
    if (sidecar_.otlp_listen.empty()) return Ok("otlp", "OTLP is off: only programs with Spanwatch's SDK send spans");
    return Ok("otlp", sidecar_.otlp_listen + ": the sidecar takes OTLP");
  }
  if (!config_.otlp_enabled) return Ok("otlp", "off (otlp.listen is empty)");
  if (CanBind("otlp", config_.otlp, "otlp.listen")) Ok("otlp", AddressText(config_.otlp) + " is free");
}

void Doctor::CheckReload() {
  if (!sidecar_.answers) return;
  if (!sidecar_.reload_successful) {
    const std::string first = sidecar_.reload_error.substr(0, sidecar_.reload_error.find('\n'));
    return Fail("reload", "the sidecar refused the last reload and goes on with the former configuration: " + first,
                "correct it, then kill -HUP the sidecar; `spanwatch check` tells all mistakes");
  }
  if (sidecar_.config_file != config_.source_path) {
    const auto name = [](const std::string& path) { return path.empty() ? "the built-in defaults" : path; };
    return Warn("reload",
                "the sidecar runs with " + name(sidecar_.config_file) + ", this looks at " + name(config_.source_path),
                "name its file with --config");
  }
  Ok("reload", "the sidecar took the last configuration that it was given");
}

void Doctor::Examine(bool send_test) {
  const std::int64_t wall_less_steady_ns = WallLessSteadyNs();
  Ok("configuration",
     config_.source_path.empty() ? "built-in defaults, no configuration file found" : config_.source_path);
  CheckRules();
  CheckPort();
  CheckReload();
  CheckOtlpPort();
  CheckSocket();
  CheckDisk();
  CheckJournal();
  CheckSample();
  CheckScrape();
  CheckReceivers(send_test);
  CheckClock(WallLessSteadyNs() - wall_less_steady_ns);
}

}  // namespace spanwatch::app
