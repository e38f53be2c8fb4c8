"""An alert's link lives: the message tells the critical path, and the trace opens when the store has forgotten it, also
after kill -9."""
import json
import re
import time
import unittest
import urllib.request

import harness

RULE = """groups:
  - name: mine
    rules:
      - alert: SlowTurn
        measure: span.duration
        match: { operation: turn }
        keep_firing_for: 10m
        thresholds: { warning: 5s }
"""
TRACE = "5b8efff798038103d269b633813fc60c"
SECOND = 10**9


def Span(trace, number, name, start_s, end_s, parent=0):
    """Of a trace that began ten seconds ago."""
    begin = time.time_ns() - 10 * SECOND
    span = {"traceId": trace, "spanId": f"{number:016x}", "name": name, "kind": 1,
            "startTimeUnixNano": str(begin + int(start_s * SECOND)), "endTimeUnixNano": str(begin + int(end_s * SECOND))}
    return {**span, "parentSpanId": f"{parent:016x}"} if parent else span


class KeptTraceTest(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.discord = self.Discord()
        self.otlp_port = harness.FreePort()
        self.rules = self.Write("rules.yaml", RULE)
        self.port = None

    def Start_(self, *sets):
        sets = [f"otlp.listen=127.0.0.1:{self.otlp_port}", "store.max_traces=20", "route.growth_interval=100ms", *sets]
        sidecar = self.Sidecar(port=self.port, rules=self.rules, discord=self.discord.url, sets=sets)
        self.port = sidecar.port
        return sidecar

    def Send(self, spans, service="bot"):
        body = {"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
                                   "scopeSpans": [{"spans": spans}]}]}
        request = urllib.request.Request(f"http://127.0.0.1:{self.otlp_port}/v1/traces", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            self.assertEqual(answer.status, 200)

    def SendSlowTurn(self, extra=0):
        spans = [Span(TRACE, 1, "turn", 0, 6), Span(TRACE, 2, "GeminiService.generateResponse", 0.5, 5.5, 1),
                 Span(TRACE, 3, "reply", 5.5, 5.9, 1)]
        spans += [Span(TRACE, 10 + i, f"side step {i} {i * 7919:x}", 1, 1.5, 2) for i in range(extra)]
        self.Send(spans)

    def Card(self, condition=lambda fields: True):
        def Look():
            found = [message for message in self.discord.live() if message.embeds and "SlowTurn" in message.title]
            return found[-1] if found and condition(found[-1].fields()) else None

        return harness.wait_until(Look, "the card", also=lambda: f"{self.discord.snapshot()}\n{self.sidecar.Output()}")

    def Forget(self):
        """Other traces push it out of the store: slow and failed ones too, which stay longer."""
        def Gone():
            traces = [f"{time.time_ns():032x}" for _ in range(30)]
            for trace in traces:
                self.Send([{**Span(trace, 1, "other", 0, 6), "status": {"code": 2}}])
            listed = self.sidecar.Json("/api/v1/traces?limit=100&operation=turn")["traces"]
            return not listed

        harness.wait_until(Gone, "the trace to be forgotten", also=self.sidecar.Output)

    def AssertKept(self, link, spans=3):
        trace = self.sidecar.Json(f"/api/v1/traces/{TRACE}")
        self.assertTrue(trace["kept"])
        self.assertFalse(trace["cut"])
        self.assertEqual(len(trace["spans"]), spans)
        analysis = self.sidecar.Json(f"/api/v1/traces/{TRACE}/analysis")
        self.assertTrue(analysis["kept"])
        self.assertEqual(analysis["performance"]["bottlenecks"][0]["operation"], "GeminiService.generateResponse")
        with urllib.request.urlopen(link, timeout=20) as answer:
            page = answer.read().decode()
        self.assertIn("GeminiService.generateResponse", page)
        self.assertRegex(page, "This copy was kept because alert .*SlowTurn.* refers to it")

    def Link(self, card):
        return re.search(r"\]\((http[^)]+/trace/[0-9a-f]{32})\)", card.fields()["Slowest trace"]).group(1)

    def testTheLinkLivesOverTheStoresLimitAndAKill(self):
        state = f"state_dir={self.Path('state')}"
        self.sidecar = self.Start_(state)
        self.SendSlowTurn()
        card = self.Card(lambda fields: "turn" in fields.get("Critical path", ""))
        self.assertTrue(card.fields()["Critical path"].startswith(
            "GeminiService.generateResponse **83 %** (5 s)\nturn **10 %** (600 ms)\nreply **7 %** (400 ms)"), card.fields())
        link = self.Link(card)
        self.assertNotIn("kept", self.sidecar.Json(f"/api/v1/traces/{TRACE}"), "it is the store's own")
        harness.wait_until(lambda: self.sidecar.Metrics()["spanwatch_kept_traces"] == 1, "the copy", also=self.sidecar.Output)
        self.Forget()
        self.AssertKept(link)

        self.sidecar.Kill()
        self.sidecar = self.Start_(state)
        self.AssertKept(link)
        self.assertEqual(self.sidecar.Metrics()["spanwatch_kept_traces"], 1)
        self.assertGreater(self.sidecar.Metrics()["spanwatch_kept_trace_bytes"], 0)
        self.assertEqual(self.sidecar.Request("/trace/" + "1" * 32)[0], 404)
        self.assertIn("Critical path", self.Card().fields())

    def testInMemoryAlone(self):
        self.sidecar = self.Start_()
        self.SendSlowTurn(extra=500)
        link = self.Link(self.Card(lambda fields: "GeminiService" in fields.get("Critical path", "")))
        harness.wait_until(lambda: self.sidecar.Metrics()["spanwatch_kept_traces"] == 1, "the copy", also=self.sidecar.Output)
        self.Forget()
        self.AssertKept(link, 503)


if __name__ == "__main__":
    unittest.main()
