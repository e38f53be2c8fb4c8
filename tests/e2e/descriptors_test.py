"""A traced program that has no file descriptors left, before Start or after: it goes on, nothing is printed, nothing
aborts (ZeroMQ would), spans wait, and all arrive once there are descriptors again."""
import json
import signal
import unittest

import harness


class DescriptorsTest(harness.TestCase):
    def Run(self, how):
        return self.Start([harness.Binary("spanwatch-e2e-exhausted"), self.endpoint, how])

    def Report(self, program):
        self.assertEqual(program.Wait(), 0, program.Output())
        report = json.loads(program.lines[-1])
        self.assertEqual(report["delivered"], report["emitted"], report)
        self.assertGreater(report["no_descriptors"], 0, report)
        return report

    def testNoneBeforeStart(self):
        self.Sidecar()
        program = self.Run("before")
        report = self.Report(program)
        self.assertEqual(report["emitted"], 1000)
        self.assertEqual([line.split()[0] for line in program.lines[:-1]], ["put", "delivered"], program.Output())

    def testNoneAfterStart(self):
        sidecar = self.Sidecar()
        program = self.Run("after")
        self.Line(program, "goes on")
        sidecar.Kill()
        self.Line(program, "put off")
        self.Sidecar()
        program.Signal(signal.SIGUSR1)
        self.assertEqual(self.Report(program)["emitted"], 3000)

    def testAnyNumber(self):
        """ZeroMQ aborts with some small numbers of descriptors: the SDK must not let it come to that."""
        self.Sidecar()
        program = self.Run("sweep")
        self.assertEqual(program.Wait(), 0, program.Output())
        self.assertEqual(json.loads(program.lines[-1]), {"good": 41})

    def Line(self, program, begin):
        harness.wait_until(lambda: any(line.startswith(begin) for line in list(program.lines)), begin, also=program.Output)


if __name__ == "__main__":
    unittest.main()
