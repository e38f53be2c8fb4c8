// What models cost: the table, a call, the counts by model, a rule's budget, a trace.
#include "sidecar/core/prices.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sidecar/core/analysis.h"
#include "sidecar/core/gen_ai_view.h"
#include "sidecar/core/model_call.h"
#include "sidecar/core/rule_status.h"
#include "tests/support/rule_builder.h"

namespace spanwatch::core {
namespace {

constexpr std::int64_t kDay = 86'400 * kSecond;

std::shared_ptr<const Prices> Table(std::vector<Price> list) { return std::make_shared<const Prices>(std::move(list)); }

Price PriceOf(const std::string& model, double input, double output, std::int64_t from_ns = INT64_MIN) {
  return {model, from_ns, input, output, input, input};
}

// The price of input that is found; -1: none.
double Input(const Prices& prices, std::string_view model, std::int64_t at_ns = kStart) {
  const Price* price = prices.Find(model, at_ns);
  return price == nullptr ? -1 : price->input;
}

TEST(Prices, TheLongestNameThatFitsDecides) {
  const auto prices = Table({PriceOf("gpt-5", 1, 0), PriceOf("gpt-5*", 2, 0), PriceOf("gpt-5-mini*", 3, 0),
                             PriceOf("gpt*", 4, 0), PriceOf("vendor/gpt-5", 5, 0)});
  EXPECT_EQ(Input(*prices, "gpt-5"), 1);
  EXPECT_EQ(Input(*prices, "gpt-5.1"), 2);
  EXPECT_EQ(Input(*prices, "gpt-5-mini"), 3);
  EXPECT_EQ(Input(*prices, "gpt-5-mini-2025-08-07"), 3);
  EXPECT_EQ(Input(*prices, "gpt-4"), 4);
  EXPECT_EQ(Input(*prices, "gp"), -1);
  EXPECT_EQ(Input(*prices, "GPT-5"), -1);
  EXPECT_EQ(Input(*prices, "vendor/gpt-5"), 5) << "the whole name goes first";
  EXPECT_EQ(Input(*prices, "openrouter/other/gpt-5"), 1);
  EXPECT_EQ(Input(*prices, "models/"), -1);
  EXPECT_EQ(Input(*Table({PriceOf("*", 9, 0)}), "anything/at all"), 9);
  EXPECT_EQ(Input(*Table({}), "gpt-5"), -1);
}

TEST(Prices, HostileNamesFindNothingOfTheTable) {
  const auto prices = Table({PriceOf("gpt-5", 1, 0), PriceOf("gemini-*", 2, 0)});
  for (const std::string& model : {std::string(), std::string("gpt-5\0", 6), std::string("/"), std::string("*"),
                                   std::string("\xFF\xFE"), std::string(1 << 20, 'g'), std::string(1 << 20, '/')}) {
    EXPECT_EQ(Input(*prices, model), -1) << model.substr(0, 20);
  }
  EXPECT_EQ(Input(*prices, "gemini-*"), 2) << "begins so, as any other";
  EXPECT_EQ(Input(*prices, "gemini-" + std::string(1 << 20, 'x')), 2);
}

TEST(Prices, TheLatestEntryThatHadBegunHolds) {
  const auto prices = Table({PriceOf("m", 3, 0, kStart + kDay), PriceOf("m", 1, 0, kStart - kDay),
                             PriceOf("m", 2, 0, kStart), PriceOf("m*", 9, 0)});
  EXPECT_EQ(Input(*prices, "m", kStart - kDay - 1), -1) << "another name's price is not this one's";
  EXPECT_EQ(Input(*prices, "m", kStart - kDay), 1);
  EXPECT_EQ(Input(*prices, "m", kStart - 1), 1);
  EXPECT_EQ(Input(*prices, "m", kStart), 2);
  EXPECT_EQ(Input(*prices, "m", kStart + 99 * kDay), 3);
  EXPECT_EQ(Input(*prices, "m2", kStart), 9);
}

// --- one call

AttributeCopy Number(const std::string& key, double value) { return {key, AttributeType::kDouble, 0, value, ""}; }
AttributeCopy Text(const std::string& key, const std::string& text) {
  return {key, AttributeType::kString, 0, 0, text};
}

std::vector<AttributeCopy> CallOf(double input, double output) {
  return {Text("gen_ai.request.model", "m"), Number("gen_ai.usage.input_tokens", input),
          Number("gen_ai.usage.output_tokens", output)};
}

double Cost(const std::vector<AttributeCopy>& own, const Prices* prices) {
  return CostOf(TagSource(own), prices, kStart).value_or(-1);
}

TEST(CostOf, IsTokensAtThePriceOfTheModel) {
  const Prices prices({{"m", INT64_MIN, 2, 8, 0.5, 2.5}});
  auto call = CallOf(1'000'000, 500'000);
  EXPECT_DOUBLE_EQ(Cost(call, &prices), 6);
  call.push_back(Number("gen_ai.usage.reasoning.output_tokens", 400'000));
  EXPECT_DOUBLE_EQ(Cost(call, &prices), 6) << "contained in the output";
  call.push_back(Number("gen_ai.usage.cache_read.input_tokens", 600'000));
  EXPECT_DOUBLE_EQ(Cost(call, &prices), 0.4 * 2 + 0.6 * 0.5 + 4);
  call.push_back(Number("gen_ai.usage.cache_creation.input_tokens", 400'000));
  EXPECT_DOUBLE_EQ(Cost(call, &prices), 0.6 * 0.5 + 0.4 * 2.5 + 4);
  call[1].number = 999'999;
  EXPECT_DOUBLE_EQ(Cost(call, &prices), 0.999999 * 2 + 0.6 * 0.5 + 0.4 * 2.5 + 4) << "more than the input: beside it";
}

TEST(CostOf, IsUnknownWithoutPriceOrTokensAndWhatASpanSaysWins) {
  const Prices prices({PriceOf("m", 2, 8), PriceOf("free", 0, 0)});
  EXPECT_EQ(Cost(CallOf(1000, 10), nullptr), -1);
  EXPECT_EQ(Cost({Text("gen_ai.request.model", "m")}, &prices), -1);
  EXPECT_EQ(Cost({Number("gen_ai.usage.input_tokens", 5)}, &prices), -1) << "no model";
  auto call = CallOf(1'000'000, 0);
  call.push_back(Text("gen_ai.response.model", "free"));
  EXPECT_EQ(Cost(call, &prices), 0) << "the model that answered; free is a price";
  call.back().text = "unknown";
  EXPECT_EQ(Cost(call, &prices), -1);
  call.push_back(Number("gen_ai.usage.cost", 0.125));
  EXPECT_EQ(Cost(call, &prices), 0.125);
  call.back().number = -1;
  EXPECT_EQ(Cost(call, &prices), -1) << "no amount";
  for (const double absurd : {-1.0, 1e300, std::numeric_limits<double>::infinity(), std::nan("")})
    EXPECT_EQ(Cost(CallOf(absurd, 1'000'000), &prices), 8) << absurd;
}

// --- counts by model

TestSpan Call(const std::string& model, const std::string& input, const std::string& output) {
  TestSpan span;
  span.tags = {{"gen_ai.operation.name", "chat"},
               {"gen_ai.request.model", model},
               {"gen_ai.usage.input_tokens", input},
               {"gen_ai.usage.output_tokens", output}};
  return span;
}

class GenAiTest : public ::testing::Test {
 protected:
  void Send(TestSpan span) {
    span.id = span.trace = ++next_;
    driver_.Spans({std::move(span)});
  }
  // "service/model calls unpriced tokens... cost", "-" for what is absent.
  std::string Shown() {
    std::string out;
    const auto add = [&](const std::optional<double>& value) {
      char text[32] = " -";
      if (value) std::snprintf(text, sizeof text, " %g", *value);
      out += text;
    };
    for (const ModelCalls& each : driver_.engine().GetGenAi().models) {
      out += (out.empty() ? "" : "; ") + each.service + "/" + each.model;
      add(each.calls);
      add(each.unpriced);
      for (const auto& tokens : each.tokens) add(tokens);
      add(each.cost);
    }
    return out;
  }

  static Limits WithPrices(std::shared_ptr<const Prices> prices = Table({PriceOf("m", 2, 8)})) {
    Limits limits;
    limits.prices = std::move(prices);
    return limits;
  }

  EngineDriver driver_{WithPrices(), Set({})};
  std::uint64_t next_ = 0;
};

TEST_F(GenAiTest, CountsCallsTokensAndCost) {
  Send(Call("m", "1000000", "0"));
  TestSpan sampled = Call("m", "0", "1000000");
  sampled.weight = 10;
  sampled.tags.emplace_back("gen_ai.usage.cache_read.input_tokens", "0");
  Send(sampled);
  Send(Call("unknown", "5", "7"));
  Send({.service = "web", .tags = {{"gen_ai.response.model", "m"}, {"gen_ai.usage.reasoning_tokens", "9"}}});
  Send({.tags = {{"gen_ai.operation.name", "invoke_agent"}, {"gen_ai.usage.input_tokens", "99"}}});
  Send({.tags = {{"gen_ai.operation.name", "execute_tool"}}});
  Send({.tags = {{"gen_ai.conversation.id", "no call of a model"}}});
  Send({.tags = {{"http.request.method_original", "GET"}}});
  EXPECT_EQ(Shown(), "bot/m 11 0 1e+06 1e+07 0 - - 82; bot/unknown 1 1 5 7 - - - -; web/m 1 0 - - - - - -");
}

TEST_F(GenAiTest, NamesFromOutsideAreBoundedAndNeverTwice) {
  Send(Call(std::string(500, 'x'), "1", "1"));
  Send(Call("a\nb", "1", "1"));
  Send(
      Call("a\x01"
           "b",
           "1", "1"));
  Send(Call("", "1", "1"));
  EXPECT_EQ(Shown(), "bot/(unknown) 1 1 1 1 - - - -; bot/a_b 2 2 2 2 - - - -; bot/" + std::string(128, 'x') +
                         " 1 1 1 1 - - - -");
  for (int i = 0; i < 500; ++i) Send(Call("model-" + std::to_string(i), "1", "1"));
  Send(Call("(other)", "1", "1"));
  const GenAiView view = driver_.engine().GetGenAi();
  ASSERT_EQ(view.models.size(), 201u);
  EXPECT_EQ(view.models[0].service + view.models[0].model, "(other)(other)");
  EXPECT_EQ(view.models[0].calls, 500 - 197 + 1);
}

TEST_F(GenAiTest, IsForgottenWhenIdle) {
  Send(Call("m", "1", "1"));
  driver_.At(59 * kMinute);
  Send(Call("other", "1", "1"));
  driver_.At(62 * kMinute);
  EXPECT_EQ(Shown(), "bot/other 1 1 1 1 - - - -");
}

TEST_F(GenAiTest, ASpanOverTheLimitOfItsTraceCounts) {
  Limits limits = WithPrices();
  limits.max_spans_per_trace = 1;
  driver_.Reload(Set({}), limits);
  TestSpan first = Call("m", "1", "0"), second = first;
  second.id = 2;
  driver_.Spans({first, second});
  EXPECT_EQ(Shown(), "bot/m 2 0 2 0 - - - 4e-06");
}

TEST_F(GenAiTest, ACheckpointKeepsItAndAStartShowsWhatCameSince) {
  Send(Call("m", "1000000", "0"));
  Send(Call("unknown", "1", "1"));
  Decoded reload;
  reload.limits = std::make_shared<Limits>(WithPrices());
  reload.rules = Set({});
  Engine again({}, Set({}));
  ASSERT_TRUE(again.Restore(reload, driver_.engine().Checkpoint()));
  EXPECT_EQ(again.Checkpoint(), driver_.engine().Checkpoint());
  driver_.engine().MarkStart();
  EXPECT_EQ(Shown(), "bot/m 0 0 0 0 - - - 0; bot/unknown 0 0 0 0 - - - -") << "unpriced is never 0";
  Send(Call("m", "500000", "0"));
  EXPECT_EQ(Shown(), "bot/m 1 0 500000 0 - - - 1; bot/unknown 0 0 0 0 - - - -");
}

TEST_F(GenAiTest, AReloadBringsOtherPrices) {
  Send(Call("m", "1000000", "0"));
  driver_.Reload(Set({}), WithPrices(Table({PriceOf("m", 3, 8)})));
  Send(Call("m", "1000000", "0"));
  EXPECT_EQ(Shown(), "bot/m 2 0 2e+06 0 - - - 5");
  driver_.Reload(Set({}), WithPrices(nullptr));
  Send(Call("m", "1000000", "0"));
  EXPECT_EQ(Shown(), "bot/m 3 1 3e+06 0 - - - 5");
}

// --- budgets

TEST(CostRule, ChargesThePriceOfTheDayAndNamesTheModelThatHasNone) {
  Limits limits;
  limits.prices = Table({PriceOf("m", 2, 8)});
  EngineDriver driver(limits, Set({WindowRule(Measure::kCost, 1, 2)}));
  std::uint64_t id = 0;
  const auto send = [&](TestSpan span) {
    span.id = span.trace = ++id;
    span.start_ns = driver.now_ns();
    driver.Spans({std::move(span)});
  };
  send(Call("m", "500000", "0"));
  TestSpan wrapper = Call("m", "500000", "0");
  wrapper.tags[0].second = "invoke_agent";
  send(wrapper);
  driver.At(2 * kSecond);
  EXPECT_EQ(driver.Told(), "") << "exactly the budget";
  send(Call("other\n", "500000", "0"));
  driver.At(4 * kSecond);
  const RuleStatus status = driver.engine().GetRuleStatus().at(0);
  EXPECT_EQ(status.unpriced_spans, 1u);
  EXPECT_NE(status.last_error.find("\"other"), std::string::npos) << status.last_error;
  send(Call("m", "1", "0"));
  driver.At(6 * kSecond);
  EXPECT_EQ(driver.Told(), "firing Alert warning");
}

// --- a trace

TEST(TraceCost, IsThatOfItsCallsAndSaysHowManyHaveNoPrice) {
  TraceCopy trace;
  const auto add = [&](std::uint64_t id, std::uint64_t parent, std::vector<AttributeCopy> own) {
    SpanCopy& span = trace.spans.emplace_back();
    span.span_id = {id};
    span.parent_id = {parent};
    span.start_ns = kStart + static_cast<std::int64_t>(id) * kMs;
    span.end_ns = kStart + 100 * kMs;
    span.attributes = std::move(own);
  };
  add(1, 0, {Text("gen_ai.operation.name", "invoke_agent"), Number("gen_ai.usage.input_tokens", 3'000'000)});
  add(2, 1, CallOf(1'000'000, 500'000));
  auto other = CallOf(2'000'000, 0);
  other[0].text = "other";
  add(3, 1, other);
  AnalysisOptions options;
  options.prices = Table({PriceOf("m", 2, 8), PriceOf("other", 1, 1, kStart + kDay)});
  const LlmAnalysis llm = *Analyse(trace, options).llm;
  ASSERT_EQ(llm.models.size(), 2u);
  EXPECT_EQ(llm.models[0].cost, 6);
  EXPECT_EQ(llm.models[0].unpriced_calls, 0u);
  EXPECT_FALSE(llm.models[1].cost) << "its price begins tomorrow";
  EXPECT_EQ(llm.models[1].unpriced_calls, 1u);
  EXPECT_EQ(llm.total.cost, 6);
  EXPECT_EQ(llm.total.unpriced_calls, 1u);
  EXPECT_EQ(llm.total.calls, 2u);
}

}  // namespace
}  // namespace spanwatch::core
