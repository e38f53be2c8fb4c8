"""The sidecar is absent or stopped: the traced program's calls are not delayed, its memory stays bounded, Shutdown comes
back in time and says how many spans were not delivered."""
import json
import signal
import unittest

import harness

# The figures are below 100 ns, 10 MB and 1000 ms; these bounds are for a busy machine.
P50_NS = 2_000
P99_NS = 50_000
MEMORY_BYTES = 40 << 20
SHUTDOWN_MS = 3_000
RATE = 40_000
FAR_TOO_MANY = 150_000  # spans: several times what the SDK's 3 MiB hold


class NoSidecarTest(harness.TestCase):
    def Probe(self):
        probe = self.Start([harness.Binary("spanwatch-e2e-probe"), self.endpoint, str(RATE), "2"])
        self.WaitForMore(probe, 1)
        return probe

    def WaitForMore(self, probe, spans):
        """Until so many more spans have ended."""
        emitted = self.Emitted(probe) + spans
        harness.wait_until(lambda: self.Emitted(probe) >= emitted, f"{spans} more spans", also=probe.Output)

    def Emitted(self, probe):
        words = [line.split() for line in list(probe.lines) if line.startswith("emitted ")]
        return int(words[-1][1]) if words else 0

    def Finish(self, probe):
        """Its report, after its memory stopped growing by more than its own notes of call times."""
        memory = probe.AnonymousMemory()
        self.assertEqual(probe.Stop(), 0, probe.Output())
        report = json.loads(probe.lines[-1])
        notes = 2 * (4 << 20)
        self.assertLess(memory - notes, MEMORY_BYTES, report)
        self.assertLess(report["own_bytes"], MEMORY_BYTES, report)
        self.assertLess(report["p50_ns"], P50_NS, report)
        self.assertLess(report["p99_ns"], P99_NS, report)
        self.assertLess(report["shutdown_ms"], SHUTDOWN_MS, report)
        return report

    def testAbsent(self):
        probe = self.Probe()
        self.WaitForMore(probe, FAR_TOO_MANY)
        report = self.Finish(probe)
        self.assertGreater(report["emitted"], 0)
        self.assertEqual(report["delivered"], 0)
        self.assertEqual(report["not_delivered"], report["emitted"])

    def testStopped(self):
        sidecar = self.Sidecar()
        probe = self.Probe()
        harness.wait_until(lambda: sidecar.Books()["applied"] > 5_000, "5000 spans", also=sidecar.Output)
        sidecar.Signal(signal.SIGSTOP)
        self.WaitForMore(probe, FAR_TOO_MANY)
        report = self.Finish(probe)
        self.assertGreater(report["delivered"], 0)
        self.assertGreater(report["not_delivered"], 0)
        self.assertEqual(report["not_delivered"], report["emitted"] - report["delivered"])
        sidecar.Signal(signal.SIGCONT)
        # What was in the socket is applied now; the rest the sidecar never hears of, or as lost.
        harness.wait_until(lambda: sidecar.Books()["processes"][0]["state"] != "alive", "the probe's end", 90)
        harness.AssertEquation(self, sidecar.Books())

    def testStoppedForAWhile(self):
        """Longer than the buffer lasts: the oldest batches are lost, and the sidecar's books say how many spans."""
        sidecar = self.Sidecar()
        probe = self.Probe()
        harness.wait_until(lambda: sidecar.Books()["applied"] > 5_000, "5000 spans", also=sidecar.Output)
        sidecar.Signal(signal.SIGSTOP)
        self.WaitForMore(probe, FAR_TOO_MANY)
        sidecar.Signal(signal.SIGCONT)
        applied = sidecar.Books()["applied"]
        harness.wait_until(lambda: sidecar.Books()["applied"] > applied + 5_000, "spans after the pause", also=sidecar.Output)
        report = self.Finish(probe)
        stats = harness.wait_until(lambda: self.Closed(sidecar), "the probe's goodbye", also=sidecar.Output)
        harness.AssertEquation(self, stats)
        self.assertEqual(stats["emitted"], report["emitted"])
        self.assertEqual(sum(stats["lost"].values()), report["not_delivered"], (stats, report))

    def testSlow(self):
        """Stopped most of the time, again and again: what arrives is applied, what does not is counted."""
        sidecar = self.Sidecar()
        probe = self.Probe()
        for _ in range(5):
            sidecar.Signal(signal.SIGSTOP)
            self.WaitForMore(probe, RATE // 2)
            sidecar.Signal(signal.SIGCONT)
            applied = sidecar.Books()["applied"]
            harness.wait_until(lambda: sidecar.Books()["applied"] > applied, "spans between two stops", also=sidecar.Output)
        report = self.Finish(probe)
        stats = harness.wait_until(lambda: self.Closed(sidecar), "the probe's goodbye", also=sidecar.Output)
        harness.AssertEquation(self, stats)
        self.assertEqual(stats["emitted"], report["emitted"])
        self.assertEqual(sum(stats["lost"].values()), report["not_delivered"], (stats, report))

    def Closed(self, sidecar):
        stats = sidecar.Books()
        return stats if all(process["state"] == "closed" for process in stats["processes"]) else None


if __name__ == "__main__":
    unittest.main()
