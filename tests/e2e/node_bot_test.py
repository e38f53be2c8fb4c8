"""examples/node-bot, instrumented by OpenTelemetry's packages alone: its traces come back whole over OTLP/HTTP, its slow route
raises SlowOperation, its failing one an error; and its packages accept Debian's Node.js."""
import collections
import hashlib
import json
import os
import re
import shutil
import subprocess
import unittest
import urllib.request

import harness

BOT = os.path.join(harness.ROOT, "examples/node-bot")
DEBIANS_NODE = (18, 19, 0)
INSTALL_DEADLINE_S = 240

# What one message of each route must look like: operation, kind, and the operation of the parent.
CHAT = {("messageCreate", "consumer", None), ("POST", "client", "messageCreate"), ("POST /chat", "server", "POST"),
        ("middleware - jsonParser", "internal", "POST /chat"), ("request handler", "internal", "POST /chat"),
        ("GET", "client", "request handler"), ("GET /context", "server", "GET"),
        ("middleware - jsonParser", "internal", "GET /context"), ("request handler", "internal", "GET /context"),
        ("chat gemini-2.0-flash", "client", "request handler")}
SINGLE = {("messageCreate", "consumer", None), ("GET", "client", "messageCreate"), ("GET /{}", "server", "GET"),
          ("middleware - jsonParser", "internal", "GET /{}"), ("request handler", "internal", "GET /{}")}


def Lock():
    with open(os.path.join(BOT, "package-lock.json"), encoding="utf-8") as file:
        return json.load(file)


def Accepts(engines, version):
    """Does an `engines` range take the version? Knows what the lock file's ranges use: ^ >= < x || and blanks for `and`."""
    def One(part):
        operator, digits = re.fullmatch(r"(\^|>=|<|)\s*v?([\dx.*]+)\.?", part).groups()
        numbers = [int(digit) for digit in digits.split(".") if digit.isdigit()]
        floor = tuple(numbers + [0] * (3 - len(numbers)))
        if not numbers:
            return True
        if operator == ">=":
            return version >= floor
        if operator == "<":
            return version < floor
        if operator == "^":
            return version >= floor and version[0] == floor[0]
        return version[:len(numbers)] == tuple(numbers)

    alternatives = re.sub(r"(\^|>=|<)\s+", r"\1", engines).split("||")
    return any(all(One(part) for part in alternative.split()) for alternative in alternatives)


class LockTest(unittest.TestCase):
    def testPackagesAcceptDebiansNode(self):
        self.assertTrue(Accepts("^18.19.0 || >=20.6.0", DEBIANS_NODE))
        for engines in (">=20.6.0", "^18.20.0", "6.* || 8.x"):
            self.assertFalse(Accepts(engines, DEBIANS_NODE), engines)
        for path, package in Lock()["packages"].items():
            engines = package.get("engines", {}).get("node", "*")
            self.assertTrue(Accepts(engines, DEBIANS_NODE), f"{path} {package.get('version')} wants Node.js {engines}")

    def testVersionsArePinnedAndComeFromWhereverTheUserSays(self):
        lock = Lock()
        with open(os.path.join(BOT, "package.json"), encoding="utf-8") as file:
            for name, version in json.load(file)["dependencies"].items():
                self.assertEqual(lock["packages"][f"node_modules/{name}"]["version"], version)
        for path, package in lock["packages"].items():
            self.assertNotIn("resolved", package, f"{path}: no host of a registry in the lock file")
            self.assertTrue(path == "" or package["integrity"].startswith("sha512-"), path)

    def testNothingOfSpanwatchIsInIt(self):
        for name in ("bot.js", "server.js", "tracing.js", "package.json"):
            with open(os.path.join(BOT, name), encoding="utf-8") as file:
                self.assertNotRegex(file.read(), r"require\(['\"][^'\"]*spanwatch", name)


class NodeBotCase(harness.TestCase):
    """The bot installed, and started against a sidecar with an OTLP port."""

    def setUp(self):
        super().setUp()
        if shutil.which("node") is None or shutil.which("npm") is None:
            self.skipTest("skipped node-bot: node or npm is not installed (scripts/deps --test)")
        harness.Binary("spanwatch")
        self.bot_directory = self.Install()
        self.otlp_port = harness.FreePort()

    def Install(self):
        """The bot beside its packages in the build directory; installed once for each lock file."""
        directory = os.path.join(harness.BUILD, "node-bot")
        os.makedirs(directory, exist_ok=True)
        stamp = os.path.join(directory, "installed")
        for name in ("package.json", "package-lock.json", "bot.js", "server.js", "tracing.js"):
            shutil.copyfile(os.path.join(BOT, name), os.path.join(directory, name))
        with open(os.path.join(BOT, "package-lock.json"), "rb") as file:
            wanted = hashlib.sha256(file.read()).hexdigest()
        if os.path.exists(stamp):
            with open(stamp, encoding="ascii") as file:
                if file.read() == wanted:
                    return directory
        result = subprocess.run(["npm", "ci", "--engine-strict", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=directory,
                                capture_output=True, text=True, check=False, timeout=INSTALL_DEADLINE_S)
        self.assertEqual(result.returncode, 0, f"npm ci: {result.stdout}\n{result.stderr}")
        with open(stamp, "w", encoding="ascii") as file:
            file.write(wanted)
        return directory

    def NodeBot(self, *flags):
        return self.Start(["node", os.path.join(self.bot_directory, "bot.js"), "--port", "0", *map(str, flags)],
                          {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.otlp_port}", "OTEL_BSP_SCHEDULE_DELAY": "100"},
                          "node-bot")

    def StartSidecar(self, **arguments):
        return self.Sidecar(sets=[f"otlp.listen=127.0.0.1:{self.otlp_port}"], **arguments)


class NodeBotTest(NodeBotCase):
    def Traces(self, sidecar, **query):
        parameters = "&".join(f"{name}={value}" for name, value in query.items())
        return sidecar.Json(f"/api/v1/traces?service=node-bot&limit=1000&{parameters}")["traces"]

    def testTracesComeBackWhole(self):
        sidecar = self.StartSidecar()
        bot = self.NodeBot("--requests", 40, "--rate", 20)
        self.assertEqual(bot.Wait(), 0, bot.Output())
        self.assertEqual(harness.Summary(bot), {"messages": 40, "answered": 36, "failed": 4}, bot.Output())
        self.assertNotIn("not delivered", bot.Output())
        traces = harness.wait_until(lambda: (lambda found: found if len(found) == 40 else None)(self.Traces(sidecar)),
                                    "40 traces", also=sidecar.Output)
        routes = {trace["traceId"]: self.CheckTrace(sidecar.Json(f"/api/v1/traces/{trace['traceId']}")) for trace in traces}
        for trace, route in routes.items():
            self.CheckAnalysis(sidecar.Json(f"/api/v1/traces/{trace}/analysis"), route)
        self.assertEqual(collections.Counter(routes.values()), {"chat": 24, "ping": 8, "slow": 4, "fail": 4})
        failed = [routes[trace["traceId"]] for trace in self.Traces(sidecar, status="error")]
        self.assertEqual(failed, ["fail"] * 4)
        slow = [routes[trace["traceId"]] for trace in self.Traces(sidecar, min_duration="1.1s")]
        self.assertEqual(slow.count("slow"), 4)

    def CheckTrace(self, trace):
        """Its spans, their kinds and parents are those of its route, which is returned."""
        spans = {span["spanId"]: span for span in trace["spans"]}
        self.assertEqual(len(spans), len(trace["spans"]))
        found = set()
        for span in spans.values():
            parent = spans[span["parentSpanId"]]["operationName"] if span["parentSpanId"] else None
            found.add((span["operationName"], span["kind"].lower(), parent))
            self.assertFalse(span["orphan"])
        route = next(span["tags"]["message.route"] for span in spans.values() if span["parentSpanId"] is None)
        expected = CHAT if route == "chat" else {tuple(part and part.format(route) for part in row) for row in SINGLE}
        self.assertEqual(found, expected)
        self.assertEqual(len(spans), len(expected))
        self.assertEqual(trace["status"], "error" if route == "fail" else "success")
        if route == "fail":
            handler = next(span for span in spans.values() if span["operationName"] == "request handler")
            self.assertEqual(handler["status"], "error")
            self.assertIn("the backend refused the request", json.dumps(handler["logs"]))
        if route == "chat":
            model = next(span for span in spans.values() if span["operationName"].startswith("chat "))
            self.assertEqual(model["tags"]["gen_ai.request.model"], "gemini-2.0-flash")
            self.assertGreater(model["tags"]["gen_ai.usage.output_tokens"], 0)
        return route

    def CheckAnalysis(self, analysis, route):
        """Its times add up, and it tells what the bot's own code knows of the turn."""
        path = analysis["performance"]["criticalPath"]
        self.assertAlmostEqual(sum(part["duration"] for part in path["segments"]) + path["idle"], path["duration"], delta=0.01)
        rows = {row["spanId"]: row for row in analysis["timeline"]}
        self.assertEqual(len(rows), analysis["spanCount"])
        root = rows[analysis["rootSpanId"]]
        self.assertEqual((root["operation"], root["depth"]), ("messageCreate", 1))
        self.assertAlmostEqual(path["duration"], root["duration"], delta=0.01)
        self.assertEqual(analysis["llm"] is not None, route == "chat")
        if route == "chat":
            model = analysis["llm"]["models"][0]
            self.assertEqual((model["model"], model["calls"]), ("gemini-2.0-flash", 1))
            self.assertGreater(model["outputTokens"], 0)
            cost = (model["inputTokens"] * 0.10 + model["outputTokens"] * 0.40) / 1e6  # config/prices.yaml
            self.assertAlmostEqual(model["cost"], cost, delta=1e-12)
            self.assertEqual(model["unpricedCalls"], 0)
            turn = analysis["llm"]["turn"]
            call = next(row for row in rows.values() if row["operation"].startswith("chat "))
            self.assertGreater(call["criticalTime"], 0, "the turn waits for the model")
            self.assertAlmostEqual(turn["generating"], call["criticalTime"] / path["duration"], delta=0.001)
            self.assertAlmostEqual(sum(turn.values()), 1, delta=0.01)
        if route == "fail":
            chain = analysis["errors"]["chains"][0]
            self.assertEqual(rows[chain["rootCauseSpanId"]]["operation"], "request handler")
            self.assertIn("the backend refused the request",
                          " ".join(insight["text"] for insight in analysis["insights"] if insight["code"] == "root_cause"))

    def testSlowRouteRaisesSlowOperation(self):
        discord = self.Discord()
        sidecar = self.StartSidecar(rules=self.FastRules(), discord=discord.url)
        bot = self.NodeBot("--rate", 0)
        port = harness.wait_until(lambda: re.search(r"port (\d+);", bot.Output()), "the bot listens", also=bot.Output).group(1)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/slow?ms=1200", timeout=30) as answer:
            self.assertEqual(json.load(answer), {"tookMs": 1200})

        def Alert():
            return next((alert for alert in sidecar.Alerts() if alert["labels"].get("operation") == "GET /slow"), None)

        alert = harness.wait_until(Alert, "an alert", also=sidecar.Output)
        self.assertEqual((alert["labels"]["alertname"], alert["labels"]["service"], alert["labels"]["severity"]),
                         ("SlowOperation", "node-bot", "warning"))
        self.assertGreaterEqual(alert["worstValue"], 1199)  # a timer may be a millisecond early
        harness.wait_until(lambda: any("SlowOperation" in card.title and "GET /slow" in card.title for card in discord.live()),
                           "a card", also=sidecar.Output)
        self.assertEqual(bot.Stop(), 0, bot.Output())

    def testItRunsWithoutASidecar(self):
        bot = self.NodeBot("--requests", 10, "--rate", 50)
        self.assertEqual(bot.Wait(), 0, bot.Output())
        self.assertEqual(harness.Summary(bot), {"messages": 10, "answered": 9, "failed": 1}, bot.Output())


if __name__ == "__main__":
    unittest.main()
