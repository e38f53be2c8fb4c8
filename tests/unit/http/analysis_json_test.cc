#include "sidecar/http/analysis_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/cpu_time.h"
#include "tests/unit/core/analysis_builder.h"

namespace spanwatch::http {
namespace {

using Json = nlohmann::json;
using core::testing::Line;

Json Of(const std::vector<Line>& lines) {
  core::TraceCopy trace = core::testing::Trace(lines);
  trace.summary.trace_id = {0xAB, 1};
  return Json::parse(AnalysisJson(trace, core::Analyse(trace, {})));
}

std::vector<Line> Reply() {
  return {{1, 0, "messageCreate", 1000, 7400, "Wrapped", "bot", {{"spanwatch.mem.delta", std::int64_t{120} << 20}}},
          {2, 1, "Context.load", 1000, 1300},
          {3, 1, "Gemini.generate", 1300, 7300, "TimeoutError", "gemini", {{"gen_ai.request.model", std::string("m")}}},
          {4, 99, "lost parent", 1100, 1200}};
}

TEST(AnalysisJsonTest, PerformanceHasTheKeysOfTheDesign) {
  const Json json = Of(Reply());
  EXPECT_EQ(json["traceId"], "00000000000000ab0000000000000001");
  EXPECT_EQ(json["rootSpanId"], "0000000000000001");
  EXPECT_EQ(json["duration"], 6400.0);
  const Json& performance = json["performance"];
  for (const char* key : {"slowestOperation", "criticalPath", "selfTimes", "bottlenecks", "repeatedCalls",
                          "percentiles", "maxDepth", "memoryUsage"}) {
    EXPECT_TRUE(performance.contains(key)) << key;
  }
  EXPECT_EQ(performance["slowestOperation"], Json({{"service", "gemini"},
                                                   {"operation", "Gemini.generate"},
                                                   {"spanId", "0000000000000003"},
                                                   {"by", "selfTime"},
                                                   {"selfTime", 6000.0},
                                                   {"duration", 6000.0}}));
  EXPECT_EQ(performance["longestOperation"]["operation"], "messageCreate");
  EXPECT_EQ(performance["criticalPath"]["segments"][0], Json({{"service", "bot"},
                                                              {"operation", "Context.load"},
                                                              {"spanId", "0000000000000002"},
                                                              {"start", 0.0},
                                                              {"duration", 300.0},
                                                              {"async", false}}));
  double sum = performance["criticalPath"]["idle"];
  for (const Json& segment : performance["criticalPath"]["segments"]) sum += segment["duration"].get<double>();
  EXPECT_DOUBLE_EQ(sum, performance["criticalPath"]["duration"].get<double>());
  EXPECT_EQ(performance["bottlenecks"][0]["share"], 0.9375);
  EXPECT_EQ(performance["maxDepth"], 2);
  EXPECT_EQ(performance["memoryUsage"], Json({{"peakMemoryMB", nullptr},
                                              {"memoryDeltaMB", 120.0},
                                              {"memoryEfficiency", "concerning"},
                                              {"spanId", "0000000000000001"}}));
}

TEST(AnalysisJsonTest, ErrorsTimelineAndSentences) {
  const Json json = Of(Reply());
  EXPECT_EQ(json["errors"]["count"], 2);
  EXPECT_EQ(json["errors"]["spans"][0]["rootCauseSpanId"], "0000000000000003");
  EXPECT_EQ(json["errors"]["spans"][1]["type"], "TimeoutError");
  EXPECT_EQ(json["errors"]["chains"][0], Json({{"rootCauseSpanId", "0000000000000003"},
                                               {"spread", {"0000000000000003", "0000000000000001"}},
                                               {"handledBySpanId", nullptr},
                                               {"failedSpans", 2}}));
  ASSERT_EQ(json["timeline"].size(), 4u);
  const Json& row = json["timeline"][2];
  EXPECT_EQ(row["operation"], "Gemini.generate");
  EXPECT_EQ(row["start"], 300.0);
  EXPECT_EQ(row["duration"], 6000.0);
  EXPECT_EQ(row["status"], "error");
  EXPECT_EQ(row["depth"], 2);
  EXPECT_EQ(row["spanId"], "0000000000000003");
  EXPECT_FALSE(row.contains("orphan"));
  EXPECT_EQ(json["timeline"][3]["orphan"], true);
  EXPECT_EQ(json["insights"][0]["code"], "bottleneck");
  EXPECT_EQ(json["insights"][0]["severity"], "critical");
  EXPECT_TRUE(json["insights"][0]["text"].is_string());
  EXPECT_EQ(json["recommendations"][0]["code"], "error_handling");
  EXPECT_EQ(json["llm"]["model"], "m");
  EXPECT_EQ(json["llm"]["cost"], nullptr);
  EXPECT_EQ(json["llm"]["timeToFirstToken"], nullptr);
  EXPECT_EQ(json["llm"]["turn"]["generating"], 0.9375);
}

TEST(AnalysisJsonTest, WhatIsNotThereIsNull) {
  const Json json = Of({{1, 0, "bad utf8 \xFF", 0, 1}});
  EXPECT_EQ(json["performance"]["memoryUsage"], nullptr);
  EXPECT_EQ(json["llm"], nullptr);
  EXPECT_EQ(json["timeline"][0]["operation"], "bad utf8 \xEF\xBF\xBD");
  const Json empty = Of({});
  EXPECT_EQ(empty["performance"]["slowestOperation"], nullptr);
  EXPECT_EQ(empty["rootSpanId"], nullptr);
  EXPECT_EQ(empty["timeline"], Json::array());
}

TEST(AnalysisJsonTest, LongMessagesAreWholeUnlessThereAreVeryMany) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "\xC3\xA4";
  const auto answer = [&text](std::uint64_t failing) {
    std::vector<Line> lines = {{1, 0, "root", 0, 20'000}};
    for (std::uint64_t id = 2; id < failing + 2; ++id) lines.push_back({id, 1, "call", 1, 2, "TimeoutError"});
    core::TraceCopy trace = core::testing::Trace(lines);
    for (core::SpanCopy& span : trace.spans) span.status_message = text;
    return AnalysisJson(trace, core::Analyse(trace, {}));
  };
  const Json few = Json::parse(answer(400));
  EXPECT_EQ(few["errors"]["spans"][7]["message"].get<std::string>().size(), 2000u);
  const std::string many = answer(9'999);
  EXPECT_LT(many.size(), 10u << 20);
  const std::string message = Json::parse(many)["errors"]["spans"][7]["message"];
  EXPECT_EQ(message.size(), 200u + 3u);
  EXPECT_EQ(message.substr(198), "\xC3\xA4\u2026");
}

TEST(AnalysisJsonTest, TenThousandSpansAreAnsweredInMilliseconds) {
  std::vector<Line> lines = {{1, 0, "root", 0, 20'000}};
  for (std::uint64_t id = 2; id <= 10'000; ++id) {
    const double at = static_cast<double>(id);
    lines.push_back({id, id / 3 + 1, "operation " + std::to_string(id % 50), at, at + 3000, id % 7 == 0 ? "E" : ""});
  }
  const core::TraceCopy trace = core::testing::Trace(lines);
  const test::CpuTime cpu;
  const std::string answer = AnalysisJson(trace, core::Analyse(trace, {}));
  const double ms = cpu.Seconds() * 1e3;
  RecordProperty("ms", std::to_string(ms));
  EXPECT_LT(ms, 4000);
  EXPECT_EQ(Json::parse(answer)["timeline"].size(), 10'000u);
}

}  // namespace
}  // namespace spanwatch::http
