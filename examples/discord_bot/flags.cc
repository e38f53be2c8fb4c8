#include "examples/discord_bot/flags.h"

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <string_view>

namespace bot {
namespace {

constexpr char kUsage[] =
    R"(spanwatch-demo: a simulated Discord LLM bot, traced with Spanwatch. Ctrl-C ends it.

  --rate N            messages a second (5)
  --seed N            the same seed gives the same messages, latencies and failures (1)
  --messages N        end after so many messages
  --duration SECONDS  end after so many seconds
  --misbehave WHAT    auto: now and then all of it; none; or one without end: slow, deep, errors, leak (auto)
  --time-scale N      all latencies are divided by N (1)
  --threads N         messages handled at once (32)
  --service NAME      service.name of the spans (discord-bot)
  --endpoint URL      where the sidecar listens (TRACING_ENDPOINT, else the default socket)
)";

bool ParseNumber(const char* text, double low, double high, double* out) {
  char* end = nullptr;
  errno = 0;
  const double value = std::strtod(text, &end);
  if (end == text || *end != '\0' || errno != 0 || !std::isfinite(value) || value < low || value > high) return false;
  *out = value;
  return true;
}

bool ParseMisbehaviour(std::string_view text, Misbehaviour* out) {
  for (const Misbehaviour one : {Misbehaviour::kAuto, Misbehaviour::kNone, Misbehaviour::kSlow, Misbehaviour::kDeep,
                                 Misbehaviour::kErrors, Misbehaviour::kLeak}) {
    if (text == ToString(one)) {
      *out = one;
      return true;
    }
  }
  return false;
}

// Returns what is allowed if the value is not; null if the flag was taken.
const char* SetFlag(std::string_view name, const char* value, Flags* flags) {
  double number = 0;
  if (name == "--rate") {
    return ParseNumber(value, 0.001, 100'000, &flags->rate) ? nullptr : "a number from 0.001 to 100000";
  }
  if (name == "--duration") {
    return ParseNumber(value, 0, 1e9, &flags->duration_s) ? nullptr : "seconds, 0 or more";
  }
  if (name == "--time-scale") {
    return ParseNumber(value, 0.01, 1e6, &flags->time_scale) ? nullptr : "a number from 0.01 to 1000000";
  }
  if (name == "--seed" || name == "--messages") {
    if (!ParseNumber(value, 0, 1e15, &number) || number != std::floor(number)) return "a whole number, 0 or more";
    (name == "--seed" ? flags->seed : flags->messages) = static_cast<std::uint64_t>(number);
    return nullptr;
  }
  if (name == "--threads") {
    if (!ParseNumber(value, 1, 256, &number)) return "a number from 1 to 256";
    flags->threads = static_cast<unsigned>(number);
    return nullptr;
  }
  if (name == "--service" || name == "--endpoint") {
    (name == "--service" ? flags->service : flags->endpoint) = value;
    return nullptr;
  }
  if (name == "--misbehave") {
    return ParseMisbehaviour(value, &flags->misbehave) ? nullptr : "auto, none, slow, deep, errors or leak";
  }
  return "one of the flags that --help lists";
}

}  // namespace

Parsed ParseFlags(int argc, char** argv, Flags* flags, std::string* text) {
  for (int i = 1; i < argc; ++i) {
    std::string name = argv[i];
    if (name == "--help" || name == "-h") {
      *text = kUsage;
      return Parsed::kHelp;
    }
    std::string value;
    const std::size_t equals = name.find('=');
    if (equals != std::string::npos) {
      value = name.substr(equals + 1);
      name.resize(equals);
    } else if (i + 1 < argc) {
      value = argv[++i];
    }
    if (const char* allowed = SetFlag(name, value.c_str(), flags)) {
      *text = "spanwatch-demo: " + name + " '" + value + "' is not " + allowed + "\n";
      return Parsed::kBad;
    }
  }
  return Parsed::kRun;
}

}  // namespace bot
