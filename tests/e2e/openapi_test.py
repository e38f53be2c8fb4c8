"""docs/openapi.json against the running sidecar: every route is in it, every answer is as it says, no key is missing from it,
its parameters are taken and others are refused."""
import json
import os
import re
import unittest
import urllib.parse

import harness

try:
    import jsonschema
except ImportError:
    jsonschema = None

NATIVE = "/api/v1/"
RULES = """groups:
  - name: mine
    rules:
      - alert: Slow
        measure: span.duration
        thresholds: { warning: 1ms, critical: 200ms }
"""


SILENCE = {"matchers": [{"name": "service", "value": "bot"}, {"name": "severity", "value": "warning|critical", "isRegex": True}],
           "duration": "2h", "createdBy": "ada", "comment": "deploy"}


def Document():
    with open(os.path.join(harness.ROOT, "docs/openapi.json"), encoding="utf-8") as file:
        return json.load(file)


def Closed(schema):
    """The same, without keys that it does not name: so that the sidecar tells nothing that the document does not."""
    if isinstance(schema, list):
        return [Closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: Closed(value) for key, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema and "additionalProperties" not in schema:
        closed["additionalProperties"] = False
    return closed


def Routes():
    """[(method, path as in the document but for names)] of the sidecar's own table."""
    with open(os.path.join(harness.ROOT, "sidecar/http/router.cc"), encoding="utf-8") as file:
        table = re.search(r"kRoutes\[\] = \{\n(.*?)\n\};", file.read(), re.S).group(1)
    routes = []
    for line in re.findall(r"^ *\{(\".*)$", table, re.M):
        path, prefix, method = re.match(r'"([^"]*)", (true|false), "(\w+)"', line).groups()
        suffix = re.search(r"&Router::\w+, (?:\"([^\"]*)\"|(kAnalysisPath))", line)
        if prefix == "true":
            path += "{}"
        if suffix:
            path += suffix.group(1) or "/analysis"
        routes.append((method.lower(), path))
    return routes


class OpenApiTest(harness.TestCase):
    def setUp(self):
        super().setUp()
        if jsonschema is None:
            self.skipTest("skipped: python3-jsonschema is not installed (scripts/deps --test)")
        self.document = Document()
        self.closed = Closed(self.document)

    def WithData(self):
        sidecar = self.Sidecar(rules=self.Write("rules.yaml", RULES))
        bot = self.Bot("--messages", 100, "--rate", 60, "--time-scale", 4)
        self.assertEqual(bot.Wait(), 0, bot.Output())
        harness.wait_until(lambda: sidecar.Stats()["tracesCompleted"] >= 100, "complete traces", also=sidecar.Output)
        harness.wait_until(sidecar.Alerts, "an alert", also=sidecar.Output)
        self.traces = [trace["traceId"] for trace in sidecar.Json("/api/v1/traces?limit=1000")["traces"]]
        self.fingerprint = sidecar.Alerts()[0]["fingerprint"]
        status, text = sidecar.Request("/api/v1/silences", "POST", json.dumps(SILENCE).encode(), {"Content-Type": "application/json"})
        self.assertEqual(status, 200, text)
        jsonschema.validate(SILENCE, {**self.closed["components"]["schemas"]["PostableSilence"]})
        self.Check(self.Schema("/api/v1/silences", method="post"), json.loads(text), "silence")
        self.silence = json.loads(text)["silenceID"]
        return sidecar

    def Url(self, path, trace):
        """The path with real ids in it."""
        return path.replace("{id}", trace).replace("{fingerprint}", self.fingerprint).replace("{silence}", self.silence)

    def Check(self, schema, value, what):
        validator = jsonschema.Draft202012Validator({**schema, "components": self.closed["components"]})
        errors = [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in validator.iter_errors(value)]
        self.assertEqual(errors[:5], [], what)

    def Resolve(self, node):
        while "$ref" in node:
            target = self.closed
            for part in node["$ref"][2:].split("/"):
                target = target[part]
            node = target
        return node

    def Schema(self, path, status="200", method="get"):
        answer = self.Resolve(self.closed["paths"][path][method]["responses"][status])
        return answer["content"]["application/json"]["schema"]

    def Get(self, sidecar, path):
        status, text = sidecar.Request(path)
        self.assertEqual(status, 200, f"{path}: {text[:500]}")
        return json.loads(text)

    def Parameters(self, path):
        return [self.Resolve(each) for each in self.closed["paths"][path].get("get", {}).get("parameters", [])]

    def testEveryRouteIsDescribedAndNothingElse(self):
        described = {(method, re.sub(r"\{\w+\}", "{}", path)) for path, item in self.document["paths"].items() for method in item}
        self.assertEqual(described, set(Routes()))

    def testAnswersAreAsDescribed(self):
        sidecar = self.WithData()
        self.assertEqual(self.Get(sidecar, "/api/v1/openapi.json"), self.document)
        for path, item in self.document["paths"].items():
            if "get" not in item or not path.startswith(NATIVE) or path == "/api/v1/events":
                continue
            ids = self.traces[:60] if "{id}" in path else [self.traces[0]]
            for trace in ids:
                with self.subTest(path, trace=trace):
                    url = self.Url(path, trace) + ("?limit=50" if path == "/api/v1/export" else "")
                    self.Check(self.Schema(path), self.Get(sidecar, url), url)
        for form in ("json", "otlp", "jaeger"):
            url = f"/api/v1/export?format={form}&limit=20"
            self.Check(self.Schema("/api/v1/export"), self.Get(sidecar, url), url)
        for path in ("/", "/metrics", "/healthz", "/-/healthy", "/readyz", "/-/ready", f"/trace/{self.traces[0]}"):
            self.assertEqual(sidecar.Request(path)[0], 200, path)
        status, text = sidecar.Request("/-/reload", "POST")
        self.assertEqual(status, 200, text)
        self.Check(self.Schema("/-/reload", method="post"), json.loads(text), "reload")
        for path, expected in (("/api/v1/traces/" + 32 * "f", 404), ("/api/v1/traces/x", 400), ("/api/v1/traces?limit=0", 400)):
            status, text = sidecar.Request(path)
            self.assertEqual(status, expected, path)
            self.Check({"$ref": "#/components/schemas/Error"}, json.loads(text), path)

    def testParametersAreTakenAndOthersRefused(self):
        sidecar = self.WithData()
        for path in self.document["paths"]:
            if not path.startswith(NATIVE):
                continue
            url = self.Url(path, self.traces[0])
            if path != "/api/v1/events":  # it has no end
                for parameter in self.Parameters(path):
                    if parameter["in"] != "query":
                        continue
                    query = urllib.parse.urlencode({parameter["name"]: parameter["example"]})
                    with self.subTest(path, query=query):
                        self.Check(self.Schema(path), self.Get(sidecar, f"{url}?{query}"), f"{url}?{query}")
            with self.subTest(path, query="unknown"):
                status, text = sidecar.Request(url + "?surely_unknown=1")
                self.assertEqual((status, json.loads(text).get("field")), (400, "surely_unknown"), text)

    def testTagsAreGivenWhereTheyAreDescribed(self):
        sidecar = self.WithData()
        for path in self.document["paths"]:
            names = [parameter["name"] for parameter in self.Parameters(path)]
            if "If-None-Match" not in names:
                continue
            with self.subTest(path):
                url = self.Url(path, self.traces[0])
                self.assertEqual(sidecar.Request(url, headers={"If-None-Match": "*"}), (304, ""))
                self.assertEqual(sidecar.Request(url, headers={"If-None-Match": 'W/"other"'})[0], 200)


if __name__ == "__main__":
    unittest.main()
