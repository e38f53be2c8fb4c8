// Sentences: for each a trace that has it, and near misses that must not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sidecar/core/analysis.h"
#include "tests/unit/core/analysis_builder.h"

namespace spanwatch::core {
namespace {

using testing::Advise;
using testing::Analyse;
using ::testing::HasSubstr;
using testing::kMilli;
using testing::Line;
using testing::Say;
using testing::Trace;

constexpr std::int64_t kMb = 1 << 20;

std::vector<Line> Model(double ms, const std::string& error = "") {
  return {{1, 0, "messageCreate", 0, ms + 400, error}, {2, 1, "GeminiService.generateResponse", 300, ms + 300, error}};
}

std::vector<Line> Loop(int count, double length, double whole) {
  std::vector<Line> lines = {{1, 0, "root", 0, whole}};
  for (int i = 0; i < count; ++i)
    lines.push_back({static_cast<std::uint64_t>(i + 2), 1, "fetch", i * length, (i + 1) * length});
  return lines;
}

std::vector<Line> Chain(std::uint64_t levels, bool recursive) {
  std::vector<Line> lines;
  for (std::uint64_t i = 1; i <= levels; ++i)
    lines.push_back({i, i - 1, recursive && i > 2 ? "walk" : "level " + std::to_string(i), 0, 10});
  return lines;
}

TEST(InsightTest, Bottleneck) {
  EXPECT_EQ(Say("bottleneck", Model(6000)),
            "Critical bottleneck: GeminiService.generateResponse itself took 6 s of 6.4 s (93.8 %).");
  EXPECT_EQ(Say("bottleneck", Model(5000)),
            "Bottleneck: GeminiService.generateResponse itself took 5 s of 5.4 s (92.6 %).");
  EXPECT_NE(Say("bottleneck", Model(1001)), "");
  EXPECT_EQ(Say("bottleneck", Model(1000)), "");
  // Long, but not by itself.
  EXPECT_EQ(Say("bottleneck", {{1, 0, "root", 0, 1500}, {2, 1, "A", 0, 800}, {3, 1, "B", 800, 1500}}), "");
  // Not waited for.
  EXPECT_EQ(Say("bottleneck", {{1, 0, "root", 0, 1500}, {2, 1, "upload", 1, 9000}}), "");
}

TEST(InsightTest, SlowOperations) {
  const auto of = [](std::uint64_t slow, std::uint64_t all, double ms) {
    std::vector<Line> lines;
    for (std::uint64_t i = 1; i <= all; ++i) lines.push_back({i, i == 1 ? 0u : 1u, "s", 0, i <= slow ? ms : 1.0});
    return Say("slow_operations", lines);
  };
  EXPECT_EQ(of(15, 50, 1001), "High number of slow operations: 15 of 50 spans took over 1 s.");
  EXPECT_EQ(of(15, 50, 1000), "");
  EXPECT_EQ(of(4, 5, 1001), "");
  EXPECT_EQ(of(5, 25, 1001), "");
  EXPECT_NE(of(5, 24, 1001), "");
}

TEST(InsightTest, CommonErrorCountsWhereErrorsBegan) {
  const std::vector<Line> lines = {{1, 0, "root", 0, 100, "Wrapped"},
                                   {2, 1, "A", 0, 10, "TimeoutError"},
                                   {3, 1, "B", 0, 10, "TimeoutError"},
                                   {4, 1, "C", 0, 10, "Refused"}};
  EXPECT_EQ(Say("common_error", lines), "Most common error: TimeoutError (2 occurrences).");
  EXPECT_EQ(Say("common_error", {lines[0], lines[1], lines[3]}), "");
  // One error on its way up is one.
  EXPECT_EQ(Say("common_error", {{1, 0, "root", 0, 100, "TimeoutError"}, {2, 1, "A", 0, 10, "TimeoutError"}}), "");
}

TEST(InsightTest, RootCause) {
  EXPECT_EQ(Say("root_cause", Model(100, "TimeoutError")),
            "GeminiService.generateResponse failed with TimeoutError; it failed 1 span above it, up to messageCreate.");
  const std::vector<Line> handled = {{1, 0, "root", 0, 100}, {2, 1, "call", 0, 10, "Timeout"}};
  const TraceAnalysis analysis = Analyse(handled);
  ASSERT_EQ(analysis.insights.size(), 1u);
  EXPECT_STREQ(analysis.insights[0].code, "root_cause");
  EXPECT_EQ(analysis.insights[0].text, "call failed with Timeout; root went on.");
  EXPECT_EQ(analysis.insights[0].severity, InsightSeverity::kWarning);
  EXPECT_EQ(Analyse(Model(100, "E")).insights[0].severity, InsightSeverity::kCritical);
  EXPECT_EQ(Say("root_cause", Model(100)), "");
}

TEST(InsightTest, RootCausesThatReachedTheTopFirstAndEachSentenceOnce) {
  std::vector<Line> lines = {{1, 0, "root", 0, 1000, "Failed"}, {2, 1, "work", 0, 900}};
  for (std::uint64_t i = 0; i < 4; ++i) {
    const double start = 10.0 * static_cast<double>(i);
    lines.push_back({10 + i, 2, "call", start, start + 5, "Timeout"});
  }
  lines.push_back({20, 2, "read", 100, 105, "NoFile"});
  lines.push_back({30, 1, "write", 910, 990, "DiskFull"});
  std::vector<std::string> said;
  for (const Insight& insight : Analyse(lines).insights) {
    if (std::string(insight.code) == "root_cause") said.push_back(ToString(insight.severity) + (" " + insight.text));
  }
  EXPECT_EQ(said, (std::vector<std::string>{
                      "critical write failed with DiskFull; it failed 1 span above it, up to root.",
                      "warning call failed with Timeout; work went on.",
                      "warning read failed with NoFile; work went on.",
                  }));
}

TEST(InsightTest, RepeatedSequentialAndRetried) {
  EXPECT_EQ(Say("repeated_calls", Loop(12, 20, 1000)),
            "fetch was called 12 times under root, one after another: 240 ms in all, 240 ms of the parent's time.");
  EXPECT_EQ(Say("repeated_calls", Loop(4, 20, 1000)), "");
  EXPECT_EQ(Say("sequential_calls", {{1, 0, "root", 0, 100}, {2, 1, "history", 0, 40}, {3, 1, "profile", 40, 70}}),
            "history and profile ran one after another under root, 70 ms in all: side by side they could save 30 ms.");
  // Real, but not worth a word: 3 of 100 ms.
  EXPECT_EQ(Say("sequential_calls",
                {{1, 0, "root", 0, 100}, {2, 1, "in", 0, 10}, {3, 2, "history", 0, 4}, {4, 2, "profile", 4, 7}}),
            "");
  const std::vector<Line> retried = {
      {1, 0, "root", 0, 900}, {2, 1, "call", 0, 100, "Timeout"}, {3, 1, "call", 200, 300}};
  EXPECT_EQ(Say("retries", retried),
            "call was tried 2 times after Timeout: 200 ms before the last attempt, which succeeded.");
  EXPECT_EQ(Say("retries", {retried[0], retried[1]}), "");
}

TEST(InsightTest, NestingNamesTheRecursion) {
  EXPECT_EQ(Say("deep_nesting", Chain(15, true)), "");
  EXPECT_EQ(Say("deep_nesting", Chain(16, true)), "Deep call stack: 16 levels (over 15); walk is on 14 of them.");
  EXPECT_EQ(Say("deep_nesting", Chain(16, false)), "Deep call stack: 16 levels (over 15).");
  EXPECT_EQ(Say("deep_nesting", Chain(26, false)), "Deep call stack: 26 levels (over 25).");
  EXPECT_EQ(Analyse(Chain(25, false)).insights[0].severity, InsightSeverity::kWarning);
  EXPECT_EQ(Analyse(Chain(26, false)).insights[0].severity, InsightSeverity::kCritical);
}

TEST(InsightTest, MemoryGrowth) {
  const auto of = [](std::int64_t delta) {
    return Say("memory_growth", {{1, 0, "root", 0, 9, "", "bot", {{"spanwatch.mem.delta", delta}}}});
  };
  EXPECT_EQ(of(100 * kMb), "");
  EXPECT_EQ(of(120 * kMb), "Memory efficiency is concerning: the process grew by 120 MB while root ran.");
  EXPECT_EQ(of(501 * kMb), "Memory efficiency is poor: the process grew by 501 MB while root ran.");
}

TEST(InsightTest, IdleAndLateWork) {
  EXPECT_EQ(Say("idle", {{1, 0, "one", 0, 30}, {2, 0, "two", 50, 100}}),
            "For 20 ms of 100 ms no span of this trace ran.");
  EXPECT_EQ(Say("idle", {{1, 0, "one", 0, 30}, {2, 0, "two", 40, 100}}), "");
  EXPECT_EQ(Say("async_work", {{1, 0, "root", 0, 100}, {2, 1, "upload", 50, 300}}),
            "Work went on for 200 ms after root had ended.");
  EXPECT_EQ(Say("async_work", {{1, 0, "root", 0, 100}, {2, 1, "upload", 50, 110}}), "");
  // The other host's clock is ahead: no work after the root.
  EXPECT_EQ(Say("async_work", {{1, 0, "root", 0, 100}, {2, 1, "server", 60, 140, "", "gemini"}}), "");
}

TEST(InsightTest, ClockSkew) {
  EXPECT_EQ(Say("clock_skew", {{1, 0, "client", 0, 100}, {2, 1, "server", -12, 80, "", "gemini"}}),
            "1 span does not lie within the parent, by up to 12 ms (server): clocks differ, times between hosts are "
            "uncertain.");
  EXPECT_EQ(Say("clock_skew", {{1, 0, "client", 0, 100}, {2, 1, "server", 0, 100, "", "gemini"}}), "");
  // One process has one clock.
  EXPECT_EQ(Say("clock_skew", {{1, 0, "handle", 0, 100}, {2, 1, "wait", -12, 80}}),
            "1 span does not lie within the parent, by up to 12 ms (wait): one process set these times itself, or its "
            "clock was set meanwhile.");
}

TEST(InsightTest, IncompleteTraces) {
  TraceCopy trace = Trace({{1, 0, "root", 0, 100}});
  EXPECT_EQ(testing::TextOf(core::Analyse(trace, {}).insights, "incomplete"), "");
  trace.losses = {{"0a1b2c3d", "bot", "ring_full", 3}};
  trace.missing.resize(1);
  EXPECT_EQ(testing::TextOf(core::Analyse(trace, {}).insights, "incomplete"),
            "This trace is not whole (3 spans lost by its processes meanwhile, 1 parent not here): figures may be too "
            "low.");
  trace.losses = {{"0a1b2c3d", "bot", "died", 0}};
  const std::vector<Insight> insights = core::Analyse(trace, {}).insights;
  EXPECT_EQ(testing::TextOf(insights, "incomplete"),
            "This trace is not whole (1 parent not here, a process died meanwhile): figures may be too low.");
  EXPECT_EQ(insights[0].severity, InsightSeverity::kWarning);
  trace.missing.clear();
  EXPECT_EQ(testing::TextOf(core::Analyse(trace, {}).insights, "incomplete"), "") << "nothing of it is missing";
}

std::vector<Line> Turn() {
  const auto text = [](const char* value) { return std::string(value); };
  return {{1, 0, "messageCreate", 0, 1000},
          {2, 1, "MessageQueue.wait", 0, 100},
          {3,
           1,
           "invoke_agent helper",
           100,
           900,
           "",
           "bot",
           {{"gen_ai.operation.name", text("invoke_agent")}, {"gen_ai.usage.input_tokens", std::int64_t{300}}}},
          {4,
           3,
           "chat gemini",
           100,
           500,
           "",
           "bot",
           {{"gen_ai.operation.name", text("chat")},
            {"gen_ai.request.model", text("gemini")},
            {"gen_ai.response.model", text("gemini-002")},
            {"gen_ai.usage.input_tokens", std::int64_t{100}},
            {"gen_ai.usage.output_tokens", std::int64_t{20}},
            {"gen_ai.usage.cache_read.input_tokens", std::int64_t{60}},
            {"gen_ai.usage.reasoning.output_tokens", std::int64_t{8}},
            {"gen_ai.usage.cost", 0.25},
            {"gen_ai.server.time_to_first_token", 1.5}}},
          {5, 4, "POST sendRequest", 150, 450},
          {6, 3, "execute_tool search", 500, 600, "", "bot", {{"gen_ai.operation.name", text("execute_tool")}}},
          {7, 6, "GET", 520, 580},
          {8,
           3,
           "chat other",
           600,
           850,
           "",
           "bot",
           {{"gen_ai.request.model", text("other")},
            {"gen_ai.usage.prompt_tokens", std::int64_t{200}},
            {"gen_ai.usage.completion_tokens", std::int64_t{30}}}},
          {9, 1, "Discord.sendMessage", 900, 950}};
}

TEST(LlmTest, TokensCostAndSharesOfTheTurn) {
  const TraceAnalysis analysis = Analyse(Turn());
  ASSERT_TRUE(analysis.llm);
  const LlmAnalysis& llm = *analysis.llm;
  EXPECT_EQ(llm.total.model, "gemini-002");
  EXPECT_EQ(llm.total.calls, 2u);
  EXPECT_EQ(llm.total.input_tokens, 300);  // the agent's own sum is not added again
  EXPECT_EQ(llm.total.output_tokens, 50);
  EXPECT_EQ(llm.total.cached_tokens, 60);
  EXPECT_EQ(llm.total.reasoning_tokens, 8);
  EXPECT_EQ(llm.total.cost, 0.25);
  ASSERT_EQ(llm.models.size(), 2u);
  EXPECT_EQ(llm.models[1].model, "other");
  EXPECT_EQ(llm.models[1].input_tokens, 200);
  EXPECT_FALSE(llm.models[1].cost);
  EXPECT_EQ(llm.time_to_first_token_ns, 1500 * kMilli);
  const auto ms = [&](TurnClass which) { return llm.class_ns[static_cast<std::size_t>(which)] / kMilli; };
  EXPECT_EQ(ms(TurnClass::kQueueing), 100);
  EXPECT_EQ(ms(TurnClass::kGenerating), 650);  // with the request below it
  EXPECT_EQ(ms(TurnClass::kTools), 100);
  EXPECT_EQ(ms(TurnClass::kSending), 50);
  EXPECT_EQ(ms(TurnClass::kOther), 100);
  EXPECT_EQ(Say("llm_turn", Turn()),
            "Of 1 s, generating took 65 %, tools 10 %, queueing 10 %, sending 5 %; 2 model calls, 300 tokens in, 50 "
            "tokens out, at least $ 0.2500.");
  EXPECT_EQ(Say("first_token", Turn()), "The first token came 1.5 s after chat gemini began.");
}

TEST(LlmTest, FirstTokenByEventAndNothingWithoutAttributes) {
  TraceCopy trace = Trace({{1, 0, "chat", 100, 500, "", "bot", {{"gen_ai.request.model", std::string("m")}}}});
  EXPECT_FALSE(core::Analyse(trace, {}).llm->time_to_first_token_ns);
  trace.spans[0].events.push_back({130 * kMilli, "gen_ai.first_token", {}});
  EXPECT_EQ(core::Analyse(trace, {}).llm->time_to_first_token_ns, 30 * kMilli);
  EXPECT_EQ(testing::TextOf(core::Analyse(trace, {}).insights, "first_token"), "");
  EXPECT_FALSE(core::Analyse(trace, {}).llm->total.input_tokens);  // unknown is not 0
  EXPECT_EQ(testing::TextOf(core::Analyse(trace, {}).insights, "llm_turn"),
            "Of 400 ms, generating took 100 %, tools 0 %, queueing 0 %, sending 0 %; 1 model call.");
  EXPECT_FALSE(Analyse({{1, 0, "chat", 0, 100}}).llm);
}

AnalysisOptions Past(double calls, double over, double timeouts) {
  AnalysisOptions options;
  options.history = {{"bot", "GeminiService.generateResponse", calls, over, timeouts}};
  return options;
}

TEST(RecommendationTest, Algorithm) {
  EXPECT_EQ(
      Advise("algorithm", Model(2000), Past(40, 0.75, 0)),
      "Optimize GeminiService.generateResponse: 75 % of its 40 calls in the last hour took over 1 s, and it itself "
      "took 2 s of this trace.");
  EXPECT_EQ(Advise("algorithm", Model(2000), Past(40, 0.5, 0)), "");
  EXPECT_EQ(Advise("algorithm", Model(2000), Past(9, 1, 0)), "");
  EXPECT_EQ(Advise("algorithm", Model(900), Past(40, 0.75, 0)), "");  // this one was quick
  EXPECT_EQ(Advise("algorithm", Model(2000)), "");
}

TEST(RecommendationTest, Caching) {
  EXPECT_EQ(Advise("caching", Loop(6, 50, 1000)),
            "Consider caching or batching fetch: 6 calls under one parent took 300 ms (30 % of the trace).");
  EXPECT_EQ(Advise("caching", Loop(4, 50, 1000)), "");
  EXPECT_EQ(Advise("caching", Loop(6, 10, 1000)), "");  // repeated, but cheap
  EXPECT_EQ(Advise("caching", Loop(6, 10, 100)), "");   // most of a short trace
}

TEST(RecommendationTest, CircuitBreaker) {
  EXPECT_EQ(
      Advise("circuit_breaker", Model(900, "TimeoutError"), Past(40, 0, 6)),
      "Put a circuit breaker before GeminiService.generateResponse: it timed out 1 time in this trace, and in 6 of "
      "40 calls in the last hour.");
  EXPECT_EQ(Advise("circuit_breaker", Model(900, "TimeoutError"), Past(40, 0, 3)), "");
  EXPECT_EQ(Advise("circuit_breaker", Model(900, "TimeoutError"), Past(4, 0, 2)), "");
  EXPECT_EQ(Advise("circuit_breaker", Model(900, "Refused"), Past(40, 0, 6)), "");
  EXPECT_EQ(Advise("circuit_breaker", Model(900), Past(40, 0, 6)), "");
  std::vector<Line> lines = {{1, 0, "root", 0, 900}};
  for (std::uint64_t i = 2; i < 4; ++i)
    lines.push_back({i, 1, "call", 100.0 * static_cast<double>(i), 100.0 * static_cast<double>(i) + 50, "ETIMEDOUT"});
  EXPECT_EQ(Advise("circuit_breaker", lines), "");
  lines.push_back({4, 1, "call", 400, 450, "DeadlineExceeded"});
  EXPECT_EQ(Advise("circuit_breaker", lines), "Put a circuit breaker before call: it timed out 3 times in this trace.");
}

TEST(RecommendationTest, Memory) {
  const auto of = [](std::int64_t delta) {
    return Advise("memory", {{1, 0, "load", 0, 9, "", "bot", {{"spanwatch.mem.delta", delta}}}});
  };
  EXPECT_EQ(of(120 * kMb),
            "Look at what load keeps or loads at once: the process grew by 120 MB while it ran; stream or release what "
            "is not needed.");
  EXPECT_EQ(of(100 * kMb), "");
}

TEST(RecommendationTest, Refactoring) {
  EXPECT_EQ(Advise("refactoring", Chain(16, true)),
            "Make walk a loop or bound its recursion: it is on 14 of 16 levels.");
  EXPECT_EQ(Advise("refactoring", Chain(16, false)), "Flatten the calls above level 16: 16 levels of nesting.");
  EXPECT_EQ(Advise("refactoring", Chain(15, true)), "");
}

TEST(RecommendationTest, ParallelAndErrorHandling) {
  const std::vector<Line> lines = {{1, 0, "root", 0, 100}, {2, 1, "history", 0, 40}, {3, 1, "profile", 40, 70}};
  EXPECT_EQ(
      Advise("parallel", lines),
      "If they do not need each other's results, run the 2 calls from history to profile side by side: up to 30 ms "
      "(30 %) less.");
  EXPECT_EQ(Advise("parallel", {lines[0], lines[1]}), "");
  EXPECT_EQ(Advise("error_handling", Model(100, "E")),
            "Handle errors of GeminiService.generateResponse where it is called: this one failed 1 span up to "
            "messageCreate.");
  EXPECT_EQ(Advise("error_handling", {{1, 0, "root", 0, 100}, {2, 1, "call", 0, 10, "E"}}), "");
  EXPECT_EQ(Advise("error_handling", {{1, 0, "root", 0, 100, "E"}}), "");
}

TEST(InsightTest, AtMostTenTheWorstFirst) {
  std::vector<Line> lines = Chain(30, true);
  for (std::uint64_t i = 0; i < 6; ++i) {
    const double at = 2000.0 * static_cast<double>(i);
    lines.push_back({100 + i, 1, "slow " + std::to_string(i), at, at + 1999 - static_cast<double>(i), "E"});
    for (std::uint64_t k = 0; k < 6; ++k)
      lines.push_back({1000 + 10 * i + k, 100 + i, "item " + std::to_string(i), at + 10.0 * static_cast<double>(k),
                       at + 10.0 * static_cast<double>(k) + 5});
  }
  lines[0].end_ms = 13'000;
  lines[0].tags = {{"spanwatch.mem.delta", 200 * kMb}};
  const std::vector<Insight> insights = Analyse(lines).insights;
  ASSERT_EQ(insights.size(), kMaxInsights);
  EXPECT_STREQ(insights[0].code, "deep_nesting");
  for (std::size_t i = 1; i < insights.size(); ++i) EXPECT_LE(insights[i].severity, insights[i - 1].severity);
}

TEST(InsightTest, LongNamesAreCutBetweenCharacters) {
  std::string name;
  for (int i = 0; i < 100; ++i) name += "é";
  const std::string text = Say("bottleneck", {{1, 0, name, 0, 2000}});
  EXPECT_THAT(text, HasSubstr("é… itself"));
  EXPECT_LT(text.size(), 150u);
}

TEST(InsightTest, NothingToSay) {
  const TraceAnalysis analysis = Analyse({{1, 0, "root", 0, 100}, {2, 1, "A", 20, 60}});
  EXPECT_TRUE(analysis.insights.empty());
  EXPECT_TRUE(analysis.recommendations.empty());
}

}  // namespace
}  // namespace spanwatch::core
