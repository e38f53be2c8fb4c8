"""Who is told, with the real binary and imitations of Discord: routes by severity, silences over the API (persisted, ended,
expiring by themselves), inhibition, the answers to why, and a reload with other routes. docs/routing.md's example is the
configuration."""
import json
import signal
import time
import unittest

import harness

RULES = """
groups:
  - name: test
    rules:
      - alert: Slow
        measure: span.duration
        thresholds: { warning: 1s, critical: 5s }
        keep_firing_for: 1h
      - alert: Stuck
        measure: trace.depth
        thresholds: { warning: 1 }
        by: [service]
        keep_firing_for: 1h
"""
CONFIG = """
rules: ["RULES"]
receivers:
  - name: team
    discord: { webhook_url_env: TEAM_WEBHOOK }
  - name: pager
    discord: { webhook_url_env: PAGER_WEBHOOK }
route:
  receiver: team
  storm: off
  routes:
    - matchers: ['severity="critical"']
      receiver: pager
inhibit_rules:
  - name: stuck first
    source_matchers: ['alertname="Stuck"']
    target_matchers: ['alertname="Slow"']
    equal: [service]
"""


class RoutingTest(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.team, self.pager = self.Discord(rate_limit=False), self.Discord(rate_limit=False, webhook_id="9876543210987654321")
        self.otlp_port = harness.FreePort()
        self.traces = 0
        self.config = self.Write("routing.yaml", CONFIG.replace("RULES", self.Write("rules.yaml", RULES)))

    def Launch(self, **arguments):
        sets = (f"otlp.listen=127.0.0.1:{self.otlp_port}", f"state_dir={self.Path('state')}")
        env = {"TEAM_WEBHOOK": self.team.url, "PAGER_WEBHOOK": self.pager.url}
        return self.Sidecar(config=self.config, sets=sets, env=env, **arguments)

    def Span(self, sidecar, service, seconds, nested=False):
        """One trace of one span, or of two, one in the other. Applied when this returns."""
        self.traces += 1
        end = time.time_ns()
        spans = [{"traceId": f"{self.traces:032x}", "spanId": f"{number + 1:016x}", "name": "work", "kind": 2,
                  "startTimeUnixNano": str(end - int(seconds * 1e9)), "endTimeUnixNano": str(end),
                  **({"parentSpanId": f"{number:016x}"} if number else {})} for number in range(2 if nested else 1)]
        body = {"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
                                   "scopeSpans": [{"spans": spans}]}]}
        address, sidecar.url = sidecar.url, f"http://127.0.0.1:{self.otlp_port}"
        try:
            status, text = sidecar.Request("/v1/traces", "POST", json.dumps(body).encode(), {"Content-Type": "application/json"})
        finally:
            sidecar.url = address
        self.assertEqual(status, 200, text)

    def Silence(self, sidecar, expect=200, **fields):
        silence = {"matchers": [{"name": "service", "value": "bot"}], "duration": "2h", "createdBy": "ada", "comment": "deploy"}
        silence.update(fields)
        status, text = sidecar.Request("/api/v1/silences", "POST", json.dumps(silence).encode(),
                                       {"Content-Type": "application/json"})
        self.assertEqual(status, expect, text)
        return json.loads(text).get("silenceID") if status == 200 else json.loads(text)

    def Alert(self, sidecar, name, service):
        """The alert once it fires."""
        def Find():
            for alert in sidecar.Alerts():
                if alert["labels"]["alertname"] == name and alert["labels"]["service"] == service and alert["state"] == "firing":
                    return alert
            return None
        return harness.wait_until(Find, f"{name} of {service}", also=sidecar.Output)

    def Why(self, sidecar, fingerprint):
        """{receiver: its delivery} of the newest incident."""
        answer = sidecar.Json(f"/api/v1/alerts/{fingerprint}/why")
        return {delivery["receiver"]: delivery for delivery in answer["incidents"][0]["deliveries"]}

    def WaitWhy(self, sidecar, fingerprint, receiver, state):
        found = harness.wait_until(lambda: [why for why in [self.Why(sidecar, fingerprint)[receiver]] if why["state"] == state],
                                   f"{receiver} is {state}", also=lambda: self.Why(sidecar, fingerprint))
        return found[0]

    def testRoutesBySeverityAndSaysWhy(self):
        sidecar = self.Launch()
        self.Span(sidecar, "bot", 2)
        warning = self.Alert(sidecar, "Slow", "bot")
        self.team.wait_for_messages(1)
        why = self.Why(sidecar, warning["fingerprint"])
        self.assertEqual(why["team"]["route"], "route")
        self.assertFalse(why["team"]["muted"])
        self.assertIn("because none of its routes does", why["team"]["reason"])
        self.assertEqual((why["pager"]["route"], why["pager"]["state"]), ("", "not_routed"))
        self.assertEqual(len(self.pager.snapshot()), 0)
        # It rises: the pager is told, and says so.
        self.Span(sidecar, "bot", 6)
        self.pager.wait_for_messages(1)
        why = self.Why(sidecar, warning["fingerprint"])
        self.assertEqual(why["pager"]["route"], "route.routes[0]")
        self.assertIn('severity="critical"', why["pager"]["reason"])
        self.assertEqual(self.Why(sidecar, warning["fingerprint"])["team"]["route"], "")
        self.assertEqual(len(self.team.snapshot()), 1)
        self.assertEqual(sidecar.Request("/api/v1/alerts/0000000000000000/why")[0], 404)
        self.assertEqual(sidecar.Request("/api/v1/alerts/x/why")[0], 400)

    def testASilenceHoldsAcrossARestartUntilItIsExpired(self):
        sidecar = self.Launch()
        silence = self.Silence(sidecar)
        self.Span(sidecar, "bot", 2)
        self.Span(sidecar, "other", 2)
        self.team.wait_for_messages(1)  # of the other service
        alert = self.Alert(sidecar, "Slow", "bot")
        self.assertEqual(alert["status"], {"state": "suppressed", "silencedBy": [silence], "inhibitedBy": []})
        why = self.WaitWhy(sidecar, alert["fingerprint"], "team", "muted")
        self.assertTrue(why["muted"])
        self.assertRegex(why["reason"], f"not told: silenced by ada until .*: deploy \\(silence {silence}")
        self.assertIn("silenced", sidecar.Get("/"))
        metrics = sidecar.Metrics()
        self.assertEqual(metrics['spanwatch_silences{state="active"}'], 1)
        self.assertEqual(metrics['spanwatch_alerts_muted{reason="silence"}'], 1)
        self.assertEqual(metrics['spanwatch_notifications_muted_total{reason="silence"}'], 1)
        sidecar.Signal(signal.SIGKILL)
        sidecar.Wait()

        sidecar = self.Launch()
        listed = sidecar.Json("/api/v1/silences?state=active")["silences"]
        self.assertEqual([each["id"] for each in listed], [silence])
        self.assertEqual(sidecar.Json(f"/api/v1/silences/{silence}"), listed[0])
        self.assertEqual(listed[0]["matchers"], [{"name": "service", "value": "bot", "isRegex": False, "isEqual": True}])
        self.assertEqual(self.Alert(sidecar, "Slow", "bot")["status"]["silencedBy"], [silence])
        self.Span(sidecar, "third", 2)
        self.team.wait_for_messages(2)
        self.assertFalse([message for message in self.team.snapshot() if "bot" in json.dumps(message.embeds)])
        # Expired: it is told as if it had just begun.
        status, text = sidecar.Request(f"/api/v1/silences/{silence}", "DELETE")
        self.assertEqual((status, json.loads(text)["status"]["state"]), (200, "expired"))
        self.team.wait_for_messages(3)
        self.assertIn("bot", json.dumps(self.team.snapshot()[2].embeds))
        self.assertEqual(self.Alert(sidecar, "Slow", "bot")["status"]["state"], "active")

    def testASilenceEndsByItself(self):
        sidecar = self.Launch()
        self.Silence(sidecar, duration="2s")
        self.Span(sidecar, "bot", 2)
        alert = self.Alert(sidecar, "Slow", "bot")
        self.assertEqual(alert["status"]["state"], "suppressed")
        self.team.wait_for_messages(1)
        self.assertEqual([each["status"]["state"] for each in sidecar.Json("/api/v1/silences")["silences"]], ["expired"])

    def testAnInhibitedAlertIsToldWhenItsSourceIsNot(self):
        sidecar = self.Launch()
        self.Span(sidecar, "bot", 0.1, nested=True)
        stuck = self.Alert(sidecar, "Stuck", "bot")
        self.team.wait_for_messages(1)
        self.Span(sidecar, "bot", 2)
        slow = self.Alert(sidecar, "Slow", "bot")
        self.assertEqual(slow["status"], {"state": "suppressed", "silencedBy": [], "inhibitedBy": [stuck["fingerprint"]]})
        self.assertIn('inhibited by Stuck', self.WaitWhy(sidecar, slow["fingerprint"], "team", "muted")["reason"])
        self.Span(sidecar, "other", 2)
        self.team.wait_for_messages(2)
        # Without the rule it is told: a reload takes that over.
        with open(self.config, encoding="utf-8") as file:
            text = file.read()
        self.Write("routing.yaml", text[:text.index("inhibit_rules:")] + "inhibit_rules: []\n")
        self.assertEqual(sidecar.Request("/-/reload", "POST")[0], 200)
        self.team.wait_for_messages(3)
        self.assertEqual(self.Alert(sidecar, "Slow", "bot")["status"]["state"], "active")

    def testAReloadChangesTheRoutes(self):
        sidecar = self.Launch()
        with open(self.config, encoding="utf-8") as file:
            text = file.read()
        self.Write("routing.yaml", text.replace("""'severity="critical"'""", """'service=~"bot|api"'"""))
        self.assertEqual(sidecar.Request("/-/reload", "POST")[0], 200)
        self.Span(sidecar, "api", 2)
        self.pager.wait_for_messages(1)
        # A mistake is refused whole.
        self.Write("routing.yaml", text.replace("receiver: pager", "receiver: pagr"))
        status, answer = sidecar.Request("/-/reload", "POST")
        self.assertEqual(status, 500)
        self.assertIn('did you mean \\"pager\\"?', answer)
        self.Span(sidecar, "bot", 2)
        self.pager.wait_for_messages(2)
        self.assertEqual(len(self.team.snapshot()), 0)

    def testRefusesWhatIsNoSilence(self):
        sidecar = self.Launch()
        past = "2020-01-01T00:00:00Z"
        for field, fields in (("createdBy", {"createdBy": " "}), ("comment", {"comment": ""}), ("matchers", {"matchers": []}),
                              ("matchers", {"matchers": [{"name": "service", "value": ".*", "isRegex": True}]}),
                              ("matchers[0].value", {"matchers": [{"name": "service", "value": "(", "isRegex": True}]}),
                              ("matchers[0].nane", {"matchers": [{"nane": "service", "value": "x"}]}),
                              ("duration", {"endsAt": past}), ("duration", {"duration": "soon"}), ("color", {"color": "red"}),
                              ("startsAt", {"startsAt": "now"}), ("comment", {"comment": "x" * 2000})):
            answer = self.Silence(sidecar, expect=400, **fields)
            self.assertEqual(answer.get("field"), field, answer)
        self.assertEqual(self.Silence(sidecar, expect=404, id="f" * 32)["field"], "id")
        body = json.dumps({"matchers": [{"name": "service", "value": "bot"}], "endsAt": past, "createdBy": "a", "comment": "b"})
        status, text = sidecar.Request("/api/v1/silences", "POST", body.encode(), {"Content-Type": "application/json"})
        self.assertEqual((status, json.loads(text)["field"]), (400, "endsAt"))
        for headers, expected in (({"Content-Type": "text/plain"}, 415),
                                  ({"Content-Type": "application/json", "Origin": "http://evil.example"}, 403),
                                  ({"Content-Type": "application/json", "Host": "evil.example"}, 403)):
            status, _ = sidecar.Request("/api/v1/silences", "POST", body.encode(), headers)
            self.assertEqual(status, expected)
        self.assertEqual(sidecar.Request("/api/v1/silences", "POST", b"[" * 60000, {"Content-Type": "application/json"})[0], 400)
        self.assertEqual(sidecar.Request("/api/v1/silences", "POST", b" " * 70000, {"Content-Type": "application/json"})[0], 413)
        self.assertEqual(sidecar.Request("/api/v1/silences/" + "0" * 32, "DELETE")[0], 404)
        self.assertEqual(sidecar.Request("/api/v1/silences", "DELETE")[0], 405)
        self.assertEqual(sidecar.Json("/api/v1/silences"), {"silences": []})

    def testASilenceIsChangedUnderItsId(self):
        sidecar = self.Launch()
        first = self.Silence(sidecar)
        self.assertRegex(first, "^[0-9a-f]{32}$")
        self.assertEqual(self.Silence(sidecar, id=first, comment="longer deploy", duration="3h"), first)
        self.assertEqual(sidecar.Json(f"/api/v1/silences/{first}")["comment"], "longer deploy")
        second = self.Silence(sidecar, id=first, matchers=[{"name": "service", "value": "api"}])
        self.assertNotEqual(second, first)
        states = {each["id"]: each["status"]["state"] for each in sidecar.Json("/api/v1/silences")["silences"]}
        self.assertEqual(states, {first: "expired", second: "active"})


if __name__ == "__main__":
    unittest.main()
