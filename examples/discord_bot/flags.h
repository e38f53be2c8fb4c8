// The command line of spanwatch-demo.
#ifndef EXAMPLES_DISCORD_BOT_FLAGS_H_
#define EXAMPLES_DISCORD_BOT_FLAGS_H_

#include <cstdint>
#include <string>

#include "examples/discord_bot/simulation.h"

namespace bot {

struct Flags {
  std::uint64_t seed = 1;
  double rate = 5;             // messages a second
  double duration_s = 0;       // 0: no end
  std::uint64_t messages = 0;  // 0: no end
  double time_scale = 1;       // all latencies are divided by it
  unsigned threads = 32;       // messages handled at once
  std::string service = "discord-bot";
  std::string endpoint;  // empty: TRACING_ENDPOINT, else the default socket
  Misbehaviour misbehave = Misbehaviour::kAuto;
};

enum class Parsed : std::uint8_t { kRun, kHelp, kBad };

// Fills *flags. After kHelp and kBad *text says what to print.
Parsed ParseFlags(int argc, char** argv, Flags* flags, std::string* text);

}  // namespace bot

#endif  // EXAMPLES_DISCORD_BOT_FLAGS_H_
