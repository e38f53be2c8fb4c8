#include "sidecar/notify/discord_url.h"

#include <gtest/gtest.h>

#include "sidecar/notify/notifier.h"
#include "tests/unit/notify/receivers.h"

namespace spanwatch::notify {
namespace {

TEST(DiscordUrl, AcceptsWhatUsersCopy) {
  const std::string tail = "/webhooks/123/tok-EN_1";
  for (const char* host : {"https://discord.com", "https://discordapp.com", "HTTPS://Discord.com"}) {
    for (const char* prefix : {"/api", "/api/v6", "/api/v10"}) {
      const auto url = ParseWebhookUrl(std::string(" ") + host + prefix + tail + "\n");
      ASSERT_TRUE(url) << host << prefix;
      EXPECT_EQ(url->origin, "https://discord.com");
      EXPECT_EQ(url->PostTarget(), "/api/v10/webhooks/123/tok-EN_1?wait=true");
      EXPECT_EQ(url->MessageTarget("9"), "/api/v10/webhooks/123/tok-EN_1/messages/9");
    }
  }
  EXPECT_EQ(ParseWebhookUrl("https://ptb.discordapp.com/api" + tail)->origin, "https://ptb.discord.com");
  EXPECT_EQ(ParseWebhookUrl("https://canary.discord.com/api" + tail)->origin, "https://canary.discord.com");
  EXPECT_EQ(ParseWebhookUrl("http://127.0.0.1:8080/api" + tail)->origin, "http://127.0.0.1:8080");
  EXPECT_EQ(ParseWebhookUrl("http://[::1]:8080/api" + tail)->origin, "http://[::1]:8080");
  EXPECT_EQ(ParseWebhookUrl("https://proxy.example:8443/discord" + tail)->path, "/discord" + tail);
}

TEST(DiscordUrl, KeepsTheThreadAndNothingElse) {
  const auto url = ParseWebhookUrl("https://discord.com/api/webhooks/1/t?wait=false&thread_id=42#x");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->PostTarget(), "/api/v10/webhooks/1/t?wait=true&thread_id=42");
  EXPECT_EQ(url->MessageTarget("9"), "/api/v10/webhooks/1/t/messages/9?thread_id=42");
}

TEST(DiscordUrl, RefusesWithoutTellingTheSecret) {
  for (const char* bad : {"",
                          "  ",
                          "SECRET",
                          "ftp://discord.com/api/webhooks/1/SECRET",
                          "http://discord.com/api/webhooks/1/SECRET",
                          "http://127.0.0.1.evil.org/api/webhooks/1/SECRET",
                          "http://10.0.0.1/api/webhooks/1/SECRET",
                          "https://discord.com",
                          "https://discord.com/api/webhooks/1",
                          "https://discord.com/api/webhooks/x/SECRET",
                          "https://discord.com/api/webhooks/1/SECRET/slack",
                          "https://discord.com/api/webhooks/1/SECRET/github",
                          "https://u:SECRET@discord.com/api/webhooks/1/SECRET",
                          "https://discord.com:99999/api/webhooks/1/SECRET",
                          "https://discord.com:/api/webhooks/1/SECRET",
                          "https://dis cord.com/api/webhooks/1/SECRET",
                          "https://discord.com/api/webhooks/1/SEC RET",
                          "https://discord.com/api/webhooks/1/SECRET?thread_id=SECRET",
                          "https:///api/webhooks/1/SECRET",
                          "https://discord.com/api/webhooks/1/SECRET\r\nHost: x",
                          "https://discord.com/../api/x y/webhooks/1/SECRET"}) {
    const auto url = ParseWebhookUrl(bad);
    ASSERT_FALSE(url) << bad;
    EXPECT_EQ(url.error().find("SECRET"), std::string::npos) << bad;
    EXPECT_NE(url.error().find("expected https://discord.com/api/webhooks/ID/TOKEN"), std::string::npos);
    EXPECT_EQ(UrlProblem(DiscordReceiver("d", bad)), url.error());
  }
  EXPECT_FALSE(ParseWebhookUrl("https://discord.com/api/webhooks/1/" + std::string(3000, 'a')));
  EXPECT_EQ(UrlProblem(DiscordReceiver("d", "https://discord.com/api/webhooks/1/t")), "");
}

TEST(DiscordUrl, RemovesSecrets) {
  const auto url = ParseWebhookUrl("https://discord.com/api/webhooks/1/SECRET");
  EXPECT_EQ(RemoveSecrets("x SECRET y /api/v10/webhooks/1/SECRET z", *url), "x <secret> y <secret> z");
}

}  // namespace
}  // namespace spanwatch::notify
