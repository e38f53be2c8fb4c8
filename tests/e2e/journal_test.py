"""What a disk can do to the sidecar, and what `spanwatch replay` reads."""
import json
import os
import resource
import subprocess
import unittest

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
