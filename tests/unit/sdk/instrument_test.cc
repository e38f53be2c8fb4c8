#include "spanwatch/instrument.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "spanwatch/testing.h"

namespace spanwatch::test {

using ::spanwatch::testing::Capture;
using ::testing::ElementsAre;
using ::testing::SizeIs;

struct Prompt {
  std::string prompt;
  double temperature = 0;
  int max_tokens = 0;
};
struct Completion {
  std::string text;
  int input_tokens = 0;
  int output_tokens = 0;
};
struct Chat {
  std::string content;
};

class Llm {
 public:
  virtual ~Llm() = default;
  virtual std::string Ask(const std::string& prompt) = 0;
};

class GeminiService : public Llm {
 public:
  std::string Ask(const std::string& prompt) override { return "re: " + prompt; }
  Completion generateResponse(const Prompt& prompt) { return {"re: " + prompt.prompt, 12, 30}; }
  int Twice(int value) const noexcept { return 2 * value; }
  int Twice(int value) { return 2 * value + 1; }
  std::string Twice(const std::string& text) { return text + text; }
  std::unique_ptr<int> Consume(std::unique_ptr<int> value) { return value; }
  std::string& name() { return name_; }
  const std::string& Name() const { return name_; }
  void Nothing() { ++calls; }
  void Throw() { throw std::out_of_range("no such model"); }
  std::future<int> Later() {
    return std::async(std::launch::deferred, [] { return 7; });
  }
  std::error_code Save(bool works) {
    return works ? std::error_code() : std::make_error_code(std::errc::no_space_on_device);
  }
  int getStats() const { return 1; }
  void cleanup() {}
  std::string model() const { return "gemini-1.5-pro"; }
  std::string version() const { return "2.1"; }

  int calls = 0;

 private:
  std::string name_ = "gemini";
};

namespace {

template <typename T>
struct Cache {
  T Find(T key) { return key; }
};

struct Uncopyable {
  explicit Uncopyable(int v) : value(v) {}
  Uncopyable(Uncopyable&&) = delete;
  int value;
};
struct Maker {
  Uncopyable Make(int value) { return Uncopyable(value); }
  int operator()(int value) const { return value; }
  template <typename T>
  T operator[](T value) {
    return value;
  }
  bool operator>>(int) const { return true; }
  void operatorStatus() {}
};

TEST(NamesTest, OperationNamesAreMadeFromTheMethod) {
  EXPECT_EQ((OperationName<GeminiService, &GeminiService::generateResponse>()), "GeminiService.generateResponse");
  EXPECT_EQ((OperationName<GeminiService, &Llm::Ask>()), "GeminiService.Ask");
  EXPECT_EQ((OperationName<GeminiService, static_cast<int (GeminiService::*)(int)>(&GeminiService::Twice)>()),
            "GeminiService.Twice");
  EXPECT_EQ((OperationName<GeminiService, Overload<std::string(const std::string&)>(&GeminiService::Twice)>()),
            "GeminiService.Twice");
  EXPECT_EQ((OperationName<Cache<std::vector<int>>, &Cache<std::vector<int>>::Find>()), "Cache.Find");
  static_assert(OperationName<Maker, &Maker::Make>() == "Maker.Make");
  EXPECT_EQ((OperationName<Maker, &Maker::operator()>()), "Maker.operator()");
  EXPECT_EQ((MethodName < &Maker::operator[]<int> >().substr(0, 10)), "operator[]");
  EXPECT_EQ((MethodName < &Maker::operator>>>()), "operator>>");
  EXPECT_EQ((MethodName<&Maker::operatorStatus>()), "operatorStatus");
  EXPECT_EQ(TypeName<GeminiService>(), "spanwatch::test::GeminiService");
  EXPECT_EQ(TypeName<int>(), "int");
}

TEST(NamesTest, SkipPatternsAreWords) {
  using internal::MatchesMethod;
  EXPECT_TRUE(MatchesMethod("getStats", "get*"));
  EXPECT_TRUE(MatchesMethod("GetStats", "get*"));
  EXPECT_TRUE(MatchesMethod("get_stats", "get*"));
  EXPECT_TRUE(MatchesMethod("get", "get*"));
  EXPECT_FALSE(MatchesMethod("getaway", "get*"));
  EXPECT_FALSE(MatchesMethod("forget", "get*"));
  EXPECT_TRUE(MatchesMethod("get_stats", "getStats"));
  EXPECT_TRUE(MatchesMethod("GetStats", "get_stats"));
  EXPECT_FALSE(MatchesMethod("getStatsNow", "getStats"));
  EXPECT_FALSE(MatchesMethod("getStat", "getStats"));
  EXPECT_TRUE(MatchesMethod("anything", "*"));
}

TEST(TraceTest, ANameThatIsNoLiteralIsCopied) {
  char buffer[32] = "job 1";
  const auto first = Trace(buffer, [] {});  // before any span: what is a literal is known even so
  Capture capture;
  std::snprintf(buffer, sizeof(buffer), "job 2");
  const auto second = Trace(buffer, [] {});
  const char* const pointer = buffer;
  const auto third = Trace(pointer, [] {});
  auto task = TraceTask(std::string_view(buffer), [] {});
  std::snprintf(buffer, sizeof(buffer), "something else");
  first();
  second();
  third();
  task();
  Trace("literal", [] {})();
  EXPECT_EQ(capture.Tree(), "job 1\njob 2\njob 2\njob 2\nliteral\n");
}

TEST(TraceTest, MethodsAsCallables) {
  Capture capture;
  Maker maker;
  const auto shared = std::make_shared<Maker>();
  {
    const Span root("root");
    int made = 0;
    std::thread([&made](auto bound, Maker* object) { made = bound(object, 4).value; }, Bind(&Maker::Make), &maker)
        .join();
    EXPECT_EQ(made, 4);
    std::thread(Bind(&Maker::operatorStatus), &maker).join();
    EXPECT_EQ(Trace("made", &Maker::Make)(maker, 5).value, 5);
    EXPECT_EQ(TraceTask("made", &Maker::operator())(shared, 6), 6);
  }
  EXPECT_EQ(capture.Tree(), "root\n  made\n  made\n");
}

TEST(InstrumentTest, CallsMakeChildSpansAndPassEverythingThrough) {
  Capture capture;
  GeminiService service;
  const Instrumented traced(&service);
  {
    Span root("root");
    EXPECT_EQ(traced.Call<&GeminiService::Ask>("hi"), "re: hi");
    traced.Call<&GeminiService::Nothing>();
    EXPECT_EQ(*traced.Call<&GeminiService::Consume>(std::make_unique<int>(5)), 5);
    std::string& name = traced.Call<&GeminiService::name>();
    EXPECT_EQ(&name, &service.name());
    static_assert(std::is_same_v<decltype(traced.Call<&GeminiService::Name>()), const std::string&>);
    EXPECT_EQ(&traced.Call<&GeminiService::Name>(), &service.name());
    EXPECT_EQ(traced.Call<Overload<int(int) const noexcept>(&GeminiService::Twice)>(4), 8);
    EXPECT_EQ(traced.Call<Overload<int(int)>(&GeminiService::Twice)>(4), 9);
    EXPECT_EQ(traced.Call<Overload<std::string(const std::string&)>(&GeminiService::Twice)>("ab"), "abab");
  }
  EXPECT_EQ(service.calls, 1);
  EXPECT_EQ(capture.Tree(),
            "root\n  GeminiService.Ask\n  GeminiService.Nothing\n  GeminiService.Consume\n  GeminiService.name\n"
            "  GeminiService.Name\n  GeminiService.Twice\n  GeminiService.Twice\n  GeminiService.Twice\n");
}

TEST(InstrumentTest, ResultsThatCannotBeMovedAreBuiltInPlace) {
  Capture capture;
  Maker maker;
  EXPECT_EQ(Instrumented(&maker).Call<&Maker::Make>(3).value, 3);
  EXPECT_THAT(capture.Named("Maker.Make"), SizeIs(1));
}

TEST(InstrumentTest, PointersSharedUniqueAndValuesAndConst) {
  Capture capture;
  auto shared = std::make_shared<GeminiService>();
  Instrument(shared).Call<&GeminiService::Nothing>();
  Instrument(std::make_unique<GeminiService>()).Call<&GeminiService::Nothing>();
  const auto value = Instrument(GeminiService());
  value.Call<&GeminiService::Nothing>();
  EXPECT_EQ(value->calls, 1);
  EXPECT_EQ(shared->calls, 1);
  const GeminiService constant;
  EXPECT_EQ(Instrumented(&constant).Call<Overload<int(int) const noexcept>(&GeminiService::Twice)>(1), 2);
  EXPECT_THAT(capture.Named("GeminiService.Nothing"), SizeIs(3));
  EXPECT_THAT(capture.Named("GeminiService.Twice"), SizeIs(1));
}

TEST(InstrumentTest, ExceptionsPassThroughAndAreRecorded) {
  Capture capture;
  GeminiService service;
  EXPECT_THROW(Instrumented(&service).Call<&GeminiService::Throw>(), std::out_of_range);
  const auto span = capture.One("GeminiService.Throw");
  EXPECT_TRUE(span.failed);
  EXPECT_EQ(span.error_type, "std::out_of_range");
  EXPECT_EQ(span.error_message, "no such model");
}

TEST(InstrumentTest, ResultsThatAreErrorsAreRecorded) {
  Capture capture;
  GeminiService service;
  Instrumented traced(&service);
  EXPECT_FALSE(traced.Call<&GeminiService::Save>(true));
  EXPECT_EQ(traced.Call<&GeminiService::Save>(false), std::errc::no_space_on_device);
  const auto spans = capture.Named("GeminiService.Save");
  ASSERT_THAT(spans, SizeIs(2));
  EXPECT_FALSE(spans[0].failed);
  EXPECT_TRUE(spans[1].failed);
  EXPECT_EQ(spans[1].error_type, "generic:28");
  EXPECT_EQ(spans[1].error_message, "No space left on device");
}

TEST(InstrumentTest, OptionsNameSkipAndTagEachCall) {
  Capture capture;
  GeminiService service;
  InstrumentOptions<GeminiService> options;
  options.name = "Model";
  options.skip_methods = {"cleanup", "get*"};
  options.service_tags = [](const GeminiService& of) {
    return TagList{{"serviceType", "custom"}, {"version", of.version()}, {"calls", of.calls}};
  };
  Instrumented traced(&service, options);
  traced.Call<&GeminiService::cleanup>();
  EXPECT_EQ(traced.Call<&GeminiService::getStats>(), 1);
  traced.Call<&GeminiService::Nothing>();
  traced.Call<&GeminiService::Nothing>();
  EXPECT_EQ(capture.Tree(), "Model.Nothing\nModel.Nothing\n");
  const auto span = capture.Spans()[1];
  EXPECT_EQ(span.tag("serviceType"), "custom");
  EXPECT_EQ(span.tag("service.version"), "2.1");
  EXPECT_FALSE(span.tag("version"));
  EXPECT_EQ(span.tag("calls"), 1);
}

TEST(InstrumentTest, TagsOfOneCallFromItsArguments) {
  Capture capture;
  GeminiService service;
  Instrumented traced(&service);
  traced.CallTagged<&GeminiService::Ask>(
      [](const auto& prompt) {
        return TagList{{"promptLength", prompt.size()}};
      },
      std::string("four"));
  traced.CallTagged<&GeminiService::Ask>([](Span& span, const auto&) { span.SetTag("by", "span"); }, std::string("x"));
  EXPECT_EQ(traced.CallTagged<&GeminiService::Ask>([](const auto&) -> TagList { throw 5; }, std::string("y")), "re: y");
  const auto spans = capture.Spans();
  ASSERT_THAT(spans, SizeIs(3));
  EXPECT_EQ(spans[0].tag("promptLength"), 4);
  EXPECT_EQ(spans[1].tag("by"), "span");
  EXPECT_FALSE(spans[2].failed);
  EXPECT_THAT(spans[2].logs, SizeIs(1));
}

TEST(InstrumentTest, ExtractorsAreNotAskedWithoutASpan) {
  GeminiService service;
  InstrumentOptions<GeminiService> options;
  int asked = 0;
  options.service_tags = [&](const GeminiService&) {
    ++asked;
    return TagList();
  };
  Instrumented traced(&service, options);
  EXPECT_EQ(traced.Call<&GeminiService::Ask>("hi"), "re: hi");
  EXPECT_EQ(traced.Call<&GeminiService::Later>().get(), 7);
  EXPECT_EQ(asked, 0);
}

TEST(InstrumentTest, LlmProfile) {
  Capture capture;
  GeminiService service;
  const auto traced = InstrumentLlm(&service);
  EXPECT_EQ(traced.Call<&GeminiService::generateResponse>(Prompt{"what is it?", 0.7, 256}).text, "re: what is it?");
  traced.Call<&GeminiService::Ask>("hello");
  traced.Call<&GeminiService::getStats>();
  traced.Call<&GeminiService::cleanup>();
  traced.Call<&GeminiService::model>();
  ASSERT_EQ(capture.Tree(), "GeminiService.generateResponse\nGeminiService.Ask\n");
  const auto span = capture.One("GeminiService.generateResponse");
  EXPECT_EQ(span.kind, SpanKind::kClient);
  const std::map<std::string, std::string> expected = {{"operationType", "ai_generation"},
                                                       {"gen_ai.operation.name", "generate_content"},
                                                       {"gen_ai.request.model", "gemini-1.5-pro"},
                                                       {"modelVersion", "gemini-1.5-pro"},
                                                       {"service.version", "2.1"},
                                                       {"promptLength", "11"},
                                                       {"temperature", "0.7"},
                                                       {"gen_ai.request.temperature", "0.7"},
                                                       {"gen_ai.request.max_tokens", "256"},
                                                       {"responseLength", "15"},
                                                       {"gen_ai.usage.input_tokens", "12"},
                                                       {"gen_ai.usage.output_tokens", "30"}};
  std::map<std::string, std::string> tags;
  for (const auto& [key, value] : span.tags) tags[key] = value.ToString();
  EXPECT_EQ(tags, expected);
  EXPECT_EQ(capture.One("GeminiService.Ask").tag("promptLength"), 5);
}

struct ConversationManager {
  std::vector<Chat> addMessage(const Chat& message) { return {message, message}; }
  int count() const { return 1; }
};
struct ContextManager {
  std::string buildContext(const Chat& message) { return message.content + "!"; }
  int clear() { return 0; }
};
struct HealthMonitor {
  bool checkAll() { return false; }
  bool isRunning() const { return true; }
};

TEST(InstrumentTest, ASetOfServicesWithTheirProfiles) {
  Capture capture;
  GeminiService gemini_service;
  auto conversation_manager = std::make_shared<ConversationManager>();
  ContextManager context_manager;
  HealthMonitor health_monitor;
  auto [gemini, conversation, context, health, plain] = InstrumentServices(
      {{"cleanup"}, {{"bot", "spark"}}}, InstrumentLlm(&gemini_service),
      InstrumentConversationManager(conversation_manager), InstrumentContextManager(&context_manager),
      InstrumentHealthMonitor(&health_monitor), &gemini_service);
  gemini.Call<&GeminiService::Ask>("hello");
  conversation.Call<&ConversationManager::addMessage>(Chat{"12345"});
  conversation.Call<&ConversationManager::count>();
  context.Call<&ContextManager::buildContext>(Chat{"1234"});
  context.Call<&ContextManager::clear>();
  health.Call<&HealthMonitor::checkAll>();
  health.Call<&HealthMonitor::isRunning>();
  plain.Call<&GeminiService::cleanup>();
  plain.Call<&GeminiService::getStats>();
  EXPECT_EQ(capture.Tree(),
            "GeminiService.Ask\nConversationManager.addMessage\nContextManager.buildContext\nHealthMonitor.checkAll\n"
            "GeminiService.getStats\n");
  EXPECT_EQ(capture.One("ConversationManager.addMessage").tag("operationType"), "conversation");
  EXPECT_EQ(capture.One("ConversationManager.addMessage").tag("messageLength"), 5);
  EXPECT_EQ(capture.One("ConversationManager.addMessage").tag("messageCount"), 2);
  EXPECT_EQ(capture.One("ContextManager.buildContext").tag("contextSize"), 5);
  EXPECT_EQ(capture.One("ContextManager.buildContext").tag("operationType"), "context_management");
  EXPECT_EQ(capture.One("HealthMonitor.checkAll").tag("healthy"), false);
  EXPECT_EQ(capture.One("HealthMonitor.checkAll").tag("operationType"), "health_check");
  EXPECT_EQ(capture.One("GeminiService.getStats").tag("bot"), "spark");
}

// A decorator over the interface: call sites keep their Llm&.
class TracedLlm final : public Llm {
 public:
  explicit TracedLlm(Llm* next) : next_(next) {}
  std::string Ask(const std::string& prompt) override { return next_.Call<&Llm::Ask>(prompt); }

 private:
  Instrumented<Llm, LlmProfile> next_;
};

TEST(InstrumentTest, ADecoratorOverTheInterface) {
  Capture capture;
  GeminiService service;
  TracedLlm traced(&service);
  Llm& llm = traced;
  EXPECT_EQ(llm.Ask("abc"), "re: abc");
  EXPECT_EQ(capture.One("Llm.Ask").tag("promptLength"), 3);
}

TEST(FutureTest, TheSpanOfAFutureEndsWithGetAndSaysSo) {
  Capture capture;
  GeminiService service;
  auto future = Instrumented(&service).Call<&GeminiService::Later>();
  { const Span other("other"); }
  EXPECT_THAT(capture.Named("GeminiService.Later"), SizeIs(0));
  EXPECT_EQ(future.get(), 7);
  EXPECT_EQ(capture.One("GeminiService.Later").tag("spanwatch.ended_by"), "future.get");
  EXPECT_FALSE(capture.One("other").parent_id.IsValid());
}

TEST(FutureTest, WaitReleaseAndDrop) {
  Capture capture;
  std::promise<int> promise;
  auto waited = Traced("waited", [&] { return promise.get_future(); });
  EXPECT_EQ(waited.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  EXPECT_THAT(capture.Spans(), SizeIs(0));
  promise.set_value(1);
  waited.wait();
  EXPECT_EQ(waited.get(), 1);
  EXPECT_EQ(capture.One("waited").tag("spanwatch.ended_by"), "future.wait");

  const std::future<int> plain = Traced("released", [] { return std::async(std::launch::deferred, [] { return 1; }); });
  EXPECT_TRUE(plain.valid());
  EXPECT_EQ(capture.One("released").tag("spanwatch.ended_by"), "future.released");

  {
    auto dropped = Traced("dropped", [] { return std::async(std::launch::deferred, [] { return 1; }); });
  }
  EXPECT_EQ(capture.One("dropped").tag("spanwatch.ended_by"), "future.dropped");

  std::shared_future<int> shared = std::async(std::launch::deferred, [] { return 3; }).share();
  EXPECT_EQ(Traced("shared", [&] { return shared; }).get(), 3);
  EXPECT_EQ(capture.One("shared").tag("spanwatch.ended_by"), "future.get");
}

TEST(FutureTest, ExceptionsOutOfGetAreRecorded) {
  Capture capture;
  auto future =
      Traced("work", [] { return std::async(std::launch::deferred, [] { throw std::runtime_error("late"); }); });
  EXPECT_THROW(future.get(), std::runtime_error);
  EXPECT_EQ(capture.One("work").error_message, "late");
  EXPECT_EQ(capture.One("work").error_type, "std::runtime_error");
}

int Free(int a) { return a + 1; }

TEST(TraceTest, FreeFunctionsLambdasAndStdFunction) {
  Capture capture;
  auto free = Trace("free", &Free);
  const auto lambda = Trace("lambda", [](Span& span, int a, const std::string& b) {
    span.SetTag("a", a);
    return b;
  });
  auto with_function = Trace(std::string("std::") + "function", std::function<int(int)>(Free));
  auto moved_only = Trace("moved", [p = std::make_unique<int>(9)]() -> int& { return *p; });
  EXPECT_EQ(free(1), 2);
  EXPECT_EQ(lambda(4, "b"), "b");
  EXPECT_EQ(with_function(2), 3);
  EXPECT_EQ(++moved_only(), 10);
  EXPECT_EQ(moved_only(), 10);
  const std::function<int(int)> stored = free;
  EXPECT_EQ(stored(5), 6);
  EXPECT_EQ(capture.Tree(), "free\nlambda\nstd::function\nmoved\nmoved\nfree\n");
  EXPECT_EQ(capture.One("lambda").tag("a"), 4);
}

TEST(TraceTest, ATaskEndsItsSpanWhenTheWorkEndsOnItsThread) {
  Capture capture;
  std::packaged_task<int()> works;
  std::packaged_task<int()> fails;
  {
    Span submitter("submitter");
    works = std::packaged_task<int()>(TraceTask("works", [] {
      const Span inner("inner");
      return 5;
    }));
    fails = std::packaged_task<int()>(TraceTask("fails", []() -> int { throw std::logic_error("bad"); }));
  }
  std::future<int> result = works.get_future();
  std::thread([&] {
    works();
    fails();
  }).join();
  EXPECT_EQ(result.get(), 5);
  EXPECT_EQ(capture.Tree(), "submitter\n  works\n    inner\n  fails!\n");
  EXPECT_EQ(capture.One("fails").error_type, "std::logic_error");
}

}  // namespace
}  // namespace spanwatch::test
