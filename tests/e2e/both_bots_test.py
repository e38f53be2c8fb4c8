"""A real Prometheus scrapes the sidecar while both bots run, the C++ one over ZeroMQ and the Node.js one over OTLP/HTTP.
What PromQL says (rate, error ratio, p95) agrees with what the bots did."""
import json
import math
import shutil
import unittest
import urllib.parse
import urllib.request

import harness
import node_bot_test

RATE = 20  # messages a second of the C++ bot


class BothBotsTest(node_bot_test.NodeBotCase):
    def setUp(self):
        super().setUp()
        if shutil.which("prometheus") is None:
            self.skipTest("skipped both bots: prometheus is not installed (scripts/deps --test)")

    def testPrometheusAgreesWithTheBots(self):
        sidecar = self.StartSidecar()
        server = self.Prometheus(sidecar)
        demo = self.Bot("--messages", 12 * RATE, "--rate", RATE, "--misbehave", "errors", "--time-scale", "10", "--seed", "5")
        node = self.NodeBot("--requests", 40, "--rate", 20)

        # While they run: calls by operation and status, as a rate.
        rate = 'sum by (status_code) (rate(traces_span_metrics_calls_total{service_name="discord-bot",span_name="messageCreate"}[5s]))'
        seen = harness.wait_until(lambda: self.Near(sum(self.Query(rate).values()), RATE), "the call rate of the bot", 60,
                                  lambda: f"{self.Query(rate)}\n{server.Output()}")
        self.assertTrue(seen)
        self.assertEqual(demo.Wait(120), 0, demo.Output())
        self.assertEqual(node.Wait(120), 0, node.Output())

        said, answered = harness.Summary(demo), harness.Summary(node)
        calls = "sum by (service_name) (traces_span_metrics_calls_total{span_name=\"messageCreate\"})"
        expected = {"discord-bot": said["messages handled"], "node-bot": answered["messages"]}
        harness.wait_until(lambda: self.Query(calls) == expected, f"{expected} calls", 60, lambda: f"{self.Query(calls)}")
        errors = ('sum by (service_name) (traces_span_metrics_calls_total{span_name="messageCreate",status_code="STATUS_CODE_ERROR"})'
                  f" / on (service_name) {calls}")
        ratio = self.Query(errors)
        self.assertAlmostEqual(ratio["discord-bot"], said["messages failed"] / said["messages handled"])
        self.assertAlmostEqual(ratio["node-bot"], answered["failed"] / answered["messages"])
        self.CheckP95(sidecar, "node-bot", "messageCreate")
        self.CheckP95(sidecar, "discord-bot", "GeminiService.generateResponse")
        self.assertEqual(server.Stop(), 0, server.Output())

    def CheckP95(self, sidecar, service, operation):
        """PromQL's p95 lies in the bucket of the true one, which the stored traces give."""
        found = sidecar.Json(f"/api/v1/traces?service={service}&limit=1000")["traces"]
        durations = []
        for trace in found:
            spans = sidecar.Json(f"/api/v1/traces/{trace['traceId']}")["spans"]
            durations += [span["duration"] / 1e3 for span in spans if span["operationName"] == operation and span["serviceName"] == service]
        truth = sorted(durations)[math.ceil(0.95 * len(durations)) - 1]
        selector = f'{{service_name="{service}",span_name="{operation}"}}'
        bounds = [0.0] + sorted(float(le) for le in self.Query(
            f"sum by (le) (traces_span_metrics_duration_seconds_bucket{selector})") if le != "+Inf")
        upper = next(bound for bound in bounds if truth <= bound)
        lower = bounds[bounds.index(upper) - 1]
        p95 = self.Query(f"histogram_quantile(0.95, sum by (le) (traces_span_metrics_duration_seconds_bucket{selector}))")[""]
        self.assertTrue(lower <= p95 <= upper, (service, operation, truth, lower, p95, upper))

    def Near(self, value, expected):
        return 0.5 * expected <= value <= 1.5 * expected

    def Prometheus(self, sidecar):
        with open(f"{harness.ROOT}/config/prometheus.yml", encoding="utf-8") as file:
            text = file.read()
        for shipped, ours in (("scrape_interval: 15s", "scrape_interval: 200ms"), ("scrape_timeout: 10s", "scrape_timeout: 200ms"),
                              ("127.0.0.1:9464", f"127.0.0.1:{sidecar.port}")):
            self.assertIn(shipped, text)
            text = text.replace(shipped, ours)
        self.port = harness.FreePort()
        return self.Start([shutil.which("prometheus"), f"--config.file={self.Write('prometheus.yml', text)}",
                           f"--storage.tsdb.path={self.Path('tsdb')}", f"--web.listen-address=127.0.0.1:{self.port}"])

    def Query(self, text):
        """Value by the one label that the query groups by; "" without one."""
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": text})
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                result = json.load(answer)["data"]["result"]
        except OSError:
            return {}
        return {"".join(series["metric"].values()): float(series["value"][1]) for series in result}


if __name__ == "__main__":
    unittest.main()
