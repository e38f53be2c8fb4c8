"""Webhooks: Alertmanager's payload, version 4, field by field; plain JSON; failures, a receiver that hangs, restarts, secrets."""
import signal
import unittest

import harness
import receivers

TOKEN = "sesame-open-wide-4711"


class WebhookTest(receivers.TestCase):
    def Hooked(self, hook, more="", **arguments):
        return self.WithReceivers(f"{{name: hook, webhook: {{url: '{hook.url}/alerts'{more}}}}}", **arguments)

    def Wait(self, hook, count, sidecar):
        harness.wait_until(lambda: len(hook.requests) >= count, f"{count} requests", also=sidecar.Output)

    def Last(self, hook, sidecar, what, condition):
        """The body of the first message from now on for which the condition holds; all were valid."""
        def Found():
            bodies = hook.Bodies()
            for body in bodies:
                receivers.CheckVersionFour(self, body)
            return next((body for body in bodies if condition(body)), None)
        return harness.wait_until(Found, what, also=sidecar.Output)

    def testVersionFourFromFiringToResolved(self):
        hook = self.Hook()
        sidecar = self.Hooked(hook)
        self.Work(1)
        first = self.Last(hook, sidecar, "firing", lambda body: body["status"] == "firing")
        method, path, headers, _ = hook.requests[0]
        self.assertEqual((method, path, headers["Content-Type"]), ("POST", "/alerts", "application/json"))
        self.assertTrue(headers["User-Agent"].startswith("Spanwatch/"))
        alert = first["alerts"][0]
        self.assertEqual(alert["labels"], {"alertname": "SlowWork", "severity": "warning", "service": "bot", "operation": "generate"})
        self.assertEqual(alert["annotations"]["summary"], "generate took 1 s")
        self.assertEqual((first["receiver"], first["groupLabels"]), ("hook", {"alertname": "SlowWork", "service": "bot"}))
        status, _ = sidecar.Request(alert["generatorURL"].removeprefix(sidecar.url))
        self.assertEqual(status, 200, "generatorURL opens")
        self.Work(3)
        risen = self.Last(hook, sidecar, "the rise", lambda body: any(a["labels"]["severity"] == "critical" for a in body["alerts"]))
        self.assertEqual(sorted((a["labels"]["severity"], a["status"]) for a in risen["alerts"]),
                         [("critical", "firing"), ("warning", "resolved")])
        self.assertEqual(risen["groupKey"], first["groupKey"])
        over = self.Last(hook, sidecar, "the end", lambda body: body["status"] == "resolved")
        self.assertEqual([a["labels"]["severity"] for a in over["alerts"]], ["critical"])
        metrics = sidecar.Metrics()
        self.assertEqual(metrics['spanwatch_notifications_posted_total{receiver="hook"}'], len(hook.requests))
        self.assertEqual(metrics['spanwatch_notifications_failed_total{receiver="hook"}'], 0)

    def testFailuresAreRepeated(self):
        hook = self.Hook((500, {}), (503, {"Retry-After": "1"}))
        sidecar = self.Hooked(hook)
        self.Work(1)
        self.Last(hook, sidecar, "firing", lambda body: len(hook.requests) >= 3)
        self.assertEqual(hook.requests[0][3], hook.requests[2][3], "the same message until it went through")
        harness.wait_until(lambda: sidecar.Metrics()['spanwatch_notifications_posted_total{receiver="hook"}'] >= 1, "posted")
        self.assertEqual(sidecar.Metrics()['spanwatch_notifications_retried_total{receiver="hook"}'], 2)
        self.Last(hook, sidecar, "the end", lambda body: body["status"] == "resolved")

    def testRefusedIsGivenUpAndSaid(self):
        hook = self.Hook(*[(400, {})] * 1000)
        sidecar = self.Hooked(hook, more=", format: json")
        self.Work(1)
        harness.wait_until(lambda: sidecar.Metrics()['spanwatch_notifications_failed_total{receiver="hook"}'] >= 2, "failures")
        self.assertEqual([body["transition"] for body in hook.Bodies()], ["firing", "resolved"])
        self.assertIn("delivery fails", sidecar.Output())
        self.assertIn("answered 400", sidecar.Output())

    def testPlainJson(self):
        hook = self.Hook((500, {}))
        sidecar = self.Hooked(hook, more=", format: json")
        self.Work(1)
        self.Wait(hook, 2, sidecar)
        self.Work(3)
        harness.wait_until(lambda: hook.Bodies()[-1]["transition"] == "resolved", "the end", also=sidecar.Output)
        bodies = hook.Bodies()
        self.assertEqual(bodies[0], bodies[1], "the same until it went through")
        self.assertEqual([(b["transition"], b["severity"], b["previousSeverity"]) for b in bodies[1:]],
                         [("firing", "warning", None), ("escalated", "critical", "warning"), ("resolved", "critical", "critical")])
        self.assertEqual(len({body["id"] for body in bodies}), 3)
        self.assertEqual((bodies[1]["value"], bodies[1]["unit"], bodies[1]["threshold"]), (1000, "ms", 500))
        self.assertIsNone(bodies[1]["endsAt"])
        self.assertRegex(bodies[-1]["endsAt"], receivers.TIME)
        for body in bodies:
            self.assertEqual(set(body), {
                "id", "incident", "fingerprint", "alertname", "transition", "status", "severity", "previousSeverity", "labels",
                "annotations", "measure", "unit", "value", "valueText", "worstValue", "threshold", "thresholdText", "direction",
                "count", "startsAt", "endsAt", "trace", "lastError", "lostSpans", "unwatched", "receiver", "externalURL"})
            self.assertEqual(set(body["trace"]), {"traceId", "duration", "url"})
            self.assertEqual(sidecar.Request(body["trace"]["url"].removeprefix(sidecar.url))[0], 200)

    def testOneThatHangsDelaysNoOther(self):
        stuck, good = self.Hook(*[receivers.HANG] * 100), self.Hook()
        sidecar = self.WithReceivers(
            f"{{name: stuck, webhook: {{url: '{stuck.url}/'}}}}, {{name: good, webhook: {{url: '{good.url}/'}}}}",
            route="{receiver: good, group_interval: 500ms, routes: [{receiver: stuck, continue: true}, {receiver: good}]}")
        self.Work(1)
        self.Wait(stuck, 1, sidecar)
        self.Last(good, sidecar, "the end", lambda body: body["status"] == "resolved")
        self.assertEqual(len(stuck.requests), 1, "still the first one")

    def testKilledAndStartedAgain(self):
        hook = self.Hook(*[(503, {})] * 3)
        state = self.Path("state")
        sidecar = self.Hooked(hook, sets=(f"state_dir={state}",))
        self.Work(1)
        self.Wait(hook, 1, sidecar)
        sidecar.Signal(signal.SIGKILL)
        sidecar.Wait()
        again = self.Hooked(hook, sets=(f"state_dir={state}",))
        over = self.Last(hook, again, "the end", lambda body: body["status"] == "resolved")
        self.assertEqual(over["alerts"][0]["labels"]["service"], "bot")

    def testCredentialsAndSecrets(self):
        hook = self.Hook((401, {}))
        file = self.Write("password", TOKEN + "\n")
        config = (f"{{name: hook, webhook: {{url_env: E2E_HOOK, basic_auth: {{username: ada, password_file: '{file}'}}}}}}")
        sidecar = self.WithReceivers(config, env={"E2E_HOOK": f"{hook.url}/hooks/{TOKEN}?key={TOKEN}"})
        self.Work(1)
        self.Wait(hook, 2, sidecar)
        _, path, headers, _ = hook.requests[0]
        self.assertEqual((path, headers["Authorization"]), (f"/hooks/{TOKEN}?key={TOKEN}", receivers.BasicAuth("ada", TOKEN)))
        shown = sidecar.Output() + sidecar.Get("/api/v1/status") + sidecar.Get("/metrics")
        self.assertNotIn(TOKEN, shown)
        self.assertIn("environment variable E2E_HOOK", shown)


if __name__ == "__main__":
    unittest.main()
