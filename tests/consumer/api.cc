// Something out of every public header, so that what an installed header needs is installed and exported.
#include <spanwatch/circuit_breaker.h>
#include <spanwatch/coroutine.h>
#include <spanwatch/discord.h>
#include <spanwatch/instrument.h>
#include <spanwatch/propagation.h>
#include <spanwatch/spanwatch.h>
#include <spanwatch/testing.h>

#include <future>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

struct Service {
  int Work(int number) { return number + 1; }
};

struct Message {
  std::string content = "hello";
  struct {
    std::string id = "80351110224678912";
  } author;
  std::vector<int> attachments;
};

}  // namespace

int UseAllHeaders() {
  spanwatch::testing::Capture capture;
  const Message message;
  std::map<std::string, std::string> headers;
  spanwatch::WrapMessageHandler([&headers](const Message&) {
    const spanwatch::CorrelationScope correlation("order-17");
    Service service;
    const spanwatch::Instrumented traced(&service);
    traced.Call<&Service::Work>(1);
    spanwatch::Context::Current().SetTags({{"shard", 3}});
    spanwatch::Context::Current().AddLog(spanwatch::LogLevel::kInfo, "a log", {{"size", 12}});
    std::thread(spanwatch::Bind([] { spanwatch::Span("bound").SetTag("ratio", 0.5); })).join();
    spanwatch::Traced("future", [] { return std::async(std::launch::deferred, [] { return 1; }); }).get();
    spanwatch::WithNewContext({{"source", "job"}}, [] {});
    spanwatch::InjectInto(headers);
    spanwatch::CoroutineContext context;
    context.Leave();
  })(message);
  try {
    spanwatch::Span remote("remote", spanwatch::SpanKind::kServer, spanwatch::ExtractFrom(headers));
    throw std::runtime_error("broken");
  } catch (const std::exception&) {
  }
  spanwatch::SetGauge("queue", {{"name", "jobs"}}, 3);
  const bool pseudonym = spanwatch::HashUserId(7).size() == 34;
  const bool failed = capture.One("remote").failed && !capture.One("remote").tag("no such tag");
  return pseudonym && failed && capture.One("job").links.size() == 1 && capture.Named("Service.Work").size() == 1 ? 0
                                                                                                                  : 2;
}
