"""The sidecar stops and starts again under load: nothing is lost, and the books of both lives balance to the unit."""
import signal
import unittest

import harness

LOAD = ("--rate", 300, "--time-scale", 50, "--misbehave", "none", "--seed", 5)


class RestartTest(harness.TestCase):
    def testStopAndStartUnderLoad(self):
        first = self.Sidecar(flags=["--record", self.Path("first.rec")])
        bot = self.Bot(*LOAD)
        harness.wait_until(lambda: first.Books()["applied"] > 3000, "3000 spans", also=bot.Output)
        first.Signal(signal.SIGTERM)
        self.assertEqual(first.Wait(10), 0, first.Output())
        first_life = self.Replay("first.rec")
        harness.AssertEquation(self, first_life)
        self.assertGreater(first_life["applied"], 3000)

        second = self.Sidecar(port=first.port)
        harness.wait_until(lambda: second.Books()["applied"] > 3000, "3000 spans of the second life", also=bot.Output)
        summary = harness.Summary(bot)
        self.assertEqual(summary["not delivered"], 0, bot.Output())
        self.assertEqual(summary["spans delivered"], summary["spans emitted"])
        second_life = harness.wait_until(lambda: self.Closed(second), "the bot's goodbye", also=second.Output)
        harness.AssertEquation(self, second_life)
        for life in (first_life, second_life):
            self.assertEqual(sum(life["lost"].values()), 0, life)
        # The second life starts its books at what the first had acknowledged.
        self.assertEqual(first_life["applied"] + second_life["applied"], summary["spans emitted"])

    def testKilledSidecar(self):
        """Without a chance to say anything: what was not acknowledged comes again, nothing is lost."""
        first = self.Sidecar()
        bot = self.Bot(*LOAD)
        harness.wait_until(lambda: first.Books()["applied"] > 1000, "1000 spans", also=bot.Output)
        first.Kill()
        second = self.Sidecar(port=first.port)
        harness.wait_until(lambda: second.Books()["applied"] > 1000, "1000 spans of the second life", also=bot.Output)
        summary = harness.Summary(bot)
        self.assertEqual(summary["not delivered"], 0, bot.Output())
        stats = harness.wait_until(lambda: self.Closed(second), "the bot's goodbye", also=second.Output)
        harness.AssertEquation(self, stats)
        self.assertEqual(sum(stats["lost"].values()), 0, stats)

    def Replay(self, name):
        """The books at the end of a recorded life."""
        process = self.Start([harness.Binary("spanwatch"), "replay", self.Path(name)])
        self.assertEqual(process.Wait(), 0, process.Output())
        return {"processes": [], **harness.json.loads(process.lines[-1])["stats"]}

    def Closed(self, sidecar):
        stats = sidecar.Books()
        states = [process["state"] for process in stats["processes"]]
        return stats if states == ["closed"] else None


if __name__ == "__main__":
    unittest.main()
