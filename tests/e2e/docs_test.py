"""README and docs: the code that they quote is the code that is compiled, their links lead somewhere, their flags exist."""
import glob
import os
import re
import subprocess
import unittest

import harness


def Read(path):
    with open(os.path.join(harness.ROOT, path), encoding="utf-8") as file:
        return file.read()


class DocsTest(unittest.TestCase):
    def testFirstSpanIsTheCompiledOne(self):
        quoted = re.search(r"```cpp\n(.*?)```", Read("README.md"), re.S).group(1)
        compiled = re.sub(r"\A(//[^\n]*\n)+", "", Read("examples/first_span/main.cc"))
        self.assertEqual(quoted, compiled)

    def testLinksLeadSomewhere(self):
        for path in ["README.md", *glob.glob("docs/*.md", root_dir=harness.ROOT)]:
            prose = re.sub(r"```.*?```", "", Read(path), flags=re.S)
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose):
                if not target.startswith("http"):
                    self.assertTrue(os.path.exists(os.path.join(harness.ROOT, os.path.dirname(path), target)), f"{path}: {target}")

    def testScriptsOfReadmeExplainThemselves(self):
        for script in ("run", "test", "deps", "bench"):
            result = subprocess.run([os.path.join(harness.ROOT, "scripts", script), "--help"], capture_output=True, text=True,
                                    check=False)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn(f"scripts/{script}", result.stdout)


if __name__ == "__main__":
    unittest.main()
