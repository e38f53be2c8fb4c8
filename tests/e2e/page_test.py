"""The pages in a real browser: they load without a complaint, show what the API says, link to each other, run nothing
that came from outside, and fit a small screen. With SPANWATCH_PICTURES=DIRECTORY the pages are kept as pictures."""
import json
import os
import time
import unittest
import urllib.request

import browser
import harness

RULES = """groups:
  - name: mine
    rules:
      - alert: Slow
        measure: span.duration
        thresholds: { warning: 20ms, critical: 10m }
        annotations: { summary: "{{ operation }} took {{ value }}" }
"""
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


class PageTest(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.browser = browser.Browser(self.Path("browser"))
        self.addCleanup(self.browser.Close)

    def Picture(self, name):
        if directory := os.environ.get("SPANWATCH_PICTURES"):
            self.browser.Picture(os.path.join(directory, name + ".png"))

    def AssertGood(self):
        self.assertEqual(self.browser.problems, [])
        self.assertLessEqual(self.browser.Run("document.documentElement.scrollWidth"),
                             self.browser.Run("document.documentElement.clientWidth"), "the page is wider than its window")

    def AssertReadable(self):
        """No time and no link is broken over lines, no text squeezed to a few letters a line, no figure cut off."""
        self.assertEqual(self.browser.Run("""[...document.querySelectorAll('td')].filter(cell => {
            const text = cell.innerText.trim(), range = document.createRange();
            range.selectNodeContents(cell);
            const lines = range.getBoundingClientRect().height / 21;
            return /^(why|[0-9-]{10}T[0-9:.]+Z)$/.test(text) && lines > 1.5 || text.length > 20 && cell.clientWidth < 100;
          }).map(cell => cell.innerText)"""), [])
        self.assertEqual(self.browser.Run("""[...document.querySelectorAll('.tile')].filter(
            tile => tile.scrollWidth > tile.clientWidth).map(tile => tile.innerText)"""), [])

    def testFromTheAlertToTheSlowSpan(self):
        sidecar = self.Sidecar(rules=self.Write("rules.yaml", RULES))
        bot = self.Bot("--messages", 20, "--rate", 60, "--time-scale", 20, "--misbehave", "none")
        self.assertEqual(bot.Wait(), 0, bot.Output())
        harness.wait_until(lambda: sidecar.Stats()["tracesCompleted"] >= 20 and sidecar.Alerts(), "traces and an alert")
        alert = sidecar.Alerts()[0]
        self.browser.Open(sidecar.url + "/")
        text = self.browser.Text()
        for what in ("Slow", alert["labels"]["operation"], "discord-bot", "Services"):
            self.assertIn(what, text)
        self.assertIn("DISCORD_WEBHOOK_URL is not set", text, "that nobody is told must be seen here")
        for width in (390, 1280):
            self.browser.Resize(width, 900)
            self.AssertReadable()
            self.AssertGood()
        self.Picture("index")
        self.browser.Follow("a[href*='trace/']")
        self.AssertGood()
        trace = self.browser.Run("location.pathname").rsplit("/", 1)[1]
        spans = sidecar.Json(f"/api/v1/traces/{trace}")["spans"]
        self.assertEqual(self.browser.Run("document.querySelectorAll('details.span').length"), len(spans))
        shown = self.browser.Text()
        for span in spans:
            self.assertIn(span["operationName"], shown)
        self.assertFalse(self.browser.Run("document.querySelector('details.span').open"))
        self.browser.Run("document.querySelector('details.span summary').click()")
        self.assertTrue(self.browser.Run("document.querySelector('details.span').open"))
        self.assertIn(spans[0]["spanId"], self.browser.Text())
        self.Picture("trace")
        self.browser.Resize(390, 844)
        self.AssertGood()
        self.AssertReadable()
        self.Picture("trace-small")

    def testNothingFromOutsideRuns(self):
        otlp = harness.FreePort()
        sidecar = self.Sidecar(sets=(f"otlp.listen=127.0.0.1:{otlp}",), rules=self.Write("rules.yaml", RULES))
        end = time.time_ns()
        span = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": HOSTILE, "kind": 2,
                "startTimeUnixNano": str(end - 60_000_000), "endTimeUnixNano": str(end),
                "status": {"code": 2, "message": HOSTILE},
                "attributes": [{"key": HOSTILE, "value": {"stringValue": HOSTILE}}]}
        body = {"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": HOSTILE}}]},
                                   "scopeSpans": [{"spans": [span]}]}]}
        request = urllib.request.Request(f"http://127.0.0.1:{otlp}/v1/traces", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            self.assertEqual(answer.status, 200)
        for path in ("/", "/trace/" + span["traceId"]):
            self.browser.Open(sidecar.url + path)
            self.assertNotEqual(self.browser.Run("document.title"), "owned")
            self.assertIn("document.title='owned'", self.browser.Text())
            self.assertEqual(self.browser.Run("document.querySelectorAll('script, img').length"), 0)
            self.AssertGood()


if __name__ == "__main__":
    unittest.main()
