#include "sidecar/http/analysis_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "sidecar/core/utf8.h"
#include "sidecar/http/json_text.h"
#include "sidecar/http/text.h"

namespace spanwatch::http {
namespace {

using Json = nlohmann::ordered_json;
using core::kNoSpan;

double Ms(std::int64_t ns) { return static_cast<double>(ns / 1'000'000) + static_cast<double>(ns % 1'000'000) / 1e6; }

Json MegabytesOrNull(const std::optional<std::int64_t>& bytes) {
  return bytes ? Json(static_cast<double>(*bytes) / (1 << 20)) : Json(nullptr);
}

// Exact in JavaScript up to 2^53; beyond, text.
Json Tokens(const std::optional<std::int64_t>& count) {
  if (!count) return nullptr;
  return *count <= (std::int64_t{1} << 53) ? Json(*count) : Json(std::to_string(*count));
}

constexpr std::size_t kMessageBytes = 1 << 20;
constexpr std::size_t kShortMessage = 200;

double Part(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
}

class Writer {
 public:
  Writer(const core::TraceCopy& trace, const core::TraceAnalysis& analysis) : trace_(trace), out_(analysis) {}

  // All but errors and timeline.
  Json Write() const {
    return {{"traceId", trace_.summary.trace_id.ToHex()},
            {"complete", trace_.summary.complete},
            {"startTime", Ms(out_.start_ns)},
            {"duration", Ms(out_.duration_ns)},
            {"spanCount", out_.span_count},
            {"errorCount", out_.error_count},
            {"rootSpanId", Id(out_.root)},
            {"performance", Performance()},
            {"llm", Llm()},
            {"insights", Insights(out_.insights)},
            {"recommendations", Insights(out_.recommendations)}};
  }

  void AppendTimeline(std::string* out) const {
    *out += '[';
    for (std::uint32_t i = 0; i < out_.spans.size(); ++i) {
      if (i > 0) *out += ',';
      AppendRow(i, out);
    }
    *out += ']';
  }

  void AppendErrors(std::string* out) const {
    *out += R"({"count":)";
    AppendJsonNumber(static_cast<std::int64_t>(out_.error_count), out);
    *out += R"(,"spans":[)";
    for (const core::SpanError& error : out_.errors) {
      AppendError(error, out);
      *out += ',';
    }
    if (!out_.errors.empty()) out->pop_back();
    *out += R"(],"chains":)";
    Json chains = Json::array();
    for (const core::ErrorChain& chain : out_.error_chains) {
      chains.push_back({{"rootCauseSpanId", Id(chain.root_cause)},
                        {"spread", Ids(chain.spread)},
                        {"handledBySpanId", Id(chain.handled_by)},
                        {"failedSpans", chain.spans}});
    }
    *out += chains.dump() + '}';
  }

 private:
  Json Id(std::uint32_t span) const {
    return span == kNoSpan ? Json(nullptr) : Json(trace_.spans[span].span_id.ToHex());
  }
  Json Ids(const std::vector<std::uint32_t>& spans) const {
    Json list = Json::array();
    for (const std::uint32_t span : spans) list.push_back(Id(span));
    return list;
  }
  Json Operation(std::uint32_t span) const {
    return {{"service", trace_.spans[span].service}, {"operation", trace_.spans[span].name}};
  }

  Json Slowest(std::uint32_t span, const char* by) const {
    if (span == kNoSpan) return nullptr;
    Json json = Operation(span);
    json["spanId"] = Id(span);
    json["by"] = by;
    json["selfTime"] = Ms(out_.spans[span].self_ns);
    json["duration"] = Ms(out_.spans[span].duration_ns);
    return json;
  }

  Json CriticalPath() const {
    Json segments = Json::array();
    for (const core::PathSegment& segment : out_.critical_path) {
      Json json = Operation(segment.span);
      json["spanId"] = Id(segment.span);
      json["start"] = Ms(segment.from_ns - out_.start_ns);
      json["duration"] = Ms(segment.to_ns - segment.from_ns);
      json["async"] = segment.async;
      segments.push_back(std::move(json));
    }
    return {{"start", Ms(out_.root_start_ns - out_.start_ns)},
            {"duration", Ms(out_.root_duration_ns)},
            {"idle", Ms(out_.idle_ns)},
            {"beforeRoot", Ms(out_.before_root_ns)},
            {"afterRoot", Ms(out_.after_root_ns)},
            {"segments", std::move(segments)}};
  }

  Json SelfTimes() const {
    Json list = Json::array();
    for (const core::OperationSelf& each : out_.self_times) {
      list.push_back({{"service", each.service},
                      {"operation", each.operation},
                      {"calls", each.calls},
                      {"selfTime", Ms(each.self_ns)},
                      {"duration", Ms(each.duration_ns)}});
    }
    return list;
  }

  Json Bottlenecks() const {
    Json list = Json::array();
    for (const core::Bottleneck& each : out_.bottlenecks) {
      list.push_back({{"service", each.service},
                      {"operation", each.operation},
                      {"criticalTime", Ms(each.critical_ns)},
                      {"asyncTime", Ms(each.async_ns)},
                      {"share", each.share},
                      {"spans", each.spans},
                      {"worstSpanId", Id(each.worst)}});
    }
    return list;
  }

  Json RepeatedCalls() const {
    Json list = Json::array();
    for (const core::RepeatedCalls& each : out_.repeated_calls) {
      list.push_back({{"service", each.service},
                      {"operation", each.operation},
                      {"parentSpanId", Id(each.parent)},
                      {"firstSpanId", Id(each.first)},
                      {"count", each.count},
                      {"totalTime", Ms(each.total_ns)},
                      {"wallTime", Ms(each.wall_ns)},
                      {"parallel", each.parallel}});
    }
    return list;
  }

  Json SequentialCalls() const {
    Json list = Json::array();
    for (const core::SequentialCalls& each : out_.sequential) {
      list.push_back({{"parentSpanId", Id(each.parent)},
                      {"spanIds", Ids(each.spans)},
                      {"totalTime", Ms(each.total_ns)},
                      {"possibleSaving", Ms(each.saving_ns)}});
    }
    return list;
  }

  Json Retries() const {
    Json list = Json::array();
    for (const core::Retry& each : out_.retries) {
      Json json = Operation(each.attempts.front());
      json["spanIds"] = Ids(each.attempts);
      json["attempts"] = each.attempts.size();
      json["cost"] = Ms(each.cost_ns);
      json["recovered"] = each.recovered;
      list.push_back(std::move(json));
    }
    return list;
  }

  Json MemoryUsage() const {
    if (!out_.memory) return nullptr;
    constexpr const char* kNames[] = {"good", "concerning", "poor"};
    const bool known = out_.memory->delta_bytes.has_value();
    return {{"peakMemoryMB", MegabytesOrNull(out_.memory->peak_bytes)},
            {"memoryDeltaMB", MegabytesOrNull(out_.memory->delta_bytes)},
            {"memoryEfficiency", known ? Json(kNames[static_cast<int>(out_.memory->efficiency)]) : Json(nullptr)},
            {"spanId", Id(out_.memory->grower)}};
  }

  Json Performance() const {
    const core::Percentiles& p = out_.percentiles;
    return {
        {"slowestOperation", Slowest(out_.slowest_by_self, "selfTime")},
        {"longestOperation", Slowest(out_.slowest_by_duration, "duration")},
        {"criticalPath", CriticalPath()},
        {"selfTimes", SelfTimes()},
        {"bottlenecks", Bottlenecks()},
        {"repeatedCalls", RepeatedCalls()},
        {"sequentialCalls", SequentialCalls()},
        {"retries", Retries()},
        {"percentiles", {{"p50", Ms(p.p50_ns)}, {"p90", Ms(p.p90_ns)}, {"p95", Ms(p.p95_ns)}, {"p99", Ms(p.p99_ns)}}},
        {"maxDepth", out_.depth},
        {"memoryUsage", MemoryUsage()}};
  }

  static Json Use(const core::ModelUse& use) {
    return {{"model", use.model},
            {"calls", use.calls},
            {"inputTokens", Tokens(use.input_tokens)},
            {"outputTokens", Tokens(use.output_tokens)},
            {"cachedTokens", Tokens(use.cached_tokens)},
            {"cacheWriteTokens", Tokens(use.cache_write_tokens)},
            {"reasoningTokens", Tokens(use.reasoning_tokens)},
            {"cost", use.cost ? Json(*use.cost) : Json(nullptr)},
            {"unpricedCalls", use.unpriced_calls}};
  }

  Json Llm() const {
    if (!out_.llm) return nullptr;
    Json json = Use(out_.llm->total);
    json["models"] = Json::array();
    for (const core::ModelUse& use : out_.llm->models) json["models"].push_back(Use(use));
    const auto& first = out_.llm->time_to_first_token_ns;
    json["timeToFirstToken"] = first ? Json(Ms(*first)) : Json(nullptr);
    constexpr const char* kNames[core::kTurnClasses] = {"other", "queueing", "generating", "tools", "sending"};
    Json turn = Json::object();
    for (std::size_t k = 0; k < core::kTurnClasses; ++k)
      turn[kNames[k]] = Part(out_.llm->class_ns[k], out_.root_duration_ns);
    json["turn"] = std::move(turn);
    return json;
  }

  // Errors and rows as text: as a tree, those of 10,000 spans would take longer than everything else.
  void AppendError(const core::SpanError& error, std::string* out) const {
    *out += R"({"service":)";
    AppendJsonString(trace_.spans[error.span].service, out);
    *out += R"(,"operation":)";
    AppendJsonString(trace_.spans[error.span].name, out);
    *out += R"(,"spanId":")" + trace_.spans[error.span].span_id.ToHex() + R"(","type":)";
    AppendJsonString(error.type, out);
    *out += R"(,"message":)";
    // All messages together stay near kMessageBytes; the trace itself has them whole.
    const std::size_t limit = std::max(kShortMessage, kMessageBytes / out_.errors.size());
    AppendJsonString(core::CutUtf8(error.message, limit), out);
    if (error.message.size() > limit) out->replace(out->size() - 1, 1, "\u2026\"");
    *out += R"(,"rootCauseSpanId":)";
    *out += Id(error.root_cause).dump() + '}';
  }

  void AppendRow(std::uint32_t number, std::string* out) const {
    const core::SpanAnalysis& span = out_.spans[number];
    const core::SpanCopy& source = trace_.spans[number];
    *out += R"({"service":)";
    AppendJsonString(source.service, out);
    *out += R"(,"operation":)";
    AppendJsonString(source.name, out);
    *out += R"(,"spanId":")" + source.span_id.ToHex() + R"(","parentSpanId":)";
    *out += span.parent == kNoSpan ? "null" : '"' + trace_.spans[span.parent].span_id.ToHex() + '"';
    for (const auto& [name, ns] : {std::pair{"start", span.offset_ns}, std::pair{"duration", span.duration_ns},
                                   std::pair{"selfTime", span.self_ns}, std::pair{"criticalTime", span.critical_ns}}) {
      ((*out += ",\"") += name) += "\":";
      AppendMs(ns, out);
    }
    *out +=
        source.status == core::StatusCode::kError ? R"(,"status":"error","depth":)" : R"(,"status":"success","depth":)";
    AppendJsonNumber(static_cast<std::int64_t>(span.depth), out);
    for (const auto& [name, holds] : {std::pair{"async", span.async}, std::pair{"clockSkew", span.skewed},
                                      std::pair{"orphan", span.orphan}, std::pair{"cycle", span.cycle}}) {
      if (holds) ((*out += ",\"") += name) += "\":true";
    }
    *out += '}';
  }

  Json Insights(const std::vector<core::Insight>& insights) const {
    Json list = Json::array();
    for (const core::Insight& each : insights) {
      list.push_back({{"code", each.code},
                      {"severity", core::ToString(each.severity)},
                      {"text", each.text},
                      {"spanId", Id(each.span)}});
    }
    return list;
  }

  const core::TraceCopy& trace_;
  const core::TraceAnalysis& out_;
};

}  // namespace

std::string AnalysisJson(const core::TraceCopy& trace, const core::TraceAnalysis& analysis, const KeptNote& kept) {
  const Writer writer(trace, analysis);
  Json json = writer.Write();
  if (kept.kept) {
    json["kept"] = true;
    json["cut"] = kept.cut;
  }
  std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.pop_back();  // the brace at its end
  text += R"(,"errors":)";
  writer.AppendErrors(&text);
  text += R"(,"timeline":)";
  writer.AppendTimeline(&text);
  return text + "}\n";
}

}  // namespace spanwatch::http
