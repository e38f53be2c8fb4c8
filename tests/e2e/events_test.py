"""The live stream: events of a running bot, going on after a break and after a restart, many clients, the end."""
import http.client
import json
import time
import unittest

import harness

RULES = """groups:
  - name: mine
    rules:
      - alert: Slow
        measure: span.duration
        thresholds: { warning: 1ms }
"""


class Stream:
    """GET /api/v1/events as a browser reads it."""

    def __init__(self, sidecar, query="", last_id=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=harness.DEADLINE_S)
        self.connection.request("GET", "/api/v1/events" + query, headers={"Last-Event-ID": last_id} if last_id else {})
        self.answer = self.connection.getresponse()
        self.last_id = last_id

    def Next(self):
        """(type, data) of the next event, or None at the end."""
        event = {}
        deadline = time.monotonic() + harness.DEADLINE_S
        while True:
            if time.monotonic() > deadline:
                raise AssertionError("waited in vain for an event")
            try:
                line = self.answer.readline().decode()
            except http.client.IncompleteRead:
                return None
            if not line:
                return None
            line = line.rstrip("\n")
            if not line and "event" in event:
                self.last_id = event.get("id", self.last_id)
                return event["event"], json.loads(event["data"])
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                event[name] = value

    def Until(self, kind):
        """All events up to the first of `kind`."""
        events = []
        while not events or events[-1][0] != kind:
            events.append(self.Next())
            if events[-1] is None:
                raise AssertionError(f"the stream ended before {kind}: {events}")
        return events

    def Close(self):
        self.answer.close()
        self.connection.close()


class EventsTest(harness.TestCase):
    def Open(self, sidecar, *arguments):
        stream = Stream(sidecar, *arguments)
        self.addCleanup(stream.Close)
        self.assertEqual(stream.answer.status, 200)
        self.assertEqual(stream.answer.getheader("Content-Type"), "text/event-stream")
        kind, hello = stream.Next()
        self.assertEqual(kind, "hello")
        self.assertEqual(hello["version"], sidecar.Json("/api/v1/status")["version"])
        return stream

    def Run(self, messages):
        bot = self.Bot("--messages", messages, "--rate", 60, "--time-scale", 10, "--misbehave", "none")
        self.assertEqual(bot.Wait(), 0, bot.Output())

    def Completed(self, sidecar, count):
        harness.wait_until(lambda: sidecar.Stats()["tracesCompleted"] >= count, f"{count} traces", also=sidecar.Output)

    def testTracesAndAlertsComeAndAreThoseOfTheApi(self):
        sidecar = self.Sidecar(rules=self.Write("rules.yaml", RULES))
        everything, alerts = self.Open(sidecar), self.Open(sidecar, "?types=alert&service=nobody")
        self.Run(10)
        told = {}
        while len(told) < 10:
            kind, data = everything.Next()
            self.assertIn(kind, ("trace", "alert", "health"))
            if kind == "trace":
                told[data["traceId"]] = data
        listed = {trace["traceId"]: trace for trace in sidecar.Json("/api/v1/traces?limit=100")["traces"]}
        for trace, data in told.items():
            self.assertEqual(data, listed[trace])
        other = self.Open(sidecar, "?types=alert&service=discord-bot")
        alerts.Close()
        self.Write("rules.yaml", RULES.replace("Slow", "SlowToo"))
        self.assertEqual(sidecar.Request("/-/reload", "POST")[0], 200)
        self.Run(2)
        names = set()
        while not names >= {("Slow", "resolved"), ("SlowToo", "firing")}:
            kind, data = other.Next()
            self.assertEqual((kind, data["labels"]["service"]), ("alert", "discord-bot"))
            names.add((data["labels"]["alertname"], data["change"]))
        known = sidecar.Alerts()[0]
        self.assertEqual(set(known) - {"status"} | {"change"}, set(data))

    def testGoesOnWhereTheClientWasAndSaysWhatIsMissing(self):
        sidecar = self.Sidecar()
        stream = self.Open(sidecar, "?types=trace")
        self.Run(5)
        seen = {stream.Next()[1]["traceId"] for _ in range(5)}
        stream.Close()
        self.Run(5)
        self.Completed(sidecar, 10)
        again = self.Open(sidecar, "?types=trace", stream.last_id)
        more = {again.Next()[1]["traceId"] for _ in range(5)}
        self.assertEqual(len(seen | more), 10)
        self.assertGreater(int(again.last_id), int(stream.last_id))
        again.Close()
        sidecar.Stop()
        sidecar = self.Sidecar()
        stream = self.Open(sidecar, "?types=trace", again.last_id)
        self.assertEqual(stream.Next(), ("gap", {"skipped": None, "reason": "restart"}))

    def testManyClientsStarveNobodyAndEndWithTheSidecar(self):
        sidecar = self.Sidecar()
        streams = [self.Open(sidecar) for _ in range(64)]
        refused = Stream(sidecar)
        self.assertEqual(refused.answer.status, 503)
        self.assertIn("64 event streams", json.loads(refused.answer.read())["error"])
        refused.Close()
        self.assertIn("spanwatch_build_info", sidecar.Get("/metrics"))
        self.Run(3)
        for stream in streams:
            stream.Until("trace")
        streams.pop().Close()
        harness.wait_until(lambda: self.IsOpenTo(sidecar), "a free place", also=sidecar.Output)
        began = time.monotonic()
        sidecar.Stop()
        self.assertLess(time.monotonic() - began, 20)
        for stream in streams:
            while stream.Next() is not None:
                pass

    def IsOpenTo(self, sidecar):
        stream = Stream(sidecar)
        stream.Close()
        return stream.answer.status == 200

    def testAPollerIsToldThatNothingChanged(self):
        sidecar = self.Sidecar()
        self.Run(3)
        self.Completed(sidecar, 3)
        connection = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=harness.DEADLINE_S)
        self.addCleanup(connection.close)

        def Ask(tag):
            connection.request("GET", "/api/v1/traces", headers={"If-None-Match": tag})
            answer = connection.getresponse()
            body = answer.read()
            return answer.status, answer.getheader("ETag"), body

        generation = sidecar.Json("/api/v1/status")["generation"]
        status, tag, body = Ask('"none"')
        self.assertEqual(status, 200)
        self.assertIn(f"-{generation}", tag)
        self.assertEqual(len(json.loads(body)["traces"]), 3)
        self.assertEqual(Ask(tag), (304, tag, b""))
        self.Run(1)
        harness.wait_until(lambda: Ask(tag)[0] == 200, "news", also=sidecar.Output)


if __name__ == "__main__":
    unittest.main()
