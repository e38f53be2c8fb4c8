// The running sidecar: a sample span that goes the way of every span, and a scrape.
#include <chrono>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "sidecar/app.h"
#include "sidecar/client/http_client.h"
#include "sidecar/core/rule.h"
#include "sidecar/doctor.h"
#include "sidecar/ingest/envelope.h"
#include "sidecar/ingest/otlp_http.h"
#include "sidecar/ingest/socket.h"

namespace spanwatch::app {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

constexpr std::int64_t kAnswerMs = 3'000;
constexpr std::chrono::seconds kSeenWithin(5);
constexpr std::chrono::milliseconds kLookAgain(20);
constexpr const char* kService = "spanwatch-doctor";

std::string RandomHex(std::size_t digits) {
  std::random_device random;
  std::string text;
  while (text.size() < digits) text += "0123456789abcdef"[random() % 16];
  text[0] = '1';  // not all zeros
  return text;
}

std::int64_t WallNs() { return std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count(); }

std::string Since(Clock::time_point begin) {
  return core::FormatValue(static_cast<double>(std::chrono::nanoseconds(Clock::now() - begin).count()),
                           core::Unit::kNanoseconds);
}

// One span of a millisecond, as OTLP protobuf.
std::string SampleSpan(const std::string& trace_id) {
  const std::int64_t end_ns = WallNs();
  const Json span = {{"traceId", trace_id},
                     {"spanId", RandomHex(16)},
                     {"name", "doctor.sample"},
                     {"kind", 1},
                     {"startTimeUnixNano", std::to_string(end_ns - 1'000'000)},
                     {"endTimeUnixNano", std::to_string(end_ns)}};
  const Json resource = {
      {"attributes", Json::array({{{"key", "service.name"}, {"value", {{"stringValue", kService}}}}})}};
  const Json scope = {{"spans", Json::array({span})}};
  const Json resource_spans = {{"resource", resource}, {"scopeSpans", Json::array({scope})}};
  std::string record;
  ingest::OtlpHttp receiver({}, [&](std::string bytes) {
    record = std::move(bytes);
    return true;
  });
  receiver.Handle(
      {"POST", "/v1/traces", "application/json", "", Json({{"resourceSpans", Json::array({resource_spans})}}).dump()});
  return record;
}

// Waits for an answer of `kind`. Empty: it came; else what is wrong.
std::string Await(ingest::DealerSocket* socket, core::AnswerKind kind) {
  const auto deadline = Clock::now() + std::chrono::milliseconds(kAnswerMs);
  std::string bytes;
  while (Clock::now() < deadline) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (!socket->Receive(left, &bytes)) continue;
    ingest::DecodedAnswer answer;
    if (!ingest::DecodeAnswer(bytes, &answer)) return "its answer is not of this version of the protocol";
    if (answer.kind == core::AnswerKind::kRefused) return "it refused: " + answer.reason;
    if (answer.kind == kind) return "";
  }
  return "no answer within 3 s";
}

// Lines that are not of the text format; *samples: those that are.
std::size_t CountBadLines(const std::string& text, std::size_t* samples) {
  std::size_t bad = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = std::string_view(text).substr(at, end - at);
    at = end + 1;
    if (line.empty() || line[0] == '#') continue;
    const std::size_t space = line.rfind(' ');
    const bool starts = std::isalpha(static_cast<unsigned char>(line[0])) || line[0] == '_' || line[0] == ':';
    char* rest = nullptr;
    const std::string value(space == std::string_view::npos ? "" : line.substr(space + 1));
    std::strtod(value.c_str(), &rest);
    const bool good = starts && !value.empty() && rest != nullptr && *rest == '\0';
    ++(good ? *samples : bad);
  }
  return bad;
}

bool HasFamily(const std::string& text, const std::string& name) {
  return text.find("\n# TYPE " + name + " ") != std::string::npos || text.starts_with("# TYPE " + name + " ");
}

}  // namespace

bool Doctor::SendSample(const std::string& endpoint, const std::string& trace_id) {
  const char* const advice = "see the sidecar's log, and losses.malformedMessages in /api/v1/stats";
  auto socket = ingest::DealerSocket::Connect(endpoint);
  if (!socket) {
    Fail("span", socket.error(), advice);
    return false;
  }
  core::EnvelopeView envelope;
  envelope.kind = core::EnvelopeKind::kHello;
  std::random_device random;
  for (auto& byte : envelope.process_id) byte = static_cast<std::uint8_t>(random());
  envelope.oldest_held = 1;
  envelope.send_time_ns = WallNs();
  socket->Send(ingest::EncodeEnvelope(envelope), "");
  std::string problem = Await(&*socket, core::AnswerKind::kWelcome);
  if (problem.empty()) {
    envelope.kind = core::EnvelopeKind::kSpans;
    envelope.sequence = 1;
    envelope.span_count = 1;
    socket->Send(ingest::EncodeEnvelope(envelope), SampleSpan(trace_id));
    problem = Await(&*socket, core::AnswerKind::kAck);
    envelope.kind = core::EnvelopeKind::kGoodbye;
    envelope.sequence = 0;
    envelope.span_count = 0;
    envelope.batched_before = 1;
    envelope.oldest_held = 2;
    socket->Send(ingest::EncodeEnvelope(envelope), "");
  }
  if (problem.empty()) return true;
  Fail("span", endpoint + ": " + problem, advice);
  return false;
}

void Doctor::CheckSample() {
  if (!sidecar_.answers) return Skip("span", "a sample span needs a running sidecar");
  if (sidecar_.endpoints.empty()) return Skip("span", "the sidecar listens on no socket");
  const std::string trace_id = RandomHex(32);
  const auto begin = Clock::now();
  if (!SendSample(sidecar_.endpoints.front(), trace_id)) return;
  client::Options options;
  options.origin = ListenUrl(config_.http, config_.http.port);
  client::HttpClient http(options);
  client::Response answer;
  while (Clock::now() - begin < kSeenWithin) {
    answer = http.Send({"GET", "/api/v1/traces/" + trace_id, {}, ""});
    if (answer.status == 200) {
      return Ok("span", "a sample span went through " + sidecar_.endpoints.front() +
                            " and was seen in /api/v1/traces after " + Since(begin));
    }
    std::this_thread::sleep_for(kLookAgain);
  }
  Fail("span",
       "a sample span was taken, but /api/v1/traces/" + trace_id + " does not show it (status " +
           std::to_string(answer.status) + ")",
       "is another sidecar bound to that socket? Compare `endpoints` in /api/v1/status");
}

void Doctor::CheckScrape() {
  if (!sidecar_.answers) return Skip("scrape", "needs a running sidecar");
  client::Options options;
  options.origin = ListenUrl(config_.http, config_.http.port);
  options.max_answer_bytes = 64u << 20;
  client::HttpClient http(options);
  const auto begin = Clock::now();
  const client::Response answer = http.Send({"GET", "/metrics", {}, ""});
  const std::string took = Since(begin);
  if (answer.status != 200) {
    return Fail("scrape", "/metrics answers with status " + std::to_string(answer.status) + answer.transport_error,
                "see the sidecar's log");
  }
  std::size_t samples = 0;
  const std::size_t bad = CountBadLines(answer.body, &samples);
  if (bad > 0)
    return Fail("scrape", std::to_string(bad) + " lines of /metrics cannot be parsed", "report it, with the lines");
  const char* const calls = "traces_span_metrics_calls_total";
  for (const char* family :
       {calls, "spanwatch_store_traces", "spanwatch_config_last_reload_successful", "spanwatch_journal_on"}) {
    if (!HasFamily(answer.body, family)) {
      return Fail("scrape", std::string("/metrics lacks ") + family, "see the sidecar's log");
    }
  }
  Ok("scrape", "/metrics: " + std::to_string(samples) + " samples in " + took);
}

}  // namespace spanwatch::app
