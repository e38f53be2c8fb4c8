// What Discord refuses, written down a second time and independently of the renderer: for tests.
#ifndef SPANWATCH_TESTS_UNIT_NOTIFY_DISCORD_CHECK_H_
#define SPANWATCH_TESTS_UNIT_NOTIFY_DISCORD_CHECK_H_

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace spanwatch::notify {

// UTF-16 units, by decoding: nlohmann::json::parse has already refused invalid UTF-8.
inline std::size_t CountUtf16(const std::string& text) {
  std::size_t units = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const std::size_t length = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    units += length == 4 ? 2 : 1;
    i += length;
  }
  return units;
}

class DiscordCheck {
 public:
  explicit DiscordCheck(const std::string& body) {
    const auto message = nlohmann::json::parse(body, nullptr, false);
    if (!message.is_object()) {
      Problem("not a JSON object");
      return;
    }
    CheckMentions(message);
    if (message.contains("content")) Text(message["content"], "content", 2000);
    std::size_t total = 0;
    const auto embeds = message.value("embeds", nlohmann::json::array());
    if (embeds.size() > 10) Problem("too many embeds");
    for (const auto& embed : embeds) total += Embed(embed);
    if (total > 6000) Problem("sum of the embeds is " + std::to_string(total));
    if (embeds.empty() && !message.contains("content")) Problem("empty message");
  }

  const std::vector<std::string>& problems() const { return problems_; }

 private:
  void Problem(const std::string& text) { problems_.push_back(text); }

  // Nobody, or the one role that the content names.
  void CheckMentions(const nlohmann::json& message) {
    nlohmann::json allowed = {{"parse", nlohmann::json::array()}};
    const std::string content = message.value("content", "");
    if (content.starts_with("<@&")) {
      const std::string role = content.substr(3, content.find('>') - 3);
      if (role.empty() || role.find_first_not_of("0123456789") != std::string::npos) Problem("no role: " + role);
      allowed["roles"] = {role};
    }
    if (message.value("allowed_mentions", nlohmann::json()) != allowed) Problem("allowed_mentions: " + message.dump());
  }

  std::size_t Text(const nlohmann::json& value, const std::string& where, std::size_t limit) {
    if (!value.is_string()) {
      Problem(where + " is not a string");
      return 0;
    }
    const auto text = value.get<std::string>();
    const std::size_t length = CountUtf16(text);
    if (length > limit) Problem(where + " has " + std::to_string(length) + " units");
    if (text.find_first_not_of(" \n") == std::string::npos) Problem(where + " is empty");
    for (const char c : text) {
      if (static_cast<unsigned char>(c) < 0x20 && c != '\n') Problem(where + " has a control character");
    }
    // What would reorder or hide text, and what would call people. The zero-width space after "@" is ours.
    for (const char* bad : {"\u202e", "\u202a", "\u2066", "\u200d", "\u200f", "\ufeff", "@everyone", "@here"}) {
      if (text.find(bad) != std::string::npos) Problem(where + " has a dangerous sequence");
    }
    return length;
  }

  std::size_t Embed(const nlohmann::json& embed) {
    std::size_t total = 0;
    if (embed.contains("title")) total += Text(embed["title"], "title", 256);
    if (embed.contains("description")) total += Text(embed["description"], "description", 4096);
    if (embed.contains("footer")) total += Text(embed["footer"]["text"], "footer", 2048);
    const auto fields = embed.value("fields", nlohmann::json::array());
    if (fields.size() > 25) Problem("too many fields");
    for (const auto& field : fields) {
      total += Text(field["name"], "field name", 256);
      total += Text(field["value"], "field " + field["name"].dump(), 1024);
    }
    const auto color = embed.value("color", nlohmann::json());
    if (!color.is_number_integer() || color < 0 || color > 0xFFFFFF) Problem("bad color");
    return total;
  }

  std::vector<std::string> problems_;
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_TESTS_UNIT_NOTIFY_DISCORD_CHECK_H_
