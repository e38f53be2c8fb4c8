// A Discord message as the gateway hands it over. A value.
#ifndef EXAMPLES_DISCORD_BOT_MESSAGE_H_
#define EXAMPLES_DISCORD_BOT_MESSAGE_H_

#include <cstdint>
#include <string>

namespace bot {

struct Message {
  std::uint64_t number = 0;     // 1, 2, 3, ...: of this run
  std::uint64_t author_id = 0;  // who wrote it: never leaves the program as it is
  std::uint64_t channel_id = 0;
  std::string content;  // never leaves the program
  int attachments = 0;
  int reply_chain = 0;  // how many messages it answers to, one behind the other
};

}  // namespace bot

#endif  // EXAMPLES_DISCORD_BOT_MESSAGE_H_
