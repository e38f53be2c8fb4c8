#include "sidecar/rule_test_traffic.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sidecar/config/units.h"
#include "sidecar/ingest/ingest.h"
#include "sidecar/ingest/otlp_http.h"

namespace spanwatch::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kTraceHigh = 0x7e57'0000'0000'0000;

Json TextAttribute(const std::string& key, const std::string& text) {
  return {{"key", key}, {"value", {{"stringValue", text}}}};
}

// A number in a tag is a number, as programs send it.
Json Attribute(const std::string& key, const std::string& text) {
  const bool negative = text.starts_with("-");
  const std::string digits = text.substr(negative ? 1 : 0);
  if (const auto whole = config::ParseWhole(digits); whole && digits.size() < 18) {
    return {{"key", key}, {"value", {{"intValue", text}}}};
  }
  if (const auto number = config::ParseNumber(digits)) {
    return {{"key", key}, {"value", {{"doubleValue", negative ? -*number : *number}}}};
  }
  if (text == "true" || text == "false") return {{"key", key}, {"value", {{"boolValue", text == "true"}}}};
  return TextAttribute(key, text);
}

int KindNumber(const std::string& kind) {
  constexpr const char* kKinds[] = {"unspecified", "internal", "server", "client", "producer", "consumer"};
  for (int i = 0; i < 6; ++i) {
    if (kind == kKinds[i]) return i;
  }
  return 1;
}

Json Attributes(const SpanSpec& spec) {
  Json attributes = Json::array();
  for (const core::NameValue& tag : spec.tags) attributes.push_back(Attribute(tag.name, tag.value));
  if (spec.memory_delta) {
    attributes.push_back(
        {{"key", "spanwatch.mem.delta"}, {"value", {{"intValue", std::to_string(*spec.memory_delta)}}}});
  }
  if (spec.memory_peak) {
    attributes.push_back({{"key", "spanwatch.mem.peak"}, {"value", {{"intValue", std::to_string(*spec.memory_peak)}}}});
  }
  return attributes;
}

Json ExceptionEvent(const SpanSpec& spec, std::int64_t at_ns) {
  Json attributes = Json::array({TextAttribute("exception.type", spec.error_type)});
  if (!spec.error_message.empty()) attributes.push_back(TextAttribute("exception.message", spec.error_message));
  return {{"timeUnixNano", std::to_string(at_ns)}, {"name", "exception"}, {"attributes", std::move(attributes)}};
}

core::ProcessId MakeProcessId(std::uint64_t number) {
  core::ProcessId id{0x7e, 0x57};
  for (std::size_t i = 0; i < 8; ++i) id[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
  return id;
}

// Where the child says, or where the one before ended.
std::int64_t ChildStart(const SpanSpec& child, std::int64_t parent_start, std::int64_t before_end) {
  return child.after_ns ? parent_start + *child.after_ns : before_end;
}

}  // namespace

TestTraffic::TestTraffic(const RuleTest& test, std::int64_t start_ns) : start_ns_(start_ns) {
  for (const SpanEntry& entry : test.spans) AddEntry(entry);
  std::stable_sort(arrivals_.begin(), arrivals_.end(),
                   [](const Arrival& a, const Arrival& b) { return a.at_ns < b.at_ns; });
  for (const ProcessEntry& entry : test.processes) {
    Process process;
    process.service = entry.service;
    process.from_ns = start_ns + entry.at_ns;
    process.until_ns = start_ns + (entry.until_ns < 0 ? test.end_ns + kSecond : entry.until_ns);
    process.goodbye = entry.goodbye;
    process.memory = entry.memory;
    process.memory_to = entry.memory_to;
    AddProcess(std::move(process));
  }
  for (const LossEntry& loss : test.losses) {
    Process process;
    process.service = loss.service;
    process.from_ns = process.until_ns = start_ns + loss.at_ns;
    process.goodbye = true;
    process.loss = &loss;
    AddProcess(std::move(process));
  }
  for (Process& process : processes_) {
    if (process.open.spec != nullptr && process.until_ns == INT64_MAX) process.until_ns = start_ns + test.end_ns;
  }
}

void TestTraffic::AddProcess(Process process) {
  process.connection = processes_.size() + 1;
  process.id = MakeProcessId(process.connection);
  process.next_ns = process.from_ns;
  processes_.push_back(std::move(process));
}

// Adds the span, the chain and the children; returns its end.
std::int64_t TestTraffic::Grow(const SpanSpec& spec, const TraceId& trace, SpanId parent, std::int64_t start_ns) {
  const std::int64_t end_ns = start_ns + spec.duration_ns;
  std::vector<Arrival> chain;
  for (std::uint64_t level = 0; level < spec.levels; ++level) {
    chain.push_back({end_ns, &spec, trace, NewSpanId(), parent, start_ns, end_ns});
    parent = chain.back().id;
  }
  // Innermost first, as they end.
  std::int64_t before_end = start_ns;
  for (const SpanSpec& child : spec.children) {
    std::int64_t child_start = ChildStart(child, start_ns, before_end);
    for (std::uint64_t i = 0; i < child.count; ++i) {
      const std::int64_t child_end = Grow(child, trace, chain.front().id, child_start);
      before_end = child_end;
      child_start += child.every_ns > 0 ? child.every_ns : child.duration_ns;
    }
  }
  arrivals_.insert(arrivals_.end(), chain.rbegin(), chain.rend());
  return end_ns;
}

void TestTraffic::AddEntry(const SpanEntry& entry) {
  const std::int64_t at_ns = start_ns_ + entry.at_ns;
  const TraceId first_trace{kTraceHigh, last_trace_ + 1};
  if (entry.open) {
    ++last_trace_;
    Arrival open{at_ns, &entry.span, first_trace, NewSpanId(), SpanId{}, at_ns, 0};
    Process process;
    process.service = entry.span.service;
    process.from_ns = at_ns;
    process.until_ns = entry.has_duration ? at_ns + entry.span.duration_ns : INT64_MAX;
    process.goodbye = true;
    process.open = open;
    AddProcess(std::move(process));
    if (!entry.has_duration) return;
    open.at_ns = open.end_ns = at_ns + entry.span.duration_ns;
    arrivals_.push_back(open);
    return;
  }
  for (std::uint64_t i = 0; i < entry.span.count; ++i) {
    const TraceId trace{kTraceHigh, ++last_trace_};
    const std::int64_t end_ns = at_ns + static_cast<std::int64_t>(i) * entry.span.every_ns;
    Grow(entry.span, trace, SpanId{}, end_ns - entry.span.duration_ns);
  }
}

std::int64_t TestTraffic::NextNs() const {
  std::int64_t next = next_arrival_ < arrivals_.size() ? arrivals_[next_arrival_].at_ns : INT64_MAX;
  for (const Process& process : processes_) next = std::min(next, process.next_ns);
  return next;
}

void TestTraffic::ApplyNext(core::Engine* engine) {
  const std::int64_t now_ns = NextNs();
  if (now_ns == INT64_MAX) return;
  for (Process& process : processes_) {
    if (process.next_ns == now_ns && process.next_ns != process.until_ns) ApplyProcess(now_ns, &process, engine);
  }
  ApplySpans(now_ns, engine);
  for (Process& process : processes_) {  // last words come after the last span
    if (process.next_ns == now_ns) ApplyProcess(now_ns, &process, engine);
  }
}

std::vector<std::string> TestTraffic::Encode(const std::vector<Arrival>& spans) {
  Json resource_spans = Json::array();
  for (const Arrival& span : spans) {
    const SpanSpec& spec = *span.spec;
    Json resource = Json::array({TextAttribute("service.name", spec.service)});
    for (const core::NameValue& pair : spec.resource) resource.push_back(Attribute(pair.name, pair.value));
    Json json = {{"traceId", span.trace.ToHex()},
                 {"spanId", span.id.ToHex()},
                 {"name", spec.operation},
                 {"kind", KindNumber(spec.kind)},
                 {"startTimeUnixNano", std::to_string(span.start_ns)},
                 {"endTimeUnixNano", std::to_string(span.end_ns)},
                 {"attributes", Attributes(spec)}};
    if (span.parent.IsValid()) json["parentSpanId"] = span.parent.ToHex();
    if (spec.status == "ok") json["status"] = {{"code", 1}};
    if (spec.status == "error") json["status"] = {{"code", 2}, {"message", spec.error_message}};
    if (!spec.error_type.empty()) json["events"] = Json::array({ExceptionEvent(spec, span.end_ns)});
    if (!resource_spans.empty() && resource_spans.back()["resource"]["attributes"] == resource) {
      resource_spans.back()["scopeSpans"][0]["spans"].push_back(std::move(json));
      continue;
    }
    resource_spans.push_back({{"resource", {{"attributes", std::move(resource)}}},
                              {"scopeSpans", Json::array({{{"spans", Json::array({std::move(json)})}}})}});
  }
  std::vector<std::string> records;
  ingest::OtlpHttp receiver({}, [&](std::string record) {
    records.push_back(std::move(record));
    return true;
  });
  const std::string body =
      Json({{"resourceSpans", std::move(resource_spans)}}).dump(-1, ' ', false, Json::error_handler_t::replace);
  const auto answer = receiver.Handle({"POST", "/v1/traces", "application/json", "", body});
  if (answer.status != 200 || receiver.GetCounts().spans_rejected.Total() > 0) {
    problem_ = "the receiver refused spans of this test: " + answer.body;
  }
  return records;
}

void TestTraffic::ApplySpans(std::int64_t now_ns, core::Engine* engine) {
  constexpr std::size_t kMaxBatch = 1000;
  while (next_arrival_ < arrivals_.size() && arrivals_[next_arrival_].at_ns == now_ns) {
    std::vector<Arrival> spans;
    while (next_arrival_ < arrivals_.size() && arrivals_[next_arrival_].at_ns == now_ns && spans.size() < kMaxBatch) {
      spans.push_back(arrivals_[next_arrival_++]);
    }
    for (const std::string& record : Encode(spans)) {
      core::SpanBatch batch;
      ingest::DecodeOtlp(record, &batch);
      core::Decoded decoded;
      decoded.spans = &batch;
      engine->Apply({++last_index_, now_ns, core::RecordKind::kOtlp, 0}, decoded);
      engine->TakeCompleted();
    }
  }
}

void TestTraffic::Tell(std::int64_t now_ns, const Process& process, core::EnvelopeKind kind, core::Engine* engine) {
  core::EnvelopeView envelope;
  envelope.kind = kind;
  envelope.process_id = process.id;
  envelope.oldest_held = 1;
  envelope.send_time_ns = now_ns;
  if (process.loss != nullptr && kind == core::EnvelopeKind::kGoodbye) {
    envelope.drops.push_back({process.loss->reason, process.loss->spans});
  }
  if (kind == core::EnvelopeKind::kHeartbeat && process.memory + process.memory_to > 0) {
    const double length = static_cast<double>(process.until_ns - process.from_ns);
    const double share = length > 0 ? static_cast<double>(now_ns - process.from_ns) / length : 0;
    const double growth = static_cast<double>(process.memory_to) - static_cast<double>(process.memory);
    envelope.rss_bytes = static_cast<std::uint64_t>(static_cast<double>(process.memory) + share * growth);
  }
  core::SpanBatch batch;
  std::vector<std::string> records;
  if (kind == core::EnvelopeKind::kOpenSpans) {
    records = Encode({process.open});
    if (!records.empty()) ingest::DecodeOtlp(records.front(), &batch);
    envelope.span_count = 1;
  } else {
    batch.resources.push_back({process.service, {}, {}});
  }
  core::Decoded decoded;
  decoded.envelope = &envelope;
  decoded.spans = &batch;
  engine->Apply({++last_index_, now_ns, core::RecordKind::kMessage, process.connection}, decoded);
  engine->TakeAnswers();
}

void TestTraffic::ApplyProcess(std::int64_t now_ns, Process* process, core::Engine* engine) {
  if (now_ns == process->from_ns) Tell(now_ns, *process, core::EnvelopeKind::kHello, engine);
  if (now_ns >= process->until_ns) {
    if (process->goodbye) Tell(now_ns, *process, core::EnvelopeKind::kGoodbye, engine);
    process->next_ns = INT64_MAX;
    return;
  }
  Tell(now_ns, *process, core::EnvelopeKind::kHeartbeat, engine);
  // As the SDK: what is open for longer than a second.
  if (process->open.spec != nullptr && now_ns - process->from_ns >= kSecond) {
    Tell(now_ns, *process, core::EnvelopeKind::kOpenSpans, engine);
  }
  process->next_ns = std::min(now_ns + kSecond, process->until_ns);
}

}  // namespace spanwatch::app
