"""SIGHUP: rules that did not change keep what they know, a bad file changes nothing and is told."""
import json
import signal
import time
import unittest
import urllib.request

import harness

RULES = """groups:
  - name: mine
    rules:
      - alert: Slow
        measure: span.duration
        match: {{ operation: turn }}
        thresholds: {{ warning: 1s }}
        keep_firing_for: 1h
      - alert: Failing
        measure: error_rate
        window: 5m
        thresholds: {{ warning: 10% }}
        for: 1h
      - alert: Other
        measure: span.duration
        match: {{ operation: other }}
        thresholds: {{ warning: {other} }}
        keep_firing_for: 1h
"""


class ReloadTest(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.discord = self.Discord(rate_limit=False)
        self.otlp_port = harness.FreePort()
        self.rules = self.Write("rules.yaml", RULES.format(other="2s"))
        self.sidecar = self.Sidecar(rules=self.rules, discord=self.discord.url,
                                    sets=[f"otlp.listen=127.0.0.1:{self.otlp_port}"])
        self.spans = 0

    def Send(self, operation, seconds, failed=False):
        self.spans += 1
        end = time.time_ns()
        span = {"traceId": f"{self.spans:032x}", "spanId": f"{self.spans:016x}", "name": operation, "kind": 1,
                "startTimeUnixNano": str(end - int(seconds * 1e9)), "endTimeUnixNano": str(end), "status": {"code": 2 if failed else 0}}
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "bot"}}]}
        body = json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.otlp_port}/v1/traces", data=body,
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            self.assertEqual(answer.status, 200)

    def Alert(self, name, state):
        for alert in self.sidecar.Alerts():
            if alert["labels"]["alertname"] == name and alert["state"] == state:
                return alert
        return None

    def Wait(self, name, state):
        return harness.wait_until(lambda: self.Alert(name, state), f"{name} {state}", also=self.sidecar.Output)

    def Reload(self, text, successful):
        """SIGHUP, until the sidecar has told how it went."""
        before = self.sidecar.Output().count("configuration")
        self.Write("rules.yaml", text)
        self.sidecar.Signal(signal.SIGHUP)
        harness.wait_until(lambda: self.sidecar.Output().count("configuration") > before and
                           self.Status()["successful"] == successful, "the reload", also=self.sidecar.Output)

    def Status(self):
        return self.sidecar.Json("/api/v1/status")["reload"]

    def testWhatDidNotChangeKeepsItsState(self):
        self.Send("turn", 1.5)
        self.Send("turn", 0.1, failed=True)
        self.Send("other", 2.5)
        firing, pending = self.Wait("Slow", "firing"), self.Wait("Failing", "pending")
        self.Wait("Other", "firing")
        self.discord.wait_until(lambda d: [m for m in d.messages if "Other" in m.title], what="a message on Other")
        posted = len([m for m in self.discord.snapshot() if "Slow" in m.title])

        self.Reload(RULES.format(other="9s"), True)
        self.discord.wait_until(lambda d: [m for m in d.messages if m.edits and
                                           m.edits[-1]["embeds"][0]["title"].startswith("Resolved: Other")], what="the end of what the changed rule had told")
        self.assertIsNone(self.Alert("Other", "firing"))
        for before, state in ((firing, "firing"), (pending, "pending")):
            after = self.Alert(before["labels"]["alertname"], state)
            self.assertIsNotNone(after, self.sidecar.Alerts())
            self.assertEqual((after["activeAt"], after["fingerprint"]), (before["activeAt"], before["fingerprint"]))
        self.assertEqual(len([m for m in self.discord.snapshot() if "Slow" in m.title]), posted, "nothing is told anew")
        # The kept incident goes on to count, and its window still holds the failed span.
        self.Send("turn", 1.7)
        harness.wait_until(lambda: self.Alert("Slow", "firing")["value"] != firing["value"], "the next slow span of the same incident")
        self.assertEqual(self.Alert("Slow", "firing")["activeAt"], firing["activeAt"])

    def testABadFileChangesNothingAndIsTold(self):
        self.Send("turn", 1.5)
        firing = self.Wait("Slow", "firing")
        rules = self.sidecar.Json("/api/v1/status")["rules"]
        self.assertEqual(self.sidecar.Metrics()["spanwatch_config_last_reload_successful"], 1)

        self.Reload(RULES.format(other="soon").replace("for: 1h", "fro: 1h"), False)
        self.assertEqual(self.sidecar.Metrics()["spanwatch_config_last_reload_successful"], 0)
        error = self.Status()["error"]
        self.assertRegex(error, r'rules\.yaml:13:9: .*"fro" \(did you mean "for"\?\)')
        self.assertRegex(error, r"rules\.yaml:17:\d+: ", "all mistakes at once")
        self.assertEqual(self.sidecar.Json("/api/v1/status")["rules"], rules)
        self.assertEqual(self.Alert("Slow", "firing")["activeAt"], firing["activeAt"])
        self.Send("other", 2.5)  # by the old rule, above 2 s
        self.Wait("Other", "firing")

        self.Reload(RULES.format(other="2s"), True)
        self.assertEqual(self.sidecar.Metrics()["spanwatch_config_last_reload_successful"], 1)
        self.assertEqual(self.Status()["error"], "")
        self.assertEqual(self.Alert("Slow", "firing")["activeAt"], firing["activeAt"])


if __name__ == "__main__":
    unittest.main()
