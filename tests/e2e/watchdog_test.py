"""Dead man: a program that is killed gives an alert and one that says goodbye does not; an outside watchdog is pinged while
the sidecar is well, and only then; Prometheus' rules for the sidecar itself."""
import os
import re
import shutil
import signal
import subprocess
import unittest

import harness
import receivers

SECRET = "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0"
SILENT = """groups:
  - name: e2e
    rules:
      - alert: ProcessSilent
        measure: process.silent_for
        thresholds: { warning: 6s }
        annotations: { summary: "{{ service }} is silent for {{ value }}" }
"""


class WatchdogTest(receivers.TestCase):
    def Pinged(self, hook, **arguments):
        return self.Sidecar(sets=("watchdog={url_env: E2E_PING, interval: 1s}", *arguments.pop("sets", ())),
                            env={"E2E_PING": f"{hook.url}/{SECRET}"}, **arguments)

    def testAKilledProgramIsMissedOneThatLeavesIsNot(self):
        sidecar = self.Sidecar(rules=self.Write("silent.yaml", SILENT))
        killed, leaves = self.Bot("--service", "killed"), self.Bot("--service", "leaves")

        def States():
            return {p["service"]: p["state"] for p in sidecar.Stats()["processes"]}
        harness.wait_until(lambda: States() == {"killed": "alive", "leaves": "alive"}, "both alive", also=sidecar.Output)
        self.assertEqual(leaves.Stop(), 0)
        killed.Signal(signal.SIGKILL)
        killed.Wait()
        alerts = harness.wait_until(sidecar.Alerts, "an alert", also=sidecar.Output)
        self.assertEqual([(a["labels"]["alertname"], a["labels"]["service"]) for a in alerts], [("ProcessSilent", "killed")])
        self.assertEqual(States()["leaves"], "closed")

    def testPingsWhileItIsWell(self):
        hook = self.Hook((500, {}))
        sidecar = self.Pinged(hook)
        harness.wait_until(lambda: len(hook.requests) >= 3, "pings", also=sidecar.Output)
        method, path, headers, body = hook.requests[0]
        self.assertEqual((method, path, body), ("GET", f"/{SECRET}", b""))
        self.assertTrue(headers["User-Agent"].startswith("Spanwatch/"))
        status = sidecar.Json("/api/v1/status")["watchdog"]
        self.assertEqual((status["configured"], status["problem"], status["interval"]), (True, "", 1000))
        self.assertGreaterEqual(status["pings"], 1)
        metrics = sidecar.Metrics()
        self.assertEqual(metrics["spanwatch_watchdog_failures_total"], 1)
        self.assertEqual(metrics["spanwatch_watchdog_configured"], 1)
        self.assertGreater(metrics["spanwatch_watchdog_last_ping_timestamp_seconds"], 0)
        shown = sidecar.Output() + sidecar.Get("/api/v1/status") + sidecar.Get("/metrics")
        self.assertNotIn(SECRET, shown)
        self.assertEqual(sidecar.Stop(), 0)

    def testNoPingWhenAlertsReachNobody(self):
        hook, discord = self.Hook(), self.Hook(*[(404, {})] * 1000)
        self.otlp_port = harness.FreePort()
        sidecar = self.Sidecar(rules=self.Write("rules.yaml", receivers.RULES), discord=f"{discord.url}/api/webhooks/1/token",
                               sets=("watchdog={url_env: E2E_PING, interval: 1s}", f"otlp.listen=127.0.0.1:{self.otlp_port}"),
                               env={"E2E_PING": f"{hook.url}/{SECRET}"})
        harness.wait_until(lambda: hook.requests, "a ping", also=sidecar.Output)
        self.Work(1)
        harness.wait_until(lambda: sidecar.Metrics()["spanwatch_watchdog_withheld_total"] >= 2, "withheld pings", also=sidecar.Output)
        self.assertIn("reach nobody", sidecar.Json("/api/v1/status")["watchdog"]["problem"])
        self.assertIn("no ping is sent", sidecar.Output())

    def testAWatchdogThatHangsHoldsUpNothing(self):
        hook = self.Hook(*[receivers.HANG] * 100)
        sidecar = self.Pinged(hook)
        harness.wait_until(lambda: hook.requests, "a ping", also=sidecar.Output)
        self.assertIsNotNone(sidecar.Get("/metrics"))
        self.assertEqual(sidecar.Stop(), 0)

    def testPrometheusRules(self):
        promtool = shutil.which("promtool")
        if promtool is None:
            self.skipTest("skipped promtool: not installed (scripts/deps --test)")
        rules = os.path.join(harness.ROOT, "config/prometheus-rules.yml")
        for command in (["check", "rules", rules], ["test", "rules", os.path.join(harness.ROOT, "tests/rules/prometheus-rules-test.yml")],
                        ["check", "config", os.path.join(harness.ROOT, "config/prometheus.yml")]):
            result = subprocess.run([promtool, *command], capture_output=True, text=True, check=False)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def testPrometheusRulesNameMetricsThatAreThere(self):
        sidecar = self.Sidecar()
        names = set(re.findall(r"(?m)^# TYPE (\S+)", sidecar.Get("/metrics")))
        with open(os.path.join(harness.ROOT, "config/prometheus-rules.yml"), encoding="utf-8") as file:
            used = set(re.findall(r"\bspanwatch_[a-z_]+", file.read()))
        self.assertGreater(len(used), 8)
        names.add("spanwatch_cardinality_overflow_total")  # is there from the first overflow on
        self.assertEqual(used - names, set())


if __name__ == "__main__":
    unittest.main()
