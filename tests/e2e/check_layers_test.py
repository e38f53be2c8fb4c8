"""scripts/check-layers against small bad samples: each rule finds its mistake, and an allowed one passes."""
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
SCRIPT = os.path.join(ROOT, "scripts/check-layers")


class CheckLayersTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = directory.name

    def Write(self, path, text):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)

    def Run(self):
        result = subprocess.run([sys.executable, SCRIPT, "--root", self.root], capture_output=True, text=True, check=False)
        self.assertEqual(result.stderr, "")
        self.assertEqual(result.returncode, 1 if result.stdout else 0)
        return result.stdout

    def AssertFinds(self, *texts):
        output = self.Run()
        for text in texts:
            self.assertIn(text, output)

    def testGoodTreePasses(self):
        self.Write("sidecar/core/a.cc", '#include <vector>\n#include <tl/expected.hpp>\n#include "spanwatch/ids.h"\n')
        self.Write("sidecar/ingest/a.cc", '#include <zmq.hpp>\n#include "sidecar/core/a.h"\n#include "sdk/cpp/redact/text.h"\n')
        self.Write("sdk/cpp/src/a.cc", '#include <zmq.h>\n#include "sdk/cpp/redact/keys.h"\n')
        self.Write("sidecar/app.cc", '#include "sidecar/http/server.h"\n#include <spdlog/spdlog.h>\n')
        self.Write("tests/unit/core/a_test.cc", "#include <zmq.h>\n#include <gtest/gtest.h>\n")
        self.assertEqual(self.Run(), "")

    def testArrows(self):
        self.Write("sidecar/core/a.cc", '#include "sidecar/ingest/ingest.h"\n')
        self.Write("sidecar/http/a.cc", '#include "sidecar/notify/notifier.h"\n')
        self.Write("sdk/cpp/src/a.cc", '#include "sidecar/core/engine.h"\n')
        self.Write("sidecar/ingest/a.cc", '#include "spanwatch/span.h"\n')
        self.Write("sidecar/metrics/a.cc", '#include "sdk/cpp/redact/text.h"\n')
        self.Write("sdk/cpp/redact/a.cc", '#include "sdk/cpp/src/record.h"\n#include <zmq.h>\n')
        self.AssertFinds("metrics may not include redact", "redact may not include sdk", "zmq.h: redact includes std only",
                         "core may not include ingest", "http may not include notify", "sdk may not include core",
                         "ingest may not include sdk")

    def testThirdPartyInCoreAndInHeaders(self):
        self.Write("sidecar/core/a.cc", "#include <nlohmann/json.hpp>\n#include <protozero/pbf_reader.hpp>\n#include <unistd.h>\n")
        self.Write("sidecar/notify/a.h", "#include <httplib.h>\n")
        self.Write("sidecar/http/a.h", "#include <nlohmann/json.hpp>\n")
        self.Write("sdk/cpp/include/spanwatch/a.h", "#include <tl/expected.hpp>\n")
        self.Write("sidecar/config/a.cc", "#include <boost/any.hpp>\n")
        self.AssertFinds("a.cc: include: nlohmann/json.hpp: core includes", "protozero/pbf_reader.hpp: core",
                         "unistd.h: system headers", "httplib is included by source files only",
                         "nlohmann is included by source files only", "tl/expected.hpp: public headers",
                         "boost/any.hpp: not a dependency")

    def testAtMostTwoSourceFilesALibrary(self):
        for name in ("a", "b"):
            self.Write(f"sidecar/config/{name}.cc", "#include <yaml-cpp/yaml.h>\n")
        self.assertEqual(self.Run(), "")
        self.Write("sidecar/config/c.cc", "#include <yaml-cpp/exceptions.h>\n")
        self.AssertFinds("yaml-cpp: library: 3 source files")

    def testNoClockInCore(self):
        self.Write("sidecar/core/a.cc", "// now() in a comment: steady_clock::now()\nauto t = std::chrono::steady_clock::now();\n")
        self.Write("sidecar/core/b.cc", "auto t = time(nullptr);\n")
        self.Write("sidecar/ingest/a.cc", "auto t = time(nullptr);\n")
        output = self.Run()
        self.assertIn("sidecar/core/a.cc: clock: line 2", output)
        self.assertIn("sidecar/core/b.cc: clock: line 1", output)
        self.assertNotIn("line 1: the engine is given its time", output.replace("b.cc: clock: line 1", ""))
        self.assertNotIn("ingest", output)

    def testSizes(self):
        body = "  f();\n" * 58
        self.Write("sidecar/http/a.cc", "namespace x {\nvoid Good() {\n" + body + "}\n}\n")
        self.assertEqual(self.Run(), "")
        self.Write("sidecar/http/a.cc", "namespace x {\nvoid Bad(int a) {\n  if (a) {\n  }\n" + body + "}\n}\n")
        self.Write("sidecar/http/b.cc", "\n" * 501)
        self.Write("scripts/x.py", "def Bad():\n" + "    f()\n" * 60)
        self.AssertFinds("sidecar/http/a.cc: function: Bad at line 2: 62 lines", "sidecar/http/b.cc: file: 501 lines",
                         "scripts/x.py: function: Bad at line 1: 61 lines")

    def testAllowListNeedsReasonAndUse(self):
        self.Write("sidecar/http/b.cc", "\n" * 501)
        self.Write("scripts/check-layers.allow", "file sidecar/http/b.cc one table that reads best whole\n")
        self.assertEqual(self.Run(), "")
        self.Write("scripts/check-layers.allow", "file sidecar/http/b.cc\nfile sidecar/http/c.cc long gone by now\n")
        self.AssertFinds("line 1: wants 'rule path reason in words'", "excuses nothing")


if __name__ == "__main__":
    unittest.main()
