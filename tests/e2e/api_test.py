"""The sidecar while a bot runs: statistics, traces, reload, stop."""
import signal
import unittest

import harness


class ApiTest(harness.TestCase):
    def testStatsWhileTheBotRuns(self):
        sidecar = self.Sidecar()
        self.Bot("--rate", 50, "--time-scale", 10, "--misbehave", "none")
        stats = harness.wait_until(lambda: self.Some(sidecar), "some traces", also=sidecar.Output)
        self.assertGreater(stats["totalTraces"], 0)
        self.assertGreater(stats["avgSpansPerTrace"], 1)
        self.assertGreater(stats["memoryUsageMB"], 0)
        harness.AssertEquation(self, sidecar.Books())

    def Some(self, sidecar):
        stats = sidecar.Stats()
        return stats if stats["totalTraces"] > 20 else None

    def testTracesAreWhole(self):
        sidecar = self.Sidecar()
        bot = self.Bot("--messages", 30, "--rate", 100, "--time-scale", 20, "--misbehave", "none")
        self.assertEqual(bot.Wait(), 0, bot.Output())
        emitted = harness.Summary(bot)["spans emitted"]
        harness.wait_until(lambda: sidecar.Books()["applied"] == emitted, "all spans", also=sidecar.Output)
        traces = sidecar.Json("/api/v1/traces?operation=messageCreate&limit=100")["traces"]
        self.assertEqual(len(traces), 30)
        for summary in traces:
            trace = sidecar.Json(f"/api/v1/traces/{summary['traceId']}")
            ids = {span["spanId"] for span in trace["spans"]}
            roots = [span for span in trace["spans"] if not span.get("parentSpanId")]
            self.assertEqual([span["operationName"] for span in roots], ["messageCreate"])
            self.assertTrue(all(span["parentSpanId"] in ids for span in trace["spans"] if span not in roots))
            self.assertEqual(len(trace["spans"]), summary["spanCount"])
        # Nothing that a user wrote, nobody's id.
        text = sidecar.Get(f"/api/v1/traces/{traces[0]['traceId']}")
        self.assertNotIn("please", text)
        self.assertNotIn("2000000000000", text)

    def testMetricsAnswerBehindDrippingClients(self):
        sidecar = self.Sidecar()
        with harness.Drippers(sidecar.port, 500) as drippers:
            for _ in range(10):
                drippers.Drip()
                self.assertIn("spanwatch_build_info", sidecar.Get("/metrics"))
                self.assertEqual(sidecar.Request("/healthz")[0], 200)
            self.assertGreater(drippers.Alive(), 400)

    def testReloadBySignalAndByRequest(self):
        rules = self.FastRules()
        sidecar = self.Sidecar(rules=rules)
        self.Bot("--rate", 20, "--time-scale", 20, "--misbehave", "none")
        with open(rules, encoding="utf-8") as file:
            good = file.read()
        rule = "groups:\n  - name: mine\n    rules:\n      - alert: {}\n        measure: span.duration\n        thresholds: {{ warning: 1ms }}\n"

        self.Write("fast.yaml", rule.format("AfterSignal"))
        sidecar.Signal(signal.SIGHUP)
        harness.wait_until(lambda: self.Firing(sidecar, "AfterSignal"), "an alert of the new rule", also=sidecar.Output)

        self.Write("fast.yaml", "groups: [ { name: x, rulez: [] } ]\n")
        status, text = sidecar.Request("/-/reload", "POST")
        self.assertGreaterEqual(status, 400)
        self.assertIn("rulez", text)
        self.assertTrue(self.Firing(sidecar, "AfterSignal"), "the old rules stay")

        self.Write("fast.yaml", rule.format("AfterRequest"))
        status, text = sidecar.Request("/-/reload", "POST")
        self.assertEqual(status, 200, text)
        harness.wait_until(lambda: self.Firing(sidecar, "AfterRequest"), "an alert of the new rule", also=sidecar.Output)
        self.Write("fast.yaml", good)
        self.assertEqual(sidecar.Request("/-/reload", "POST")[0], 200)

    def Firing(self, sidecar, name):
        return [alert for alert in sidecar.Alerts() if alert["labels"]["alertname"] == name and alert["state"] == "firing"]

    def testStopsWithinFiveSecondsUnderLoad(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            sidecar = self.Sidecar()
            bot = self.Bot("--rate", 500, "--time-scale", 100, "--misbehave", "none")
            harness.wait_until(lambda: sidecar.Books()["applied"] > 500, "load", also=sidecar.Output)
            sidecar.Signal(number)
            self.assertEqual(sidecar.Wait(20), 0, sidecar.Output())
            bot.Kill()

    def testSameSeedSameSpans(self):
        flags = ("--messages", 40, "--rate", 400, "--time-scale", 100, "--misbehave", "auto", "--seed", 11)
        emitted = []
        for _ in range(2):
            bot = self.Bot(*flags)
            self.assertEqual(bot.Wait(), 0, bot.Output())
            emitted.append(harness.Summary(bot)["spans emitted"])
        self.assertEqual(emitted[0], emitted[1])


if __name__ == "__main__":
    unittest.main()
