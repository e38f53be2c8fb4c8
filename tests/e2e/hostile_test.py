"""Broken, oversized, random frames and lying sequences beside a well-behaved bot: all its spans are applied, the rest is
counted by reason."""
import os
import random
import socket
import unittest

import harness


class HostileTest(harness.TestCase):
    def testHostileClientsHarmNobody(self):
        sidecar = self.Sidecar()
        bot = self.Bot("--rate", 200, "--time-scale", 50, "--misbehave", "none")
        harness.wait_until(lambda: sidecar.Books()["applied"] > 200, "the first spans", also=bot.Output)
        for seed in (1, 2):
            attacker = self.Start([harness.Binary("spanwatch-e2e-hostile"), self.endpoint, "40", str(seed)])
            self.RawBytes(seed)
            self.assertEqual(attacker.Wait(), 0, attacker.Output())
        applied = sidecar.Books()["applied"]
        harness.wait_until(lambda: sidecar.Books()["applied"] > applied + 2000, "spans after the attack", also=sidecar.Output)
        summary = harness.Summary(bot)
        self.assertEqual(summary["not delivered"], 0, bot.Output())

        stats = sidecar.Books()
        mine = [process for process in stats["processes"] if process["service"] == "discord-bot"]
        self.assertEqual(len(mine), 1, stats["processes"])
        self.assertEqual(mine[0]["emitted"], summary["spans emitted"])
        self.assertEqual(mine[0]["applied"], summary["spans emitted"])
        self.assertEqual(sum(mine[0]["lost"].values()), 0)
        harness.AssertEquation(self, stats)
        malformed = stats["malformedMessages"]
        sent = dict(line.split() for line in attacker.lines)
        for reason in ("bad_envelope", "bad_version", "bad_process_id", "bad_kind"):
            self.assertGreater(malformed.get(reason, 0), 0, (malformed, sent))
        # At least what is wrong whatever the reason is called.
        wrong = sum(int(sent[kind]) for kind in ("one_frame", "empty_frames", "version", "process_id", "kind"))
        self.assertGreaterEqual(sum(malformed.values()), 2 * wrong, malformed)
        self.assertTrue(sidecar.Running(), sidecar.Output())
        self.assertLess(sidecar.AnonymousMemory(), 200 << 20)

    def RawBytes(self, seed):
        """Clients that do not even speak ZeroMQ, or say nothing at all."""
        noise = random.Random(seed)
        for size in (0, 1, 10, 64, 5000):
            client = socket.socket(socket.AF_UNIX)
            self.addCleanup(client.close)
            client.connect(os.path.join(self.directory, "s.sock"))
            try:
                client.sendall(noise.randbytes(size))
            except OSError:
                pass  # refused already: just as good


if __name__ == "__main__":
    unittest.main()
