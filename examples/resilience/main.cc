// A circuit breaker around a model that keeps failing, exact allocation counts, and what the SDK says of itself; quoted
// by docs/sdk.md.
#include <spanwatch/circuit_breaker.h>
#include <spanwatch/count_allocations.h>  // in one source file of the program, and nowhere else
#include <spanwatch/spanwatch.h>

#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>

namespace {

struct Model {
  // It is down.
  std::string Generate(const std::string& prompt) { throw std::runtime_error("no answer to " + prompt); }
  void GenerateLater(const std::string& prompt, const std::function<void(bool good)>& done) { done(!prompt.empty()); }
};

std::string Ask(Model* model, const std::string& prompt) {
  static spanwatch::CircuitBreaker breaker("model");  // five failures in a row open it for 30 s
  auto answer = breaker.Run([&] { return model->Generate(prompt); });
  if (answer.refused()) return "The model is not well. Try again in a minute.";
  return *answer;
}

spanwatch::CircuitBreakerOptions Careful() {
  spanwatch::CircuitBreakerOptions options;
  options.failure_rate = 0.5;  // or: half of the calls of the last 10 s, if there were 20
  options.window_ms = 10000;
  options.minimum_calls = 20;
  options.reset_ms = 5000;
  options.probes = 2;           // two calls at once try whether it is well again,
  options.probe_successes = 3;  // and three good ones close it
  options.on_change = [](const spanwatch::BreakerChange& change) {
    std::printf("%.*s: %s -> %s (%s)\n", static_cast<int>(change.name.size()), change.name.data(),
                BreakerStateName(change.from), BreakerStateName(change.to), change.reason);
  };
  return options;
}

void AskLater(spanwatch::CircuitBreaker* breaker, Model* model) {
  if (auto permit = breaker->TryAcquire()) {
    model->GenerateLater("hello", [&permit](bool good) { good ? permit.Success() : permit.Failure(); });
  }
}

void ReportSelf() {
  const spanwatch::Stats stats = spanwatch::GetStats();
  std::printf("SDK: %.2f MB, %.3f s of CPU, fullest ring %.0f %%, keeps %.0f %% of the traces\n",
              static_cast<double>(stats.own_bytes) / (1 << 20), static_cast<double>(stats.sender_cpu_ns) / 1e9,
              stats.highest_ring_fill * 100, stats.sample_rate * 100);
  for (int i = 0; i < stats.drop_reasons; ++i) {
    if (stats.drops[i].spans > 0)
      std::printf("dropped: %llu spans, %s\n", static_cast<unsigned long long>(stats.drops[i].spans),
                  stats.drops[i].reason);
  }
}

}  // namespace

int main() {
  spanwatch::Options options;
  options.service_name = "resilience";
  spanwatch::Start(options);

  Model model;
  spanwatch::CircuitBreaker breaker("model.later", Careful());
  for (int i = 0; i < 8; ++i) {
    spanwatch::Span span("Bot.answer");
    try {
      std::printf("%s\n", Ask(&model, "hello").c_str());
    } catch (const std::runtime_error& error) {
      span.FailWithCurrentException();
      std::printf("failed: %s\n", error.what());
    }
    AskLater(&breaker, &model);
  }
  breaker.Open();
  const std::string cached =
      breaker.RunOr([&] { return model.Generate("hello"); }, [] { return std::string("cached"); });
  std::printf("%s\n", cached.c_str());
  ReportSelf();

  spanwatch::Shutdown();
  return cached == "cached" ? 0 : 1;
}
