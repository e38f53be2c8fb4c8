"""scripts/run: works, prints cards, stops in order and leaves no process behind."""
import os
import signal
import socket
import unittest

import harness


class RunTest(harness.TestCase):
    def Run(self, *flags, port=None):
        command = [os.path.join(harness.ROOT, "scripts/run"), "--no-build", "--port", str(port or harness.FreePort()), *flags,
                   "--", "--set", "otlp.listen=''", "--set", f"rules=['{self.FastRules()}']"]
        return self.Start(command, {"SPANWATCH_BUILD_DIR": harness.BUILD})

    def LeftBehind(self):
        """Processes that have this test's directory in their environment."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as file:
                    if f"XDG_RUNTIME_DIR={self.directory}\0".encode() in file.read():
                        found.append(int(pid))
            except OSError:
                continue
        return found

    def testRunsAndStopsByItself(self):
        run = self.Run("--seconds", "25", "--rate", "10")
        self.assertEqual(run.Wait(120), 0, run.Output())
        self.assertEqual(self.LeftBehind(), [])
        output = run.Output()
        self.assertIn("Spanwatch runs.", output)
        self.assertIn("/metrics", output)
        self.assertRegex(output, r"discord \| .*SlowOperation")
        self.assertRegex(output, r"spans emitted +\d+")
        self.assertNotIn("\033[", output)

    def testStopsOnSignals(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            run = self.Run()
            harness.wait_until(lambda: "Spanwatch runs." in run.Output(), "the start", also=run.Output)
            run.Signal(number)
            self.assertEqual(run.Wait(60), 0, run.Output())
            self.assertEqual(self.LeftBehind(), [])

    def testDiesWithItsChildren(self):
        run = self.Run()
        harness.wait_until(lambda: "Spanwatch runs." in run.Output(), "the start", also=run.Output)
        run.Signal(signal.SIGKILL)
        run.process.wait()
        harness.wait_until(lambda: not self.LeftBehind(), "the end of all children")

    def testAMistakeIsToldBeforeTheBuild(self):
        for flags, text in ((["--sceonds", "5"], "--sceonds"), (["--rate", "0"], "0.001 to 100000"), (["--port", "99999"], "65535")):
            run = self.Start([os.path.join(harness.ROOT, "scripts/run"), *flags], {})
            self.assertEqual(run.Wait(60), 2, run.Output())
            self.assertIn(text, run.Output())
            self.assertNotIn("Building", run.Output())

    def testPortInUse(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            run = self.Run(port=other.getsockname()[1])
            self.assertEqual(run.Wait(60), 1, run.Output())
            self.assertIn("in use", run.Output())
            self.assertIn("--port", run.Output())
            self.assertEqual(self.LeftBehind(), [])


if __name__ == "__main__":
    unittest.main()
