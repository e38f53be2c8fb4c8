#include "sidecar/http/otlp_json.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "sidecar/http/json_text.h"

namespace spanwatch::http {
namespace {

using Json = nlohmann::json;

core::TraceCopy Trace() {
  core::TraceCopy trace;
  trace.summary.trace_id = {0x5b8efff798038103, 0xd269b633813fc60c};
  trace.resources = {{{"service.name", core::AttributeType::kString, 0, 0, "my.service"}}};
  core::SpanCopy span;
  span.span_id = {0xeee19b7ec3c1b174};
  span.parent_id = {0xeee19b7ec3c1b173};
  span.start_ns = 1'544'712'660'000'000'000;
  span.end_ns = 1'544'712'661'000'000'001;
  span.service = "my.service";
  span.name = "I'm a server span";
  span.scope = "my.library";
  span.kind = core::SpanKind::kServer;
  span.attributes = {{"my.span.attr", core::AttributeType::kString, 0, 0, "some value"}};
  trace.spans = {span};
  return trace;
}

std::string Written(const core::TraceCopy& trace) {
  std::string text;
  AppendOtlpJson(trace, &text);
  return text;
}

TEST(OtlpJsonTest, AsTheSpecificationsExample) {
  EXPECT_EQ(Written(Trace()),
            R"({"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"my.service"}}]},)"
            R"("scopeSpans":[{"scope":{"name":"my.library"},"spans":[)"
            R"({"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",)"
            R"("parentSpanId":"eee19b7ec3c1b173","name":"I'm a server span","kind":2,)"
            R"("startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000001",)"
            R"("attributes":[{"key":"my.span.attr","value":{"stringValue":"some value"}}]}]}]})");
}

TEST(OtlpJsonTest, EachTypeHasItsField) {
  using core::AttributeType;
  core::TraceCopy trace = Trace();
  core::SpanCopy& span = trace.spans[0];
  span.parent_id = {};
  span.parent_is_remote = true;
  span.trace_state = "a=b";
  span.status = core::StatusCode::kError;
  span.status_message = "no";
  span.dropped_attributes = 3;
  span.events = {{5, "e", {}}};
  span.links = {{{1, 2}, {3}}};
  span.attributes = {{"bool", AttributeType::kBool, 1, 0, ""},
                     {"int", AttributeType::kInt, INT64_MIN, 0, ""},
                     {"double", AttributeType::kDouble, 0, 0.5, ""},
                     {"nan", AttributeType::kDouble, 0, std::numeric_limits<double>::quiet_NaN(), ""},
                     {"bytes", AttributeType::kBytes, 0, 0, "\xff\xfe"},
                     {"json", AttributeType::kJson, 0, 0, "{\"k\":[1,null]}"},
                     {"broken", AttributeType::kJson, 0, 0, "[1,"},
                     {"deep", AttributeType::kJson, 0, 0, std::string(1000, '[') + std::string(1000, ']')},
                     {"empty", AttributeType::kEmpty, 0, 0, ""}};
  const Json out = Json::parse(Written(trace))["scopeSpans"][0]["spans"][0];
  EXPECT_FALSE(out.contains("parentSpanId"));
  EXPECT_EQ(out["flags"], 0x300);
  EXPECT_EQ(out["traceState"], "a=b");
  EXPECT_EQ(out["status"], Json::parse(R"({"code":2,"message":"no"})"));
  EXPECT_EQ(out["droppedAttributesCount"], 3);
  EXPECT_FALSE(out.contains("droppedEventsCount"));
  EXPECT_EQ(out["events"], Json::parse(R"([{"timeUnixNano":"5","name":"e"}])"));
  EXPECT_EQ(out["links"][0]["traceId"], "00000000000000010000000000000002");
  Json values;
  for (const Json& attribute : out["attributes"]) values[attribute["key"].get<std::string>()] = attribute["value"];
  EXPECT_EQ(values["bool"], Json::parse(R"({"boolValue":true})"));
  EXPECT_EQ(values["int"], Json::parse(R"({"intValue":"-9223372036854775808"})"));
  EXPECT_EQ(values["double"], Json::parse(R"({"doubleValue":0.5})"));
  EXPECT_EQ(values["nan"], Json::parse(R"({"doubleValue":"NaN"})"));
  EXPECT_EQ(values["bytes"], Json::parse(R"({"bytesValue":"//4="})"));
  EXPECT_EQ(values["json"], Json::parse(R"({"kvlistValue":{"values":[{"key":"k","value":
      {"arrayValue":{"values":[{"intValue":"1"},{}]}}}]}})"));
  EXPECT_EQ(values["broken"], Json::parse(R"({"stringValue":"[1,"})"));
  EXPECT_TRUE(values["deep"].contains("stringValue"));
  EXPECT_EQ(values["empty"], Json::object());
}

TEST(OtlpJsonTest, SpansStandUnderTheirResourceAndScope) {
  core::TraceCopy trace = Trace();
  trace.resources.push_back({{"service.name", core::AttributeType::kString, 0, 0, "two"}});
  for (const std::uint32_t resource : {1u, 0u, 1u}) {
    core::SpanCopy span = trace.spans[0];
    span.resource = resource;
    span.scope = trace.spans.size() == 3 ? "" : span.scope;
    trace.spans.push_back(span);
  }
  const Json out = Json::parse("[" + Written(trace) + "]");
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0]["scopeSpans"][0]["spans"].size(), 2u);
  ASSERT_EQ(out[1]["scopeSpans"].size(), 2u);
  EXPECT_EQ(out[1]["scopeSpans"][1]["scope"], Json::object());
}

TEST(JsonTextTest, StringsAreAlwaysValid) {
  const auto written = [](std::string_view text) {
    std::string out;
    AppendJsonString(text, &out);
    return out;
  };
  EXPECT_EQ(written("a\"\\\n\x01z"), "\"a\\\"\\\\\\n\\u0001z\"");
  EXPECT_EQ(written("\xC3\xA4\xE2\x82\xAC\xF0\x9D\x84\x9E"), "\"\xC3\xA4\xE2\x82\xAC\xF0\x9D\x84\x9E\"");
  for (const char* bad : {"\xff", "\xC3", "\xC3(", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                          "\xF5\x80\x80\x80", "\xC0\xAF", "\x80", "x\xF0\x9D\x84"}) {
    EXPECT_TRUE(Json::accept(written(bad)));
    EXPECT_NE(written(bad).find("\xEF\xBF\xBD"), std::string::npos);
  }
}

}  // namespace
}  // namespace spanwatch::http
