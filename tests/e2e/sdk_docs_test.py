"""docs/sdk.md: its C++ is quoted from programs that are compiled, those programs run, with and without a sidecar."""
import glob
import os
import re
import subprocess
import unittest

import harness

PROGRAMS = ("coroutines", "resilience", "seed-quick-start", "seed-instrumentation", "seed-errors-and-privacy", "seed-decorator", "seed-correlation", "seed-validation",
            "seed-best-practices")


def Lines(text):
    return "\n".join(line.strip() for line in text.strip("\n").split("\n"))


class SdkDocsTest(harness.TestCase):
    def testQuotedCodeIsCompiled(self):
        compiled = {}
        for pattern in ("examples/**/*.cc", "examples/**/*.h", "tests/snippets/*.cc"):
            for path in glob.glob(pattern, root_dir=harness.ROOT, recursive=True):
                with open(os.path.join(harness.ROOT, path), encoding="utf-8") as file:
                    compiled[path] = Lines(file.read())
        with open(os.path.join(harness.ROOT, "docs/sdk.md"), encoding="utf-8") as file:
            blocks = re.findall(r"```cpp\n(.*?)```", file.read(), re.S)
        self.assertGreater(len(blocks), 10)
        for block in blocks:
            self.assertTrue(any(Lines(block) in text for text in compiled.values()), f"in no compiled file:\n{block}")

    def testEveryExampleIsNamed(self):
        with open(os.path.join(harness.ROOT, "docs/sdk.md"), encoding="utf-8") as file:
            text = file.read()
        for path in glob.glob("examples/seed/*.cc", root_dir=harness.ROOT):
            if os.path.basename(path) != "sidecar.cc":
                self.assertIn(f"../{path}", text)

    def testProgramsRunWithoutASidecar(self):
        for name in PROGRAMS:
            environment = self.Environment({"TRACING_ENDPOINT": self.endpoint})
            result = subprocess.run([harness.Binary(f"spanwatch-{name}")], env=environment, capture_output=True, text=True, timeout=60,
                                    check=False)
            self.assertEqual(result.returncode, 0, f"{name}: {result.stdout}{result.stderr}")

    def testTheirTracesArriveAndAreAnalysed(self):
        sidecar = self.Sidecar().WaitReady()
        environment = self.Environment({"TRACING_ENDPOINT": self.endpoint})
        for name in ("seed-quick-start", "seed-errors-and-privacy"):
            subprocess.run([harness.Binary(f"spanwatch-{name}")], env=environment, check=True, timeout=60, stdout=subprocess.DEVNULL)
        harness.wait_until(lambda: sidecar.Stats()["totalTraces"] >= 4, "four traces", also=sidecar.Output)
        result = subprocess.run([harness.Binary("spanwatch-seed-analysis"), str(sidecar.port)], capture_output=True, text=True, timeout=60,
                                check=False)
        self.assertEqual(result.returncode, 0, result.stdout)
        for wanted in ("Service health: ", "Slowest: ", "totalTraces 4", " ms ", "exported "):
            self.assertIn(wanted, result.stdout)


if __name__ == "__main__":
    unittest.main()
