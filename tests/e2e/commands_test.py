"""`spanwatch test`, `spanwatch replay --rules` and `spanwatch doctor`, as people use them."""
import glob
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
import unittest

import harness

START_NS = 1_700_000_000_000_000_000
SLOW = """groups:
  - name: mine
    rules:
      - alert: Slow
        measure: span.duration
        thresholds: { warning: %s }
        annotations: { summary: "{{ operation }} took {{ value }}" }
"""


def Read(path):
    with open(os.path.join(harness.ROOT, path), encoding="utf-8") as file:
        return file.read()


class Command(harness.TestCase):
    def Run(self, *arguments, env=None, status=0):
        """(standard output, standard error) of the command, plain."""
        command = [harness.Binary("spanwatch"), *map(str, arguments)]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False,
                                cwd=self.directory, env=self.Environment(env))
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        self.assertNotIn("\x1b", result.stdout + result.stderr, "colours in a pipe")
        return result.stdout, result.stderr


class RuleTestsTest(Command):
    TEST = """rules:
  - alert: SlowReply
    measure: span.duration
    thresholds: { warning: 1s }
tests:
  - name: a slow span
    spans: [{ at: 10s, service: bot, operation: reply, duration: 2s }]
    expect:
      - { at: 10s, alerts: [{ alert: SlowReply, severity: %s, value: 2s }] }
"""

    def testEveryShippedAlertHasATestAndANearMiss(self):
        text = "".join(map(Read, glob.glob("tests/rules/*.yaml", root_dir=harness.ROOT)))
        tests = re.split(r"(?m)^  - name: ", text)[1:]
        shipped = re.sub(r"(?m)^ *#.*$", "", Read("rules/default.yaml"))
        alerts = re.findall(r"- alert: (\w+)", shipped)
        self.assertGreater(len(alerts), 5)
        for alert in alerts:
            of_it = [test for test in tests if test.startswith(alert)]
            self.assertTrue([t for t in of_it if re.search(rf"alert: {alert}\b", t)], f"no test in which {alert} fires")
            self.assertTrue([t for t in of_it if "transitions: []" in t], f"no near miss of {alert}")

    def testAFailureShowsWhatDiffers(self):
        self.Run("test", self.Write("good.yaml", self.TEST % "warning"))
        output, _ = self.Run("test", self.Write("bad.yaml", self.TEST % "critical"), status=1)
        self.assertIn("FAILED  a slow span", output)
        self.assertRegex(output, r"bad\.yaml:9:9: at 10s other alerts are active than expected")
        self.assertIn("- SlowReply{} critical 2 s\n", output)
        self.assertIn('+ SlowReply{service="bot", operation="reply"} warning firing 2 s\n', output)
        self.assertIn("1 test: 0 passed, 1 failed", output)

    def testColoursOnATerminalOnly(self):
        path = self.Write("good.yaml", self.TEST % "warning")
        for env, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
            ours, theirs = os.openpty()
            process = subprocess.run([harness.Binary("spanwatch"), "test", path], stdin=subprocess.DEVNULL, stdout=theirs, timeout=100,
                                     check=True, env=self.Environment(env))
            os.close(theirs)
            with open(ours, "rb") as terminal:
                self.assertEqual(b"\x1b[32mok" in terminal.read1(4096), coloured, process)

    def testEqualRunsAreEqual(self):
        paths = sorted(glob.glob(os.path.join(harness.ROOT, "tests/rules/*.yaml")))
        first, _ = self.Run("test", "--show", "--only", "HighErrorRate", *paths)
        self.assertEqual(first, self.Run("test", "--show", "--only", "HighErrorRate", *paths)[0])
        self.assertIn("firing HighErrorRate", first)
        self.assertIn("| Warning: HighErrorRate: bot", first)

    def testMistakesAreToldWithTheirPlaces(self):
        good = self.TEST % "warning"
        for number, (old, new, expected) in enumerate([
                ("alert: SlowReply, severity", "alert: SlowRepl, severity", r':9:38: .*no rule has the name "SlowRepl" \(did you mean "SlowReply"\?\)'),
                ("duration: 2s", "durration: 2s", r':7:\d+: .*unknown key "durration" \(did you mean "duration"\?\)'),
                ("at: 10s, service", "at: soon, service", r":7:19: tests\[0\]\.spans\[0\]\.at: "),
                ("service: bot, ", "", r":7:13: .*service is missing"),
                ("warning, value", "loud, value", r':9:\d+: .*unknown value "loud".*allowed: none, warning, critical'),
                ("spans: [{ at: 10s", "spans: [{ count: 300000, at: 10s", r":7:\d+: .*count: .*out of range"),
                ("    expect:\n", "    exp_alerts:\n", r":8:\d+: .*unknown key|:6:\d+: .*nothing is expected"),
                ("rules:\n", "rule_files: [no.yaml]\nrulez:\n", r":1:14: rule_files: no file matches"),
                ("thresholds: { warning: 1s }", "thresholds: { warning: 1 }", r":4:\d+: ")]):
            with self.subTest(new):
                self.assertIn(old, good)
                _, errors = self.Run("test", self.Write(f"m{number}.yaml", good.replace(old, new, 1)), status=1)
                self.assertRegex(errors, rf"m{number}\.yaml" + f"(?:{expected})")
        self.assertIn("no such file", self.Run("test", self.Path("none.yaml"), status=1)[1].lower())

    def testExamplesOfTheDocument(self):
        examples = re.findall(r"(?ms)^```yaml\n(.*?)^```$", Read("docs/rule-tests.md"))
        self.assertGreater(len(examples), 2)
        for number, text in enumerate(examples):
            with self.subTest(text):
                text = text.replace("rules/default.yaml", os.path.join(harness.ROOT, "rules/default.yaml"))
                self.assertIn(", 0 failed", self.Run("test", self.Write(f"doc{number}.yaml", text))[0])


class ReplayTest(Command):
    def Otlp(self, name="traces.json"):
        """Slow spans of 0.6 s and 3 s, 20 minutes apart."""
        lines = []
        for i, duration_ns in enumerate((600_000_000, 3_000_000_000)):
            end = START_NS + i * 1_200_000_000_000
            span = {"traceId": f"{i + 1:032x}", "spanId": f"{i + 1:016x}", "name": "turn", "kind": 1,
                    "startTimeUnixNano": str(end - duration_ns), "endTimeUnixNano": str(end)}
            resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "bot"}}]}
            lines.append(json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}))
        return self.Write(name, "\n".join(lines) + "\n")

    def testOtherRulesOverOtlp(self):
        rules = self.Write("mine.yaml", SLOW % "500ms")
        text, _ = self.Run("replay", self.Otlp(), "--rules", rules, "--text")
        self.assertRegex(text, r"(?m)^2023-11-14 22:13:20  warning   Slow +turn in bot +600 ms +> 500 ms +5 min +1$")
        self.assertRegex(text, r"(?m)^2023-11-14 22:33:20  warning   Slow +turn in bot +3 s ")
        self.assertIn("2 alerts would have fired: Slow 2\n", text)
        self.assertIn("reaches back 20 min, from 2023-11-14 22:13:20 to 2023-11-14 22:33:20 UTC", text)
        self.assertIn("| Resolved: Slow: turn in bot\n| turn took 600 ms\n", text)
        few, _ = self.Run("replay", self.Otlp(), "--rules", rules, "--text", "--messages", 1)
        self.assertIn("and 1 message more", few)
        lines = self.Run("replay", self.Otlp(), "--rules", rules)[0].splitlines()
        self.assertEqual(json.loads(lines[0])["alertname"], "Slow", "lines of JSON in a pipe")
        self.assertEqual(lines, self.Run("replay", self.Otlp(), "--rules", rules, "--json")[0].splitlines())
        quiet, _ = self.Run("replay", self.Otlp(), "--rules", self.Write("high.yaml", SLOW % "1h"), "--text")
        self.assertIn("0 alerts would have fired\nnothing of: Slow\n", quiet)
        _, errors = self.Run("replay", self.Otlp(), "--rules", self.Write("bad.yaml", SLOW % "500"), status=1)
        self.assertIn("bad.yaml:6:", errors)

    def testOtherRulesOverAJournal(self):
        """What was in force said nothing; the other rules say what they would have said, at the times of then."""
        state = f"state_dir={self.Path('state')}"
        recording = self.Path("spans.rec")
        sidecar = self.Sidecar(rules=self.Write("quiet.yaml", SLOW % "1h"), sets=[state], flags=["--record", recording])
        bot = self.Bot("--messages", 60, "--rate", 60, "--time-scale", 10, "--misbehave", "none")
        self.assertEqual(bot.Wait(), 0, bot.Output())
        harness.wait_until(lambda: sidecar.Stats()["tracesCompleted"] >= 60, "complete traces", also=sidecar.Output)
        self.assertEqual(sidecar.Alerts(), [])
        self.assertEqual(sidecar.Stop(), 0)
        rules = self.Write("mine.yaml", SLOW % "1ms")
        for path in (recording, self.Path("state/journal")):
            with self.subTest(path):
                *transitions, last = map(json.loads, self.Run("replay", path, "--rules", rules)[0].splitlines())
                fired = [t for t in transitions if t["transition"] == "firing"]
                self.assertTrue(fired)
                self.assertEqual({t["alertname"] for t in transitions}, {"Slow"})
                for transition in fired:
                    self.assertTrue(last["fromNs"] <= transition["atNs"] <= last["toNs"])
                text, _ = self.Run("replay", path, "--rules", rules, "--text")
                self.assertIn(f"{len(fired)} alerts would have fired: Slow {len(fired)}\n", text)
                self.assertRegex(text, r"reaches back \d+ \w+, from ")
                _, *before = map(json.loads, reversed(self.Run("replay", path)[0].splitlines()))
                self.assertEqual(before, [], "the rules that were in force said nothing")


class DoctorTest(Command):
    SECRET = "imitation-Token_0123456789"

    def Doctor(self, *arguments, sidecar_port=None, env=None, status=0, sets=()):
        sets = (f"http.listen=127.0.0.1:{sidecar_port or harness.FreePort()}", f"ingest.endpoints=['{self.endpoint}']",
                "otlp.listen=''", *sets)
        flags = [flag for value in sets for flag in ("--set", value)]
        output, errors = self.Run("doctor", "--config", self.Config(), *flags, *arguments, env=env, status=status)
        self.assertNotIn(self.SECRET, output + errors)
        return output

    def Line(self, output, check):
        """(status, text) of a check's only line."""
        lines = re.findall(rf"(?m)^(\w+) +{check} +(.*)$", output)
        self.assertEqual(len(lines), 1, output)
        return lines[0]

    def testWithoutASidecar(self):
        output = self.Doctor()
        status, text = self.Line(output, "port")
        self.assertEqual(status, "warning")
        self.assertIn("no sidecar runs. What to do: start it", text)
        self.assertEqual(self.Line(output, "socket")[0], "ok")
        self.assertEqual(self.Line(output, "span")[0], "skipped")
        self.assertIn("DISCORD_WEBHOOK_URL is not set", self.Line(output, "receiver")[1])

    def testWithASidecar(self):
        sidecar = self.Sidecar(sets=[f"state_dir={self.Path('state')}"])
        output = self.Doctor(sidecar_port=sidecar.port, sets=[f"state_dir={self.Path('state')}"])
        for check in ("configuration", "rules", "port", "reload", "socket", "disk", "journal", "span", "scrape"):
            self.assertEqual(self.Line(output, check)[0], "ok", output)
        self.assertIn("was seen in /api/v1/traces", self.Line(output, "span")[1])
        self.assertEqual([each["service"] for each in sidecar.Stats()["processes"]], ["spanwatch-doctor"])
        harness.AssertEquation(self, sidecar.Books())

    @unittest.skipIf(os.geteuid() != 0, "needs root, to become somebody else")
    def testASocketThatThisUserMayNotSee(self):
        shutil.copy(harness.Binary("spanwatch"), self.Path("spanwatch"))
        os.chmod(self.directory, 0o711)
        directory = self.Path("closed")
        os.mkdir(directory, 0o700)
        endpoint = f"ipc://{directory}/t.sock"
        sidecar = self.Sidecar(sets=[f"ingest.endpoints=['{endpoint}']"])
        result = subprocess.run([self.Path("spanwatch"), "doctor", "--set", f"http.listen=127.0.0.1:{sidecar.port}",
                                 "--set", "otlp.listen=''"], capture_output=True, text=True, timeout=60, check=False,
                                user=65534, group=65534, extra_groups=[], cwd="/", env={"PATH": os.environ["PATH"]})
        status, text = self.Line(result.stdout, "socket")
        self.assertEqual(status, "failed", result.stdout)
        self.assertIn("may not look into its directory", text)
        self.assertNotIn("gone", text)

    def testASocketForWhichThereIsNoDirectory(self):
        output = self.Doctor("--set", f"ingest.endpoints=['ipc://{self.Path('gone')}/s.sock']", status=1)
        status, text = self.Line(output, "socket")
        self.assertEqual(status, "failed", output)
        self.assertIn("No such file or directory", text)
        self.assertIn("make that directory", text)

    def testSomebodyElseHasThePort(self):
        discord = self.Discord()
        output = self.Doctor(sidecar_port=discord.port, status=1)
        self.assertEqual(self.Line(output, "port")[0], "failed")
        self.assertIn("no Spanwatch", self.Line(output, "port")[1])

    def testMistakesOfTheConfiguration(self):
        output = self.Doctor(sets=["store.ttl=soon"], status=1)
        self.assertRegex(output, r"(?m)^failed +configuration +.*store\.ttl")

    def testSampleIsPostedAndEnded(self):
        discord = self.Discord()
        output = self.Doctor("--send-test", env={"DISCORD_WEBHOOK_URL": discord.url})
        status, text = self.Line(output, "send-test")
        self.assertEqual(status, "ok", output)
        message, = discord.snapshot()
        self.assertIn(message.id, text)
        self.assertIn("SpanwatchTest", message.title)
        self.assertIn("This is a test", message.embeds[0]["description"])
        self.assertEqual(message.pings, [])
        self.assertIn("Resolved", message.edits[-1]["embeds"][0]["title"])

    def testAnswersOfDiscordInWords(self):
        for fault, check, words in (("401", "receiver", "refuses the token (401)"), ("403", "receiver", "forbids it (403)"),
                                    ("404", "receiver", "does not know this webhook (404)")):
            with self.subTest(fault):
                discord = self.Discord()
                discord.fault(fault, count=1000)
                output = self.Doctor("--send-test", env={"DISCORD_WEBHOOK_URL": discord.url}, status=1)
                self.assertEqual(self.Line(output, check)[0], "failed")
                self.assertIn(words, self.Line(output, check)[1])
                self.assertEqual(discord.snapshot(), [])

    def testARateLimitIsObeyed(self):
        discord = self.Discord()
        discord.fault("429", count=1, method="POST", retry_after=0.3)
        output = self.Doctor("--send-test", env={"DISCORD_WEBHOOK_URL": discord.url})
        self.assertIn("(429)", self.Line(output, "send-test")[1])
        self.assertEqual(len(discord.snapshot()), 1)

    def testOtherReceiversGetASampleToo(self):
        got = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                got.append((self.path, self.rfile.read(int(self.headers["Content-Length"])).decode()))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = f"http://127.0.0.1:{server.server_port}"
        receivers = f"[{{name: hook, webhook: {{url_env: HOOK}}}}, {{name: am, alertmanager: {{url: '{url}'}}}}]"
        output = self.Doctor("--send-test", sets=[f"receivers={receivers}", "route={receiver: hook}"],
                             env={"HOOK": f"{url}/{self.SECRET}"})
        self.assertEqual(len(re.findall(r'(?m)^ok +send-test +receiver "(hook|am)" ', output)), 2, output)
        for path in (f"/{self.SECRET}", "/api/v2/alerts"):
            bodies = [body for each, body in got if each == path]
            self.assertEqual(len(bodies), 2, "the alert and its end")
            self.assertIn("SpanwatchTest", bodies[0])

    def testNobodyAnswers(self):
        url = f"http://127.0.0.1:{harness.FreePort()}/api/webhooks/1234567890123456789/{self.SECRET}"
        output = self.Doctor("--send-test", env={"DISCORD_WEBHOOK_URL": url}, status=1)
        self.assertIn("does not answer", self.Line(output, "receiver")[1])


if __name__ == "__main__":
    unittest.main()
