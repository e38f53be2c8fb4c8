#include "examples/discord_bot/model.h"

#include <cmath>

#include "examples/discord_bot/errors.h"
#include "examples/discord_bot/simulation.h"

namespace bot {
namespace {

constexpr double kFailsInGoodWeather = 0.01;
constexpr double kFailsInBadWeather = 0.9;

[[noreturn]] void Fail(Scene& scene) {
  switch (scene.random().Next() % 8) {
    case 0:
      throw SafetyFilterError("the answer was blocked by the safety filter");
    case 1:
    case 2:
      throw RateLimitError("429 from the model: quota exceeded, retry after 2 s");
    default:
      scene.Latency(250);
      throw TimeoutError("the model did not answer in time");
  }
}

}  // namespace

Completion GenerateContent(const std::string& prompt) {
  Scene& scene = Scene::Current();
  Random& random = scene.random();
  const bool very_slow = scene.weather().slow && scene.number() % 5 == 0;
  if (very_slow) {
    scene.simulation().Pause(random.Uniform(5'300, 6'800));
  } else if (scene.weather().slow) {
    scene.simulation().Pause(random.Uniform(1'200, 2'600));
  } else {
    scene.Latency(260);
  }
  if (random.Chance(scene.weather().failing ? kFailsInBadWeather : kFailsInGoodWeather)) Fail(scene);
  Completion completion;
  completion.input_tokens = static_cast<int>(prompt.size() / 4) + 1;
  completion.output_tokens = static_cast<int>(std::fmin(random.LogNormal(140, 0.6), 2'000));
  completion.text.assign(static_cast<std::size_t>(completion.output_tokens) * 4, 'x');
  return completion;
}

}  // namespace bot
