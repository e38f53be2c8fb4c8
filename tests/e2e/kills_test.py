"""The sidecar is killed at odd moments: within a request, while an alert is pending, when one fires, when it fires because
nothing comes. Every alert is told once, whatever life of the sidecar it began in. SPANWATCH_KILLS (8) and SPANWATCH_KILL_SEED
make other stories."""
import collections
import http.client
import json
import os
import random
import subprocess
import threading
import time
import unittest
import urllib.request

import harness

KILLS = int(os.environ.get("SPANWATCH_KILLS", "8"))
SEED = int(os.environ.get("SPANWATCH_KILL_SEED", "1"))
RULES = """
groups:
  - name: g
    rules:
      - alert: Slow
        measure: span.duration
        thresholds: { warning: 100ms }
        keep_firing_for: 1s
      - alert: Failing
        measure: error_rate
        by: [service]
        window: 2s
        thresholds: { critical: 5% }
        for: 300ms
        keep_firing_for: 500ms
      - alert: Gone
        measure: absent
        by: [service]
        thresholds: { critical: 1s }
"""


class KillsTest(harness.TestCase):
    def testEachAlertIsToldOnce(self):
        self.random = random.Random(SEED)
        self.number, self.kept, self.twice = 0, True, 0
        self.discord = self.Discord()
        self.otlp = harness.FreePort()
        self.options = {"rules": self.Write("rules.yaml", RULES), "discord": self.discord.url, "sets": [
            f"otlp.listen=127.0.0.1:{self.otlp}", f"state_dir={self.Path('state')}", "route.storm=off",
            "route.group_by=[alertname,service,operation]"]}
        self.sidecar = self.Sidecar(**self.options)
        for _ in range(KILLS):
            for _ in range(self.random.randint(1, 30)):
                self.Send()
            self.random.choice([self.AfterARequest, self.WithinARequest, self.WhenOneFires, self.WhenAllIsQuiet])()
            self.sidecar.Kill()
            self.sidecar = self.Sidecar(port=self.sidecar.port, **self.options)
        self.WhenAllIsQuiet()
        harness.wait_until(lambda: not self.Unsettled(), "messages that say how it ended", also=lambda: "\n".join(self.Titles()))
        self.sidecar.Stop()
        self.Compare()

    def AfterARequest(self):
        self.Note()
        self.Send()

    def WithinARequest(self):
        """The kill meets it anywhere between its first byte and its answer."""
        self.Note()
        threading.Thread(target=self.Send, kwargs={"once": True}, daemon=True).start()

    def WhenOneFires(self):
        def Fires():
            self.Send(failed=True)
            return "Failing" in self.Firing()

        harness.wait_until(Fires, "an alert after its `for`", also=self.sidecar.Output)
        self.Note()

    def WhenAllIsQuiet(self):
        self.Send()
        harness.wait_until(lambda: set(self.Firing()) == {"Gone"}, "silence", also=self.sidecar.Output)
        self.Note()

    def Titles(self):
        return [message.embeds[0]["title"] for message in self.discord.live()]

    def Unsettled(self):
        return [title for title in self.Titles() if not title.startswith(("Resolved: ", "Critical: Gone"))]

    def Firing(self):
        return [alert["labels"]["alertname"] for alert in self.sidecar.Alerts() if alert["state"] == "firing"]

    def Note(self):
        metrics = self.sidecar.Metrics()
        # A machine whose disk stands still for a second makes the journal pause, which says so.
        self.kept = self.kept and metrics["spanwatch_journal_dropped_records_total"] == 0
        # Killed between a post and its answer: the one case in which a message may be there twice, and is counted.
        self.twice += metrics['spanwatch_notifications_possible_duplicates_total{receiver="discord"}']

    def Send(self, failed=None, once=False):
        self.number += 1
        now = time.time_ns()
        span = {"traceId": f"{self.number:032x}", "spanId": f"{self.number:016x}", "name": f"turn {self.number % 3}",
                "startTimeUnixNano": str(now - self.random.choice([1_000, 200_000_000])), "endTimeUnixNano": str(now),
                "status": {"code": 2 if failed or self.random.random() < 0.1 else 0}}
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "bot"}}]}
        body = json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.otlp}/v1/traces", body, {"Content-Type": "application/json"})
        try:
            urllib.request.urlopen(request, timeout=20).close()
        except (OSError, http.client.HTTPException):
            if not once:
                raise

    def Compare(self):
        replay = subprocess.run([harness.Binary("spanwatch"), "replay", "--json", self.Path("state/journal")], check=True,
                                stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.Environment())
        *transitions, _ = map(json.loads, replay.stdout.splitlines())
        fired = collections.Counter(t["alertname"] for t in transitions if t["transition"] == "firing")
        titles = self.Titles()
        told = collections.Counter(name for title in titles for name in ("Slow", "Failing", "Gone") if name in title)
        print(f"seed {SEED}: {KILLS} kills, {self.number} spans, {dict(fired)}")
        if self.kept:
            self.assertEqual(fired - told, collections.Counter(), "\n".join(titles))
            self.assertLessEqual(sum((told - fired).values()), self.twice, f"{fired}\n" + "\n".join(titles))


if __name__ == "__main__":
    unittest.main()
