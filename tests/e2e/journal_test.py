"""What a disk can do to the sidecar, and what `spanwatch replay` reads."""
import json
import os
import resource
import subprocess
import time
import unittest
import urllib.request

import harness

BOT = ("--rate", 100, "--time-scale", 50, "--misbehave", "none", "--seed", 3)


class JournalTest(harness.TestCase):
    def State(self):
        return f"state_dir={self.Path('state')}"

    def testADiskThatIsFullIsToldAndGotOver(self):
        # As a full disk, but one that can be enlarged: files may have 64 KB, a segment wants 16 MB.
        limit = ["prlimit", "--fsize=65536:unlimited", harness.Binary("spanwatch")]
        sidecar = self.Sidecar(sets=[self.State()], program=limit)
        self.assertIn("File too large", sidecar.Output())
        bot = self.Bot(*BOT)
        harness.wait_until(lambda: sidecar.Books()["applied"] > 500, "spans in memory only", also=sidecar.Output)
        status = sidecar.Json("/api/v1/status")["journal"]
        self.assertEqual((status["on"], "File too large" in status["problem"]), (False, True), status)
        metrics = sidecar.Metrics()
        self.assertEqual(metrics["spanwatch_journal_on"], 0)
        self.assertGreater(metrics["spanwatch_journal_dropped_records_total"], 0)
        infinite = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(sidecar.pid, resource.RLIMIT_FSIZE, infinite)
        harness.wait_until(lambda: sidecar.Metrics()["spanwatch_journal_on"] == 1, "journaling again", also=sidecar.Output)
        applied = sidecar.Books()["applied"]
        harness.wait_until(lambda: sidecar.Books()["applied"] > applied + 500, "spans in the journal", also=sidecar.Output)
        self.assertEqual(harness.Summary(bot)["not delivered"], 0)
        books = harness.wait_until(lambda: self.Closed(sidecar), "the bot's goodbye")
        sidecar.Kill()
        # The checkpoint brings the books of the time without a journal, too.
        again = self.Sidecar(port=sidecar.port, sets=[self.State()])
        for key in ("emitted", "applied", "lost"):
            self.assertEqual(again.Books()[key], books[key], key)

    def Closed(self, sidecar):
        books = sidecar.Books()
        return books if [process["state"] for process in books["processes"]] == ["closed"] else None

    def testOneSidecarADirectory(self):
        self.Sidecar(sets=[self.State()])
        second = self.StartSidecar(sets=[self.State(), f"ingest.endpoints=['ipc://{self.directory}/other.sock']"])
        self.assertEqual(second.Wait(), 1)
        self.assertIn("is in use by another sidecar", second.Output())

    def testADirectoryThatCannotBeWrittenIsAMistakeIfItWasNamed(self):
        self.Write("file", "")
        named = self.StartSidecar(sets=[f"state_dir={self.Path('file')}/state"])
        self.assertEqual(named.Wait(), 1)
        self.assertIn("state_dir", named.Output())

    def testAJournalThatKillsTheSidecarIsMovedAside(self):
        self.Sidecar(sets=[self.State()]).Stop()
        self.Write("state/starting", "3\n")
        sidecar = self.Sidecar(sets=[self.State()])
        self.assertIn("journal.set-aside-1", sidecar.Output())
        self.assertTrue(os.path.isdir(self.Path("state/journal.set-aside-1")))
        self.assertFalse(os.path.exists(self.Path("state/starting")))

    def testWhatSilenceBroughtAboutOutlivesAKill(self):
        """No record comes when an alert fires because nothing comes. It is known after a kill, and not told again."""
        rules = self.Write("absent.yaml", "groups:\n  - name: g\n    rules:\n      - alert: Gone\n        measure: absent\n"
                                          "        by: [service]\n        thresholds: { critical: 2s }\n")
        discord = self.Discord()
        otlp = harness.FreePort()
        options = {"rules": rules, "discord": discord.url, "sets": [self.State(), f"otlp.listen=127.0.0.1:{otlp}"]}
        first = self.Sidecar(**options)
        self.Span(otlp, 1)
        discord.wait_for_messages(1, timeout=harness.DEADLINE_S)
        (before,) = first.Alerts()
        first.Kill()
        again = self.Sidecar(port=first.port, **options)
        (after,) = again.Alerts()
        for key in ("state", "activeAt", "fingerprint"):
            self.assertEqual(after[key], before[key], key)
        # That the book of what was posted is kept, too: a span resolves it, and the one message is edited.
        self.Span(otlp, 2)
        harness.wait_until(lambda: not [a for a in again.Alerts() if a["state"] == "firing"], "resolved", also=again.Output)
        self.assertEqual(len(discord.snapshot()), 1)

    def Span(self, port, number):
        now = time.time_ns()
        span = {"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "turn", "startTimeUnixNano": str(now),
                "endTimeUnixNano": str(now)}
        resource_ = {"attributes": [{"key": "service.name", "value": {"stringValue": "bot"}}]}
        body = json.dumps({"resourceSpans": [{"resource": resource_, "scopeSpans": [{"spans": [span]}]}]}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/traces", body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=20).close()

    def testReplayReadsOtlp(self):
        """JSON, JSON lines: a slow span fires at the time at which it ended, by the rules of the configuration."""
        lines = []
        for i in range(3):
            end = 1_700_000_000_000_000_000 + i * 60_000_000_000
            span = {"traceId": f"{i + 1:032x}", "spanId": f"{i + 1:016x}", "name": "turn", "kind": 1,
                    "startTimeUnixNano": str(end - 2_500_000_000), "endTimeUnixNano": str(end)}
            resource_ = {"attributes": [{"key": "service.name", "value": {"stringValue": "bot"}}]}
            lines.append(json.dumps({"resourceSpans": [{"resource": resource_, "scopeSpans": [{"spans": [span]}]}]}))
        for name, text in (("one.json", lines[0]), ("lines.json", "\n".join(reversed(lines)) + "\n")):
            output = self.Replay(self.Write(name, text))
            *transitions, last = map(json.loads, output)
            self.assertEqual(last["source"], "otlp")
            fired = [t for t in transitions if t["transition"] == "firing"]
            self.assertEqual([(t["alertname"], t["atNs"]) for t in fired], [("SlowOperation", 1_700_000_000_000_000_000)])
            self.assertEqual(last["stats"]["spansApplied"], 1 if name == "one.json" else 3)
        for name, text in (("empty", ""), ("text", "no spans here"), ("half.json", lines[0][:50])):
            process = self.Start([harness.Binary("spanwatch"), "replay", self.Write(name, text)])
            self.assertEqual(process.Wait(), 1, name)
            self.assertIn(name, process.Output())
        os.mkdir(self.Path("nothing"))
        process = self.Start([harness.Binary("spanwatch"), "replay", self.Path("nothing")])
        self.assertEqual(process.Wait(), 1)
        self.assertIn("no journal is in this directory", process.Output())

    def Replay(self, path):
        process = subprocess.run([harness.Binary("spanwatch"), "replay", path], stdin=subprocess.DEVNULL, capture_output=True,
                                 text=True, check=True, cwd=self.directory, env=self.Environment())
        return process.stdout.splitlines()


if __name__ == "__main__":
    unittest.main()
