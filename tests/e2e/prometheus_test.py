"""A real Prometheus scrapes the sidecar; what it stored agrees with the bot."""
import json
import re
import shutil
import subprocess
import unittest
import urllib.parse
import urllib.request

import harness


class PrometheusTest(harness.TestCase):
    def testPromtoolIsSilent(self):
        promtool = shutil.which("promtool")
        if promtool is None:
            self.skipTest("skipped promtool: not installed (scripts/deps --test)")
        sidecar = self.Sidecar()
        bot = self.Bot("--messages", 60, "--rate", 200, "--time-scale", 50, "--misbehave", "errors")
        self.assertEqual(bot.Wait(), 0, bot.Output())
        text = sidecar.Get("/metrics")
        self.assertIn("traces_span_metrics_calls_total", text)
        used = {name + more: float(value) for name, more, value in re.findall(
            r'^spanwatch_gen_ai_(\w+)_total\{service_name="discord-bot",model="gemini-2.5-flash"(\S*)\} (\S+)$', text, re.M)}
        self.assertEqual((used["calls"] > 0, used["unpriced_calls"]), (True, 0), used)
        self.assertAlmostEqual(used["cost_dollars"], delta=1e-9, second=(  # config/prices.yaml
            used['tokens,type="input"'] * 0.30 + used['tokens,type="output"'] * 2.50) / 1e6)
        result = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))

    def testQueryAgreesWithTheBot(self):
        prometheus = shutil.which("prometheus")
        if prometheus is None:
            self.skipTest("skipped prometheus: not installed (scripts/deps --test)")
        sidecar = self.Sidecar()
        self.port = harness.FreePort()
        config = self.Write("prometheus.yml", "global: { scrape_interval: 200ms, scrape_timeout: 200ms }\n"
                            "scrape_configs:\n  - job_name: spanwatch\n"
                            f"    static_configs: [ {{ targets: ['127.0.0.1:{sidecar.port}'] }} ]\n")
        server = self.Start([prometheus, f"--config.file={config}", f"--storage.tsdb.path={self.Path('tsdb')}",
                             f"--web.listen-address=127.0.0.1:{self.port}"])
        bot = self.Bot("--messages", 100, "--rate", 100, "--time-scale", 20, "--misbehave", "errors")
        self.assertEqual(bot.Wait(), 0, bot.Output())
        emitted = harness.Summary(bot)["spans emitted"]
        harness.wait_until(lambda: self.Query("sum(traces_span_metrics_calls_total)") == emitted,
                           f"{emitted} calls in Prometheus", also=server.Output)
        self.assertEqual(self.Query('sum(traces_span_metrics_calls_total{span_name="messageCreate"})'), 100)
        self.assertEqual(self.Query('traces_span_metrics_duration_seconds_count{span_name="ContextManager.buildContext"}'), 100)
        self.assertGreater(self.Query('sum(traces_span_metrics_calls_total{status_code="STATUS_CODE_ERROR"})'), 50)
        self.assertGreater(self.Query("histogram_quantile(0.5, sum by (le) (traces_span_metrics_duration_seconds_bucket))"), 0)
        self.assertEqual(self.Query("up"), 1)
        self.assertEqual(server.Stop(), 0, server.Output())

    def Query(self, text):
        """The value of the one series that the query gives; None if there is none yet."""
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": text})
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                result = json.load(answer)["data"]["result"]
        except OSError:
            return None
        return float(result[0]["value"][1]) if len(result) == 1 else None


if __name__ == "__main__":
    unittest.main()
