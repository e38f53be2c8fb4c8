"""README and docs: the code that they quote is the code that is compiled, their links lead somewhere, their flags exist."""
import glob
import json
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


# Each call of an example: its answer goes to a file of its own, a bad status is an error, so is a time-out that was not asked for.
SHELL = """set -uo pipefail
curl() {
  local file; file=$ANSWERS/$(ls "$ANSWERS" | wc -l)
  command curl --fail-with-body "$@" | tee "$file"; local status=${PIPESTATUS[0]}
  if [ "$status" = 28 ]; then case " $* " in *" --max-time "*) status=0 ;; esac; fi
  if [ "$status" != 0 ]; then echo "curl $*: status $status: $(head -c 300 "$file")" >> "$ANSWERS.errors"; fi
  return "$status"
}
"""


def KeysOfSample(sample):
    """Top-level keys of a sample, which may have "..." as key or value."""
    try:
        value = json.loads(sample)
    except ValueError as error:
        raise AssertionError(f"not JSON: {error}\n{sample}") from None
    return set(value) - {"..."} if isinstance(value, dict) else set()


class ApiExamplesTest(harness.TestCase):
    """Every shell example of docs/api.md, against a sidecar with real data."""

    def Examples(self):
        """[(heading, shell text, samples that follow it)]"""
        examples, heading = [], ""
        for title, language, text in re.findall(r"(?m)^## ([^\n]*)$|^```(\w+)\n(.*?)^```$", Read("docs/api.md"), re.S):
            if title:
                heading = title
            elif language == "sh":
                examples.append((heading, text, []))
            elif language == "json" and examples:
                examples[-1][2].append(text)
        return examples

    def testEveryCallHasAnExample(self):
        shell = "".join(text for _, text, _ in self.Examples())
        for path in json.loads(Read("docs/openapi.json"))["paths"]:
            if path.startswith("/api/v1/"):
                pattern = re.sub(r"\\\{\w+\\\}", lambda _: r"(?:[0-9a-f]{32}|\$\w+)", re.escape(path))
                self.assertRegex(shell, rf"(?m)^curl -s.*{pattern}(['? ]|$)", f"docs/api.md shows no call of {path}")

    def testEveryExampleRuns(self):
        sidecar = self.Sidecar(sets=["thresholds.slow=[1ms, 1m]"])  # so that there is an alert to show
        bot = self.Bot("--messages", 100, "--rate", 60, "--time-scale", 4)
        self.assertEqual(bot.Wait(), 0, bot.Output())
        harness.wait_until(lambda: sidecar.Stats()["tracesCompleted"] >= 100, "complete traces", also=sidecar.Output)
        harness.wait_until(lambda: [alert for alert in sidecar.Alerts() if alert["state"] == "firing"], "an alert", also=sidecar.Alerts)
        trace = sidecar.Json("/api/v1/traces?limit=1")["traces"][0]["traceId"]
        examples = self.Examples()
        self.assertGreater(len(examples), 8)
        for number, (heading, shell, samples) in enumerate(examples):
            with self.subTest(heading, shell=shell):
                self.Run(sidecar, trace, number, shell, samples)

    def Run(self, sidecar, trace, number, shell, samples):
        answers = self.Path(f"answers{number}")
        os.mkdir(answers)
        text = re.sub(r"\b[0-9a-f]{32}\b", trace, shell.replace("http://localhost:9464", sidecar.url))
        result = subprocess.run(["bash", "-c", SHELL + text], capture_output=True, text=True, errors="replace", timeout=60, check=False,
                                env=self.Environment({"ANSWERS": answers}), cwd=self.directory)
        if os.path.exists(answers + ".errors"):
            with open(answers + ".errors", encoding="utf-8", errors="replace") as file:
                self.fail(file.read())
        for expected in re.findall(r"# (\d{3})$", text, re.M):
            self.assertIn(expected, result.stdout)
        keys = []
        for name in os.listdir(answers):
            with open(os.path.join(answers, name), encoding="utf-8", errors="replace") as file:
                try:
                    keys.append(set(json.load(file)))
                except (ValueError, TypeError):
                    pass
        for sample in samples:
            wanted = KeysOfSample(sample)
            self.assertTrue(any(wanted <= each for each in keys), f"no answer has all of {sorted(wanted)}: {keys}")


if __name__ == "__main__":
    unittest.main()
