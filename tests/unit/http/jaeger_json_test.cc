#include "sidecar/http/jaeger_json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

namespace spanwatch::http {
namespace {

using core::AttributeType;
using Json = nlohmann::ordered_json;

core::AttributeCopy Text(std::string key, std::string value) {
  return {std::move(key), AttributeType::kString, 0, 0, std::move(value)};
}
core::AttributeCopy Integer(std::string key, std::int64_t value) {
  return {std::move(key), AttributeType::kInt, value, 0, ""};
}
core::AttributeCopy Double(std::string key, double value) {
  return {std::move(key), AttributeType::kDouble, 0, value, ""};
}

core::SpanCopy Span(std::uint64_t id, std::uint64_t parent, std::int64_t start_ns, std::int64_t end_ns) {
  core::SpanCopy span;
  span.span_id = {id};
  span.parent_id = {parent};
  span.start_ns = start_ns;
  span.end_ns = end_ns;
  span.service = "bot";
  span.name = "op";
  return span;
}

core::TraceCopy Trace(std::vector<core::SpanCopy> spans) {
  core::TraceCopy trace;
  trace.summary.trace_id = {0x5b8efff798038103, 0xd269b633813fc60c};
  trace.resources = {{Text("service.name", "bot")}};
  trace.spans = std::move(spans);
  return trace;
}

std::string Whole(const core::TraceCopy& trace) {
  std::string out;
  AppendJaegerTrace(trace, &out);
  return out;
}

std::vector<std::string> Warnings(const core::TraceCopy& trace, std::size_t span) {
  const Json warnings = Json::parse(Whole(trace))["spans"][span]["warnings"];
  return warnings.is_null() ? std::vector<std::string>() : warnings.get<std::vector<std::string>>();
}

TEST(JaegerJson, GoldenTrace) {
  core::TraceCopy trace = Trace({Span(0x1, 0, 1'700'000'000'123'456'789, 1'700'000'000'223'456'788),
                                 Span(0xabc, 0x1, 1'700'000'000'133'000'000, 1'700'000'000'143'000'999)});
  trace.resources = {{Text("service.name", "bot"), Text("host.name", "h1")}, {Text("service.name", "db")}};
  core::SpanCopy& root = trace.spans[0];
  root.name = "handle \"x\"";
  root.scope = "lib";
  root.kind = core::SpanKind::kServer;
  root.status = core::StatusCode::kError;
  root.status_message = "boom";
  root.trace_state = "ot=th:8";
  root.attributes = {Text("s", "v"),
                     {"b", AttributeType::kBool, 1, 0, ""},
                     Integer("i", 42),
                     Integer("big", 9'007'199'254'740'993),
                     Double("d", 1.5),
                     {"raw", AttributeType::kBytes, 0, 0, std::string("\x00\xff", 2)},
                     {"list", AttributeType::kJson, 0, 0, "[1,2]"},
                     {"none", AttributeType::kEmpty, 0, 0, ""}};
  root.events = {{1'700'000'000'150'000'500, "exception", {Text("exception.type", "E")}},
                 {1'700'000'000'160'000'000, "other", {Text("event", "own")}}};
  core::SpanCopy& child = trace.spans[1];
  child.service = "db";
  child.resource = 1;
  child.kind = core::SpanKind::kClient;
  child.status = core::StatusCode::kOk;
  child.links = {{{0, 0x77}, {0x88}}, {{0, 0}, {0x99}}};
  const char* golden =
      R"({"traceID":"5b8efff798038103d269b633813fc60c","spans":[)"
      R"({"traceID":"5b8efff798038103d269b633813fc60c","spanID":"0000000000000001","operationName":"handle \"x\"",)"
      R"("references":[],"startTime":1700000000123456,"duration":99999,"tags":[)"
      R"({"key":"otel.scope.name","type":"string","value":"lib"},)"
      R"({"key":"s","type":"string","value":"v"},{"key":"b","type":"bool","value":true},)"
      R"({"key":"i","type":"int64","value":42},{"key":"big","type":"int64","value":"9007199254740993"},)"
      R"({"key":"d","type":"float64","value":1.5},{"key":"raw","type":"binary","value":"AP8="},)"
      R"({"key":"list","type":"string","value":"[1,2]"},{"key":"none","type":"string","value":""},)"
      R"({"key":"span.kind","type":"string","value":"server"},)"
      R"({"key":"otel.status_code","type":"string","value":"ERROR"},{"key":"error","type":"bool","value":true},)"
      R"({"key":"otel.status_description","type":"string","value":"boom"},)"
      R"({"key":"w3c.tracestate","type":"string","value":"ot=th:8"}],)"
      R"("logs":[{"timestamp":1700000000150000,"fields":[{"key":"event","type":"string","value":"exception"},)"
      R"({"key":"exception.type","type":"string","value":"E"}]},)"
      R"({"timestamp":1700000000160000,"fields":[{"key":"event","type":"string","value":"own"}]}],)"
      R"("processID":"p1","warnings":null},)"
      R"({"traceID":"5b8efff798038103d269b633813fc60c","spanID":"0000000000000abc","operationName":"op",)"
      R"("references":[{"refType":"CHILD_OF","traceID":"5b8efff798038103d269b633813fc60c","spanID":"0000000000000001"},)"
      R"({"refType":"FOLLOWS_FROM","traceID":"00000000000000000000000000000077","spanID":"0000000000000088"}],)"
      R"("startTime":1700000000133000,"duration":10000,"tags":[{"key":"span.kind","type":"string","value":"client"},)"
      R"({"key":"otel.status_code","type":"string","value":"OK"}],"logs":[],"processID":"p2","warnings":null}],)"
      R"("processes":{"p1":{"serviceName":"bot","tags":[{"key":"host.name","type":"string","value":"h1"}]},)"
      R"("p2":{"serviceName":"db","tags":[]}},"warnings":null})";
  EXPECT_EQ(Whole(trace), golden);
}

TEST(JaegerJson, NamesOfServicesThatAreNone) {
  const auto name = [](std::vector<core::AttributeCopy> resource) {
    core::TraceCopy trace = Trace({Span(1, 0, 0, 1000)});
    trace.resources = {std::move(resource)};
    return Json::parse(Whole(trace))["processes"]["p1"]["serviceName"].get<std::string>();
  };
  EXPECT_EQ(name({Text("service.name", "x")}), "x");
  EXPECT_EQ(name({}), "missing-service-name");
  EXPECT_EQ(name({Text("service.name", "")}), "empty-service-name");
  EXPECT_EQ(name({Integer("service.name", 3)}), "service-name-wrong-type");
}

TEST(JaegerJson, WhatIsNoNumberInJsonIsText) {
  core::TraceCopy trace = Trace({Span(1, 0, 0, 1000)});
  trace.spans[0].attributes = {Double("a", std::nan("")), Double("b", std::numeric_limits<double>::infinity()),
                               Double("c", -std::numeric_limits<double>::infinity())};
  const Json tags = Json::parse(Whole(trace))["spans"][0]["tags"];
  EXPECT_EQ(tags[0], Json({{"key", "a"}, {"type", "string"}, {"value", "NaN"}}));
  EXPECT_EQ(tags[1]["value"], "Infinity");
  EXPECT_EQ(tags[2]["value"], "-Infinity");
}

TEST(JaegerJson, SkewIsMarkedAndNotCorrected) {
  core::TraceCopy trace = Trace({Span(2, 1, 5'000'000, 20'000'000), Span(1, 0, 10'000'000, 100'000'000)});
  EXPECT_EQ(Warnings(trace, 0), std::vector<std::string>{"clock skew: begins 5 ms before its parent; times are shown "
                                                         "as they were recorded"});
  EXPECT_TRUE(Warnings(trace, 1).empty());
  const Json spans = Json::parse(Whole(trace))["spans"];
  EXPECT_EQ(spans[0]["startTime"], 5000);
  // In the same process a child may outlive its parent: no skew.
  trace = Trace({Span(1, 0, 0, 100'000'000), Span(2, 1, 60'000'000, 120'000'000)});
  EXPECT_TRUE(Warnings(trace, 1).empty());
  trace.spans[1].parent_is_remote = true;
  ASSERT_EQ(Warnings(trace, 1).size(), 1u);
  EXPECT_EQ(Warnings(trace, 1)[0].substr(0, 11), "clock skew:");
}

TEST(JaegerJson, WhatIsNotHereIsSaid) {
  core::TraceCopy trace = Trace({Span(2, 1, 0, 1000), Span(3, 9, 10, 1000)});
  trace.missing = {{{1}, "lost", 1, "", "", 0}};
  trace.losses = {{"01234567", "bot", "ring_full", 17}};
  trace.summary.truncated = 1;
  trace.spans[1].dropped_events = 2;
  const std::vector<std::string> whole = {"this trace is cut: its limits kept 1 span out",
                                          "meanwhile process 01234567 of bot lost 17 spans (ring_full)"};
  std::vector<std::string> first = whole;
  first.emplace_back(
      "parent span 0000000000000001 is not here: it was lost, a process of this trace lost spans meanwhile");
  EXPECT_EQ(Warnings(trace, 0), first);
  EXPECT_EQ(Warnings(trace, 1),
            (std::vector<std::string>{"parent span 0000000000000009 is not here: it was never received, and no process "
                                      "told of a loss",
                                      "the program dropped 2 events of this span"}));
  EXPECT_EQ(Json::parse(Whole(trace))["warnings"].get<std::vector<std::string>>(), whole);
}

TEST(JaegerJson, ManyLossesAreFewWarnings) {
  core::TraceCopy trace = Trace({Span(1, 0, 0, 1000)});
  trace.losses.assign(1000, {"01234567", "bot", "ring_full", 1});
  const auto warnings = Warnings(trace, 0);
  ASSERT_EQ(warnings.size(), 6u);
  EXPECT_EQ(warnings[5], "995 more losses meanwhile");
}

void CheckInteger(const Json& value) { EXPECT_TRUE(value.is_number_integer()) << value; }

// What a program in Go decodes into structs of fixed types.
void CheckTypes(const Json& trace) {
  ASSERT_FALSE(trace["spans"].empty());
  const auto check_tags = [](const Json& tags) {
    ASSERT_TRUE(tags.is_array());
    for (const Json& tag : tags) {
      ASSERT_EQ(tag.size(), 3u);
      ASSERT_TRUE(tag["key"].is_string());
      const std::string type = tag["type"];
      const Json& value = tag["value"];
      if (type == "int64") {
        EXPECT_TRUE(value.is_number_integer() || value.is_string()) << tag;
      } else if (type == "float64") {
        EXPECT_TRUE(value.is_number()) << tag;
      } else if (type == "bool") {
        EXPECT_TRUE(value.is_boolean()) << tag;
      } else {
        EXPECT_TRUE((type == "string" || type == "binary") && value.is_string()) << tag;
      }
    }
  };
  for (const Json& span : trace["spans"]) {
    CheckInteger(span["startTime"]);
    CheckInteger(span["duration"]);
    EXPECT_GE(span["duration"], 0);
    check_tags(span["tags"]);
    for (const Json& log : span["logs"]) {
      CheckInteger(log["timestamp"]);
      check_tags(log["fields"]);
    }
    for (const Json& reference : span["references"]) {
      EXPECT_EQ(reference["traceID"].get<std::string>().size(), 32u);
      EXPECT_EQ(reference["spanID"].get<std::string>().size(), 16u);
    }
    EXPECT_TRUE(trace["processes"].contains(span["processID"].get<std::string>()));
    EXPECT_TRUE(span["warnings"].is_null() || !span["warnings"].empty());
  }
}

core::TraceCopy RandomTrace(std::mt19937_64* random) {
  const auto any = [&](std::uint64_t below) { return (*random)() % below; };
  const auto time = [&]() -> std::int64_t {
    switch (any(5)) {
      case 0:
        return INT64_MIN;
      case 1:
        return INT64_MAX;
      case 2:
        return -static_cast<std::int64_t>(any(1'000'000));
      default:
        return 1'700'000'000'000'000'000 + static_cast<std::int64_t>(any(1'000'000'000));
    }
  };
  const auto text = [&] {
    std::string bytes;
    for (std::uint64_t n = any(12); n > 0; --n) bytes += static_cast<char>(any(256));
    return bytes;
  };
  const auto attributes = [&] {
    std::vector<core::AttributeCopy> list;
    for (std::uint64_t n = any(4); n > 0; --n) {
      const double values[] = {0, -0.0, 1e300, 5e-324, 1.0, std::nan("")};
      list.push_back({text(), static_cast<AttributeType>(any(7)), time(), values[any(6)], text()});
    }
    return list;
  };
  core::TraceCopy trace = Trace({});
  trace.resources.resize(3, attributes());
  for (std::uint64_t n = 1 + any(20); n > 0; --n) {
    core::SpanCopy span = Span(1 + any(10), any(12), time(), time());
    span.name = text();
    span.resource = static_cast<std::uint32_t>(any(3));
    span.kind = static_cast<core::SpanKind>(any(6));
    span.status = static_cast<core::StatusCode>(any(3));
    span.attributes = attributes();
    span.events.push_back({time(), text(), attributes()});
    span.links.push_back({{any(2), any(2)}, {any(2)}});
    trace.spans.push_back(std::move(span));
  }
  return trace;
}

TEST(JaegerJson, EveryTraceHasTheTypesThatReadersExpect) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 200; ++i) {
    const core::TraceCopy trace = RandomTrace(&random);
    const std::string whole = Whole(trace);
    const Json json = Json::parse(whole, nullptr, false);
    ASSERT_FALSE(json.is_discarded()) << whole;
    ASSERT_EQ(json["spans"].size(), trace.spans.size());
    CheckTypes(json);
    std::string pieces;
    JaegerTraceWriter writer(&trace);
    int calls = 1;
    while (writer.Append(pieces.size() + 1, &pieces)) ++calls;
    EXPECT_EQ(pieces, whole);
    EXPECT_EQ(calls, static_cast<int>(trace.spans.size()));
  }
}

}  // namespace
}  // namespace spanwatch::http
