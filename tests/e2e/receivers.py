"""For the tests of receivers: an HTTP server that keeps what it is sent and answers as told, spans over OTLP that make an
alert fire, rise and end, and a checker of Alertmanager's webhook payload, version 4, that takes nothing else."""
import base64
import calendar
import http.server
import json
import re
import threading
import time
import urllib.request

import harness

HANG = "hang"
TIME = re.compile(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\Z")
NO_TIME = "0001-01-01T00:00:00Z"
LABEL = re.compile(r"\A[a-zA-Z_][a-zA-Z0-9_]*\Z")
# Half a second is slow, two are too slow; an alert ends two seconds after the last such span.
RULES = """groups:
  - name: e2e
    rules:
      - alert: SlowWork
        measure: span.duration
        thresholds: { warning: 500ms, critical: 2s }
        keep_firing_for: 2s
        annotations: { summary: "{{ operation }} took {{ value }}" }
"""


class Hook(http.server.ThreadingHTTPServer):
    """Keeps (method, path, headers, body); answers with the next of `answers`, (status, headers) or HANG, then 200."""
    daemon_threads = True

    def __init__(self, *answers):
        self.answers, self.requests, self.lock = list(answers), [], threading.Lock()
        self.released = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def Bodies(self):
        with self.lock:
            return [json.loads(body) for _, _, _, body in self.requests]

    def handle_error(self, request, client_address):
        """A client that goes away is no news: some are killed."""

    def Close(self):
        self.released.set()
        self.shutdown()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def Serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.lock:
            self.server.requests.append((self.command, self.path, dict(self.headers), body))
            answer = self.server.answers.pop(0) if self.server.answers else (200, {})
        if answer == HANG:
            self.server.released.wait(harness.DEADLINE_S)
            self.close_connection = True
            return
        status, headers = answer
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    do_POST = do_GET = Serve

    def log_message(self, *_):
        pass


class TestCase(harness.TestCase):
    def Hook(self, *answers):
        hook = Hook(*answers)
        self.addCleanup(hook.Close)
        return hook

    def WithReceivers(self, receivers, route="", **arguments):
        """A sidecar with these receivers (YAML flow), the rules above and OTLP."""
        self.otlp_port = harness.FreePort()
        names = re.findall(r"name: (\w+)", receivers)
        route = route or f"{{receiver: {names[0]}, group_interval: 500ms, repeat_interval: 1h}}"
        sets = (f"otlp.listen=127.0.0.1:{self.otlp_port}", f"receivers=[{receivers}]", f"route={route}", *arguments.pop("sets", ()))
        return self.Sidecar(rules=self.Write("rules.yaml", RULES), sets=sets, **arguments)

    def Work(self, seconds, name="generate", service="bot"):
        """A span that took so long."""
        self.number = getattr(self, "number", 0) + 1
        now = time.time_ns()
        span = {"traceId": f"{self.number:032x}", "spanId": f"{self.number:016x}", "name": name, "kind": 2,
                "startTimeUnixNano": str(now - int(seconds * 1e9)), "endTimeUnixNano": str(now)}
        body = {"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
                                   "scopeSpans": [{"spans": [span]}]}]}
        request = urllib.request.Request(f"http://127.0.0.1:{self.otlp_port}/v1/traces", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            self.assertEqual(answer.status, 200)


def BasicAuth(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def Seconds(text):
    whole, _, fraction = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float("0." + (fraction or "0"))


def CheckTexts(test, value):
    test.assertIsInstance(value, dict)
    for name, text in value.items():
        test.assertRegex(name, LABEL)
        test.assertIsInstance(text, str)
        test.assertNotEqual(text, "")


def CheckVersionFour(test, body):
    """Every field of the payload, and none besides."""
    test.assertEqual(set(body), {"version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels", "commonLabels",
                                 "commonAnnotations", "externalURL", "alerts"})
    test.assertEqual(body["version"], "4")
    test.assertIsInstance(body["groupKey"], str)
    test.assertRegex(body["groupKey"], r"\A\{.*\}:\{.*\}\Z")
    test.assertIs(type(body["truncatedAlerts"]), int)
    test.assertRegex(body["externalURL"], r"\Ahttps?://")
    for key in ("groupLabels", "commonLabels", "commonAnnotations"):
        CheckTexts(test, body[key])
    test.assertGreater(len(body["alerts"]), 0)
    for alert in body["alerts"]:
        test.assertEqual(set(alert), {"status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"})
        test.assertIn(alert["status"], ("firing", "resolved"))
        CheckTexts(test, alert["labels"])
        CheckTexts(test, alert["annotations"])
        test.assertIn("alertname", alert["labels"])
        test.assertIn(alert["labels"]["severity"], ("warning", "critical"))
        test.assertRegex(alert["startsAt"], TIME)
        test.assertRegex(alert["endsAt"], TIME)
        test.assertEqual(alert["endsAt"] == NO_TIME, alert["status"] == "firing")
        if alert["status"] == "resolved":
            test.assertGreater(Seconds(alert["endsAt"]), Seconds(alert["startsAt"]))
        test.assertRegex(alert["generatorURL"], r"\Ahttps?://")
        test.assertRegex(alert["fingerprint"], r"\A[0-9a-f]{16}\Z")
        for key, each in (("commonLabels", "labels"), ("commonAnnotations", "annotations")):
            test.assertLessEqual(body[key].items(), alert[each].items())
    statuses = {alert["status"] for alert in body["alerts"]}
    test.assertEqual(body["status"], "firing" if "firing" in statuses else "resolved")
    test.assertEqual(len({alert["fingerprint"] for alert in body["alerts"]}), len(body["alerts"]))
