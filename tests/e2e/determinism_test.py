"""The engine is a fold: a recorded run, folded again in two other processes, gives what the live sidecar showed."""
import json
import unittest

import harness


class DeterminismTest(harness.TestCase):
    def testRecordedRunFoldsToTheSame(self):
        discord = self.Discord()
        sidecar = self.Sidecar(rules=self.FastRules(), discord=discord.url, flags=["--record", self.Path("run.rec")],
                               sets=[f"state_dir={self.Path('state')}"])
        # All misbehaviour at once, from several processes: the order of arrival is the network's.
        bots = [self.Bot("--misbehave", what, "--messages", 60, "--rate", 15, "--seed", 7, "--time-scale", scale, "--service", what)
                for what, scale in (("slow", 2), ("deep", 10), ("errors", 10), ("none", 50))]
        for bot in bots:
            self.assertEqual(bot.Wait(120), 0, bot.Output())
        emitted = sum(harness.Summary(bot)["spans emitted"] for bot in bots)
        harness.wait_until(lambda: sidecar.Books()["applied"] == emitted, "all spans", also=sidecar.Output)
        # Resolved incidents do not change any more, so that what is shown now is what the recording ends with.
        alerts = harness.wait_until(lambda: self.AllResolved(sidecar), "the end of all alerts", also=sidecar.Output)
        stats = sidecar.Stats()
        self.assertEqual(sidecar.Stop(), 0, sidecar.Output())

        first, second = self.Replay(), self.Replay()
        self.assertEqual(first, second)
        *transitions, last = map(json.loads, first)
        self.assertFalse(last["torn"])
        self.assertEqual(len(last["digest"]), 16)
        self.AssertSameStatistics(stats, last["stats"])
        self.AssertSameAlerts(alerts, transitions)

        # The journal of the same run: the same alerts at the same engine times, the same numbers, the same traces.
        *again, end = map(json.loads, self.Replay("state/journal"))
        self.assertEqual(again, transitions)
        self.assertEqual((end["source"], end["problems"], last["source"]), ("journal", [], "recording"))
        for key in ("stats", "records", "transitions", "digest"):
            self.assertEqual(end[key], last[key], key)

    def Replay(self, path="run.rec"):
        process = self.Start([harness.Binary("spanwatch"), "replay", self.Path(path)])
        self.assertEqual(process.Wait(), 0, process.Output())
        return process.lines

    def AllResolved(self, sidecar):
        alerts = sidecar.Alerts()
        return alerts if {alert["state"] for alert in alerts} == {"resolved"} else None

    def AssertSameStatistics(self, live, folded):
        for ours, theirs in (("totalTraces", "traces"), ("totalSpans", "spans"), ("tracesStarted", "tracesTotal"),
                             ("lateSpans", "lateSpansTotal"), ("spansApplied", "spansApplied"), ("duplicateSpans", "duplicateSpansTotal")):
            self.assertEqual(live[ours], folded[theirs], ours)
        for key in ("emitted", "applied", "sampledOut", "lost", "malformedMessages"):
            self.assertEqual(live["losses"][key], folded[key], key)
        self.assertEqual([(s["service"], s["spans"], s["errors"], s["slowWarning"], s["slowCritical"]) for s in live["services"]],
                         [(s["service"], s["spans"], s["errors"], s["slowWarning"], s["slowCritical"]) for s in folded["services"]])

    def AssertSameAlerts(self, alerts, transitions):
        last = {transition["incident"]: transition for transition in transitions}
        self.assertEqual(len(alerts), len(last))
        self.assertGreaterEqual({alert["labels"]["alertname"] for alert in alerts}, {"SlowOperation", "DeepCallStack", "HighErrorRate"})
        for alert in alerts:
            folded = last[alert["id"]]
            self.assertEqual(folded["transition"], "resolved")
            for key in ("fingerprint", "annotations", "measure", "severity", "peakSeverity", "count", "lastError", "lostSpans"):
                self.assertEqual(alert[key], folded[key], (key, alert, folded))
            self.assertEqual((alert["worstTrace"] or {"traceId": "0" * 32})["traceId"], folded["worstTrace"])


if __name__ == "__main__":
    unittest.main()
