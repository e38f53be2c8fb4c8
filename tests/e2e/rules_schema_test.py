"""rules/rules.schema.json and `spanwatch check` take and refuse the same rules; docs/rules.md shows what both take."""
import functools
import glob
import itertools
import json
import os
import re
import subprocess
import unittest

import harness

try:
    import jsonschema
    import yaml
except ImportError:
    jsonschema = yaml = None

# Of each measure, thresholds that it takes and the keys that it cannot be without.
THRESHOLDS = {"span.tag(NAME)": "500", "rate": "5/s", "error_rate": "10%", "store.fill": "90%", "service.health": "critical",
              "process.memory": "1GB", "span.memory_delta": "1MB", "trace.memory_delta": "1MB", "absent": "1h",
              "process.silent_for": "30s", "cost": "$5", "slo.burn_rate": "14.4", "span.duration": "1s", "span.open_for": "1s",
              "trace.duration": "1s", "duration.avg": "1s", "duration.p50": "1s", "duration.p90": "1s", "duration.p95": "1s",
              "duration.p99": "1s"}
NEEDED = {"slo.burn_rate": ["objective: 99.9%"]}
# Mistakes that are beyond a schema: names used twice, what a pattern can match, orders of size, names in templates.
BEYOND = {"rule_duplicate", "rule_regex", "rule_template", "rule_threshold_order", "rule_threshold_never", "rule_formats",
          "rule_match_nothing", "rule_prometheus_texts"}
# Values of keys: right and wrong ones of each kind. Ranges of durations and sizes are not the schema's.
VALUES = {
    "for": ["30s", "0", "1h30m", "30", "5x", "-1s", "m", "[1s]"], "keep_firing_for": ["2m", "1.5h", "1m1h"], "window": ["5m", "5", "1d"],
    "windows": ["[1h, 5m]", "[1h]", "5m", "[1h, 30m, 5m]", "[1, 2]"], "objective": ["99.9%", "99.9", "0.999"], "slower_than": ["2s", "2"],
    "min_count": ["20", "1.5", "-1", "many"], "direction": ["above", "below", "up"],
    "by": ["[]", "service", "[service]", "[service, operation]", "[kind, status, tag.a.b]", "[name]", "[tag.]", "[service, service]",
           "[a.b]", "{service: x}", "[tag.a, tag.b, tag.c, tag.d, tag.e, tag.f, tag.g, tag.h, tag.i]"],
    "match": ["{}", "{service: bot}", "{operation: 'a.*'}", "{kind: server, status: error}", "{tag.a.b: 5}", "{a.b: x}", "{servce: x}",
              "[service]", "{service: [a]}", "{tag.: x}"],
    "labels": ["{team: bots}", "{severity: page}", "{service: x}", "{1team: x}", "{team: '{{ value }}'}", "{team: [a]}", "[a]", "{}"],
    "annotations": ["{summary: hello}", "{summary: '{{ value }}'}", "{my summary: x}", "{summary: {a: b}}", "summary"],
    "expr": ["up"], "severity": ["critical"], "treshold": ["1s"],
}
SAMPLES = ["1s", "1h30m", "50ms", "10%", "99.9%", "5MB", "1.5GB", "5/s", "300/m", "15", "2.5", "20k", "1.5M", "-3", "$5", "$ 0.50", "5 USD",
           "$5 USD", "14.4", "14.4x", "critical", "warning", "healthy", "5 s", "1m2h", "1e3", ".5s", "''", "[1]"]
NAMED = ["$slow", "$depth", "$error_rate", "$memory", "$slwo", "15"]


def Read(path):
    with open(os.path.join(harness.ROOT, path), encoding="utf-8") as file:
        return file.read()


@functools.lru_cache
def Schema():
    return json.loads(Read("rules/rules.schema.json"))


def Fits(document):
    return jsonschema.Draft7Validator(Schema()).is_valid(document)


def Load(text):
    """YAML, but for 1.1's words: yes, no, on and off are texts in rule files."""
    return yaml.load(text, Loader=_Loader) if yaml else None


if yaml:
    class _Loader(yaml.SafeLoader):
        pass
    _Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:null")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}


class RulesTestCase(harness.TestCase):
    def setUp(self):
        super().setUp()
        if jsonschema is None:
            self.skipTest("skipped: python3-jsonschema or python3-yaml is not installed (scripts/deps --test)")
        self.spanwatch = harness.Binary("spanwatch")

    def Check(self, *paths):
        """The problems: lines of `spanwatch check`."""
        result = subprocess.run([self.spanwatch, "check", *paths], capture_output=True, text=True, check=False, timeout=60)
        lines = result.stderr.splitlines()[:-1]
        self.assertEqual(result.returncode != 0, bool(lines), result.stderr)
        return lines

    def CheckText(self, text):
        return self.Check(self.Write("rules.yaml", text))

    def Verdicts(self, rules):
        """[(rule, the parser's problems with it, whether the schema takes it)] of rules in one line each."""
        result = []
        for start in range(0, len(rules), 200):
            part = rules[start:start + 200]
            text = "groups:\n- name: g\n  rules:\n" + "".join(f"  - {{alert: A{n}, {rule}}}\n" for n, rule in enumerate(part))
            problems = {}
            for line in self.CheckText(text):
                number = int(re.search(r"rules\.yaml:(\d+):", line).group(1)) - 4
                problems.setdefault(number, []).append(line)
            for n, rule in enumerate(part):
                fits = Fits(Load(f"groups:\n- name: g\n  rules:\n  - {{alert: A{n}, {rule}}}\n"))
                result.append((rule, problems.get(n, []), fits))
        return result

    def Measures(self):
        line, = self.CheckText("groups: [{name: g, rules: [{alert: A, measure: nothing, thresholds: {warning: 1}}]}]")
        return line.split("allowed: ")[1].split(", ")

    def Rule(self, measure, **instead):
        keys = {"thresholds": "{critical: " + THRESHOLDS.get(measure, "15") + "}", **dict(k.split(": ") for k in NEEDED.get(measure, [])), **instead}
        name = measure.replace("NAME", "http.response.status_code")
        return ", ".join([f"measure: {name}"] + [f"{key}: {value}" for key, value in keys.items()])


class SchemaTest(RulesTestCase):
    def testIsASchemaThatTheShippedRulesName(self):
        jsonschema.Draft7Validator.check_schema(Schema())
        named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", Read("rules/default.yaml")).group(1)
        self.assertTrue(os.path.exists(os.path.join(harness.ROOT, "rules", named)))

    def testTakesGoodFiles(self):
        files = glob.glob("rules/*.yaml", root_dir=harness.ROOT) + glob.glob("tests/config/good/rules/*.yaml", root_dir=harness.ROOT)
        self.assertGreater(len(files), 1)
        for path in files:
            errors = [error.message for error in jsonschema.Draft7Validator(Schema()).iter_errors(Load(Read(path)))]
            self.assertEqual(errors, [], path)

    def testRefusesBadFiles(self):
        files = glob.glob("tests/config/bad/rule_*.yaml", root_dir=harness.ROOT)
        self.assertGreater(len(files), 15)
        for path in files:
            beyond = os.path.basename(path).removesuffix(".yaml") in BEYOND
            self.assertEqual(Fits(Load(Read(path))), beyond, path)

    def testMeasuresAreTheParsers(self):
        measures = self.Measures()
        self.assertGreater(len(measures), 20)
        enum, tag = Schema()["definitions"]["rule"]["properties"]["measure"]["anyOf"]
        self.assertEqual(sorted(enum["enum"] + ["span.tag(NAME)"]), sorted(measures))
        self.assertRegex("span.tag(a.b)", tag["pattern"])
        for wrong in ("span.tag", "span.tag()", "span.tag(a b)", "span.tag(a", "span.tag(a)(b)", "rate(5)", "Rate", ""):
            (_, problems, fits), = self.Verdicts([f"measure: '{wrong}', thresholds: {{critical: 1}}"])
            self.assertTrue(problems, wrong)
            self.assertFalse(fits, wrong)

    def testKeysOfEachMeasureAreTheParsers(self):
        def Allowed(line):
            return sorted(re.search(r"allowed: (.*)$", line).group(1).split(", "))
        measures = self.Measures()
        verdicts = self.Verdicts([self.Rule(measure, nonsense="1") for measure in measures])
        for measure, (rule, problems, fits) in zip(measures, verdicts, strict=True):
            self.assertEqual(len(problems), 1, problems)
            self.assertFalse(fits, rule)
            name = measure.replace("NAME", "x")
            properties = set(Schema()["definitions"]["rule"]["properties"])
            for each in Schema()["definitions"]["rule"]["allOf"]:
                if jsonschema.Draft7Validator(each["if"]).is_valid({"measure": name}):
                    properties -= {key for key, value in each["then"].get("properties", {}).items() if value is False}
            refused_with_reason = {"match"} if measure in ("store.fill", "spans_lost") else set()
            self.assertEqual(Allowed(problems[0]), sorted(properties | refused_with_reason), measure)
        for text, where in [("groups: []\nnonsense: 1", Schema()), ("groups: [{name: g, rules: [], nonsense: 1}]", Schema()["definitions"]["group"])]:
            line, = self.CheckText(text)
            self.assertEqual(Allowed(line), sorted(where["properties"]))

    def testKeysAndValuesAreJudgedAlike(self):
        rules = [self.Rule(measure, **{key: value}) for measure in self.Measures() for key, values in VALUES.items() for value in values]
        self.Compare(rules)

    def testThresholdsAreJudgedAlike(self):
        measures = self.Measures()
        rules = [self.Rule(measure, thresholds=f"{{{level}: {value}}}")
                 for measure, (level, value) in itertools.product(measures, zip(itertools.cycle(["warning", "critical"]), SAMPLES))]
        rules += [self.Rule(measure, thresholds=value) for measure in measures for value in NAMED + ["{}", "{warn: 1}", "''"]]
        self.Compare(rules)

    def testRulesWithoutWhatTheyNeedAreJudgedAlike(self):
        rules = ["measure: slo.burn_rate, thresholds: {warning: 2}", "measure: rate", "thresholds: {warning: 1/s}", "measure: rate, thresholds: "]
        self.assertFalse(any(fits for _, _, fits in self.Compare(rules)))

    def Compare(self, rules):
        verdicts = self.Verdicts(rules)
        beyond = re.compile("out of range|never fires|is negative")
        for rule, problems, fits in verdicts:
            if all(beyond.search(line) for line in problems) and problems:
                continue
            self.assertEqual(not problems, fits, f"{rule}\n" + "\n".join(problems))
        self.assertTrue(any(fits for _, _, fits in verdicts) or len(rules) < 10)
        return verdicts


class DocumentationTest(RulesTestCase):
    def Blocks(self, path):
        """Its YAML examples, each as a whole rule file."""
        blocks = []
        for text in re.findall(r"(?ms)^```yaml\n(.*?)^```$", Read(path)):
            if not text.startswith("groups:"):
                text = "groups:\n  - name: example\n    rules:\n" + re.sub(r"(?m)^(?=.)", "      ", text)
            blocks.append(text)
        return blocks

    def testEveryExampleIsTaken(self):
        blocks = self.Blocks("docs/rules.md")
        self.assertGreater(sum(len(group["rules"]) for text in blocks for group in Load(text)["groups"]), 30)
        for text in blocks:
            self.assertEqual(self.CheckText(text), [], text)
            self.assertTrue(Fits(Load(text)), text)

    def testEveryMeasureKeyAndFormatHasAnExample(self):
        rules = [rule for text in self.Blocks("docs/rules.md") for group in Load(text)["groups"] for rule in group["rules"]]
        self.assertEqual({re.sub(r"\(.*\)", "(NAME)", rule["measure"]) for rule in rules}, set(self.Measures()))
        self.assertEqual({key for rule in rules for key in rule}, set(Schema()["definitions"]["rule"]["properties"]))
        line, = self.CheckText("groups: [{name: g, rules: [{alert: A, measure: span.tag(a), thresholds: {warning: 1}, "
                               "annotations: {summary: '{{ value | x }} and no more'}}]}]")
        prose = Read("docs/rules.md")
        for form in line.split("allowed: ")[1].split(", ") + ["duration", "seconds", "milliseconds"]:
            self.assertIn(f"`{form}`", prose)

    def testCommentedExamplesOfTheShippedRulesAreTaken(self):
        shipped, begin, comment = Read("rules/default.yaml").partition("\n#  - name: mine\n")
        text = shipped + (begin + comment).replace("\n#", "\n")
        self.assertEqual(self.CheckText(text), [], text)
        self.assertEqual([group["name"] for group in Load(text)["groups"]], ["default", "mine"])
        self.assertGreater(len(Load(text)["groups"][1]["rules"]), 2)


if __name__ == "__main__":
    unittest.main()
