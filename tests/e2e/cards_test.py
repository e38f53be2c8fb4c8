"""The bot misbehaves in each way that a default rule knows: Discord gets one correct card for it, edited as it grows, green
when it is over. The shipped rules with all times divided by 60."""
import re
import unittest
import urllib.request

import discord_text
import harness

RED, ORANGE, GREEN = 0xD93025, 0xF29900, 0x1E8E3E


class CardsTest(harness.TestCase):
    def Misbehave(self, what, *flags, sets=()):
        """Starts everything; sets self.discord, self.sidecar, self.bot."""
        self.discord = self.Discord()
        self.sidecar = self.Sidecar(rules=self.FastRules(), discord=self.discord.url,
                                    sets=["alerts.update_interval=500ms", "route.growth_interval=500ms", *sets])
        self.bot = self.Bot("--misbehave", what, *flags)

    def Live(self, alertname, where):
        """The live message of that incident (not one that was cut to a link), None if there is none."""
        found = [message for message in self.discord.live()
                 if message.embeds and alertname in message.title and where in message.title]
        return found[-1] if found else None

    def WaitFor(self, alertname, where, condition, what):
        def Look():
            message = self.Live(alertname, where)
            return message if message and condition(message) else None

        return harness.wait_until(Look, f"{alertname} of {where!r}: {what}", 90, self.Situation)

    def Situation(self):
        messages = "\n".join(f"{message.title or message.content} {message.fields()} {len(message.edits)} edits"
                             for message in self.discord.live())
        return f"{messages}\n{self.sidecar.Get('/api/v1/alerts')}\n{self.bot.Output()}\n{self.sidecar.Output()}"

    def AssertCard(self, message, severity, value, limit, operation=None, count=r"^(once|\d+ times)$"):
        """What, where, value against threshold, since when, how often, the slowest trace, and whether spans were lost."""
        fields = self.Fields(message)
        self.assertTrue(message.title.startswith(f"{severity.capitalize()}: "), message.title)
        self.assertEqual(message.color, RED if severity == "critical" else ORANGE)
        self.assertRegex(fields["Value"], value)
        self.assertIn(limit, fields["Value"])
        self.assertRegex(message.fields()["Since"], r"<t:\d+:R>")
        self.assertRegex(fields["How often"], count)
        self.assertIn("no spans lost", message.embeds[0]["footer"]["text"])
        self.assertTrue(message.embeds[0]["description"])
        self.assertEqual(message.pings, [])
        self.assertEqual(message.warnings, [])
        if operation:
            self.assertIn(f"{operation} in discord-bot", discord_text.plain(message.title))

    def Fields(self, message):
        """As Discord shows them."""
        return {name: discord_text.plain(value) for name, value in message.fields().items()}

    def AssertLinkOpens(self, message, text):
        link = re.search(r"\]\((http[^)]+/trace/[0-9a-f]{32})\)", " ".join(text for name, text in message.fields().items() if name.endswith(" trace"))).group(1)
        with urllib.request.urlopen(link, timeout=10) as answer:
            self.assertIn("text/html", answer.headers["Content-Type"])
            self.assertIn(text, answer.read().decode())

    def AssertGrowsAndEnds(self, alertname, where):
        self.WaitFor(alertname, where, lambda m: len(m.edits) >= 2, "edited as it grows")
        harness.Summary(self.bot)
        message = self.WaitFor(alertname, where, lambda m: m.color == GREEN, "green when it is over")
        self.assertTrue(message.title.startswith("Resolved: "), message.title)
        self.assertTrue(message.fields()["Lasted"])
        self.assertTrue(all(not edit["pings"] for edit in message.edits))
        # One live message an incident (a busy machine may make two of it, with a pause between), nothing that Discord refused.
        live = [m for m in self.discord.live() if m.embeds and alertname in m.title and where in m.title]
        incidents = [alert for alert in self.sidecar.Alerts() if alert["labels"]["alertname"] == alertname and
                     where in (alert["labels"].get("operation"), alert["labels"].get("service"))]
        self.assertEqual(len(live), len(incidents), self.Situation())
        self.assertLessEqual({request.status for request in self.discord.requests}, {200, 204, 429})
        return message

    def testSlow(self):
        self.Misbehave("slow", "--rate", 4)
        operation = "GeminiService.callModel"
        first = self.WaitFor("SlowOperation", operation, lambda m: True, "a card")
        if first.color == ORANGE:
            self.AssertCard(first, "warning", r"\b[1-5]\.\d+ s", "limit 1 s", operation)
            self.AssertLinkOpens(first, operation)
        critical = self.WaitFor("SlowOperation", operation, lambda m: m.color == RED, "critical")
        self.AssertCard(critical, "critical", r"[5-9]\.\d+ s", "limit 5 s", operation)
        self.AssertLinkOpens(critical, operation)
        if critical.id != first.id:
            # The rise was a new message, because edits notify nobody; the old one is cut to a link.
            harness.wait_until(lambda: [m for m in self.discord.live() if m.id == first.id and not m.embeds and m.content],
                               "the warning's message cut", also=self.Situation)
        ended = self.AssertGrowsAndEnds("SlowOperation", operation)
        self.assertIn("critical", ended.fields()["Severity"])

    def testDeep(self):
        self.Misbehave("deep", "--rate", 8, "--time-scale", 4)
        # It fires while the recursion goes on, and is named after the root, whether that has ended or is told to be open.
        message = self.WaitFor("DeepCallStack", "", lambda m: m.color == RED, "critical")
        operation = "messageCreate"
        self.AssertCard(message, "critical", r"\b(1[6-8]|2[5-8])\b", "limit 25", operation)
        self.AssertLinkOpens(message, "ContextManager.resolveReplyChain")
        self.AssertGrowsAndEnds("DeepCallStack", operation)

    def testErrors(self):
        self.Misbehave("errors", "--rate", 20, "--time-scale", 4)
        message = self.WaitFor("HighErrorRate", "discord-bot", lambda m: m.color == RED, "critical")
        self.AssertCard(message, "critical", r"[2-4]\d(\.\d+)? %", "limit 20 %", count=r"^\d+ spans in 5 s$")
        self.assertTrue(message.title.endswith(": discord-bot"), message.title)
        self.assertRegex(message.fields()["Last error"], "TimeoutError|RateLimitError|SafetyFilterError")
        self.AssertGrowsAndEnds("HighErrorRate", "discord-bot")

    def testLeak(self):
        self.Misbehave("leak", "--rate", 20, "--time-scale", 4)
        message = self.WaitFor("MemoryGrowth", "messageCreate", lambda m: m.color == RED, "critical")
        self.AssertCard(message, "critical", r"\d+(\.\d+)? MB", "limit 500 MB", "messageCreate")
        self.AssertLinkOpens(message, "AttachmentService.load")
        self.AssertGrowsAndEnds("MemoryGrowth", "messageCreate")

    def testStoreNearlyFull(self):
        self.Misbehave("none", "--rate", 300, "--time-scale", 50, sets=["store.memory_limit=1MB", "store.ttl=5s", "store.max_traces=100000"])
        message = self.WaitFor("TraceStoreNearLimit", "", lambda m: m.color == ORANGE, "a card")
        self.assertRegex(self.Fields(message)["Value"], r"\d+(\.\d+)? %")
        self.assertIn("limit 90 %", self.Fields(message)["Value"])
        harness.Summary(self.bot)
        message = self.WaitFor("TraceStoreNearLimit", "", lambda m: m.color == GREEN, "green when it is over")
        self.assertTrue(message.title.startswith("Resolved: "), message.title)

    def testDiscordInTrouble(self):
        """Rate limits, server faults and a broken connection: the card comes all the same, once."""
        self.Misbehave("none", "--rate", 20, "--time-scale", 10)
        self.discord.fault("429", retry_after=0.3)
        self.discord.fault("500", count=2)
        self.discord.fault("close")
        trouble = self.Bot("--misbehave", "deep", "--rate", 8, "--time-scale", 10, "--service", "deep-bot")
        self.WaitFor("DeepCallStack", "deep-bot", lambda m: m.color == RED, "critical")
        harness.Summary(trouble)
        self.WaitFor("DeepCallStack", "deep-bot", lambda m: m.color == GREEN, "green when it is over")
        statuses = [request.status for request in self.discord.requests]
        self.assertEqual(sorted(status for status in statuses if status not in (0, 200)), [429, 500, 500])
        metrics = self.sidecar.Metrics()
        self.assertGreaterEqual(metrics['spanwatch_notifications_retried_total{receiver="discord"}'], 3)

    def testGoodWeatherIsQuiet(self):
        self.Misbehave("none", "--rate", 50, "--messages", 500, "--time-scale", 4, "--seed", 3)
        self.assertEqual(self.bot.Wait(), 0, self.bot.Output())
        emitted = harness.Summary(self.bot)["spans emitted"]
        harness.wait_until(lambda: self.sidecar.Books()["applied"] == emitted, "all spans", also=self.Situation)
        self.assertEqual(self.sidecar.Stop(), 0)
        self.assertEqual([message.title for message in self.discord.live()], [])


class KilledTest(CardsTest):
    """kill -9 between the card and its end: nothing is posted twice, nothing is forgotten."""
    testSlow = testDeep = testErrors = testLeak = testStoreNearlyFull = testDiscordInTrouble = testGoodWeatherIsQuiet = None

    def testACardOutlivesTheSidecar(self):
        state = f"state_dir={self.Path('state')}"
        self.Misbehave("slow", "--rate", 4, sets=[state])
        operation = "GeminiService.callModel"
        card = self.WaitFor("SlowOperation", operation, lambda m: m.color == RED, "critical")
        # Those of the spans above it follow at once. Killed between a post and the writing down of its answer, it would post again.
        for above in ("GeminiService.generateResponse", "messageCreate"):
            self.WaitFor("SlowOperation", above, lambda m: m.color == RED, "critical")
        posted = 'spanwatch_notifications_posted_total{receiver="discord"}'
        posts = harness.wait_until(lambda: self.sidecar.Metrics()[posted] == len(self.Posts()) and len(self.Posts()),
                                   "each answer written down", also=self.Situation)
        self.sidecar.Kill()
        self.sidecar = self.Sidecar(port=self.sidecar.port, rules=self.FastRules(), discord=self.discord.url,
                                    sets=["alerts.update_interval=500ms", "route.growth_interval=500ms", state])
        edits = len(card.edits)
        self.WaitFor("SlowOperation", operation, lambda m: m.id == card.id and len(m.edits) > edits, "edited by the next life")
        harness.Summary(self.bot)
        self.sidecar.Kill()
        self.sidecar = self.Sidecar(port=self.sidecar.port, rules=self.FastRules(), discord=self.discord.url, sets=[state])
        self.WaitFor("SlowOperation", operation, lambda m: m.id == card.id and m.color == GREEN, "green when it is over")
        self.assertEqual(len(self.Posts()), posts, self.Situation())

    def Posts(self):
        return [r for r in self.discord.requests if r.method == "POST" and r.status in (200, 204) and "SlowOperation" in r.body]


if __name__ == "__main__":
    unittest.main()
