"""A real Alertmanager (Debian's) is told of alerts: they arrive, stay alive while they fire, rise, end, and are silenced; it
groups and delivers by itself, to a webhook whose payload must be the one that the sidecar's own webhooks send."""
import json
import shutil
import signal
import unittest
import urllib.request

import harness
import receivers


class AlertmanagerTest(receivers.TestCase):
    def setUp(self):
        super().setUp()
        program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
        if program is None:
            self.skipTest("skipped alertmanager: not installed (scripts/deps --test)")
        self.hook = self.Hook()
        config = self.Write("alertmanager.yml", f"""
route: {{ receiver: hook, group_by: [alertname, service], group_wait: 0s, group_interval: 1s, repeat_interval: 1h }}
receivers: [ {{ name: hook, webhook_configs: [ {{ url: '{self.hook.url}/' }} ] }} ]
""")
        self.port = harness.FreePort()
        self.url = f"http://127.0.0.1:{self.port}"
        self.command = [program, f"--config.file={config}", f"--storage.path={self.Path('am')}", "--cluster.listen-address=",
                        f"--web.listen-address=127.0.0.1:{self.port}"]
        self.alertmanager = self.StartAlertmanager()

    def StartAlertmanager(self):
        server = self.Start(self.command)
        harness.wait_until(lambda: self.Api("status") is not None, "Alertmanager", also=server.Output)
        return server

    def Api(self, what):
        try:
            with urllib.request.urlopen(f"{self.url}/api/v2/{what}", timeout=10) as answer:
                return json.load(answer)
        except OSError:
            return None

    def Alerts(self):
        """{severity: alert} of those that are active there."""
        return {alert["labels"]["severity"]: alert for alert in self.Api("alerts?active=true") or []}

    def Told(self, **arguments):
        return self.WithReceivers(f"{{name: am, alertmanager: {{url: '{self.url}', resend_interval: 1s}}}}", **arguments)

    def Until(self, severities, sidecar):
        return harness.wait_until(lambda: (lambda found: set(found) == set(severities) and (found or True))(self.Alerts()),
                                  f"active: {severities}", also=lambda: f"{self.Alerts()}\n{sidecar.Output()}")

    def testFromFiringToResolved(self):
        sidecar = self.Told()
        self.Work(1)
        first = self.Until(["warning"], sidecar)["warning"]
        self.assertEqual(first["labels"], {"alertname": "SlowWork", "severity": "warning", "service": "bot", "operation": "generate"})
        self.assertEqual(first["annotations"]["summary"], "generate took 1 s")
        self.assertEqual(sidecar.Request(first["generatorURL"].removeprefix(sidecar.url))[0], 200)
        self.Work(3)
        self.Until(["critical"], sidecar)
        self.Until([], sidecar)
        bodies = harness.wait_until(lambda: (lambda b: b if b and b[-1]["status"] == "resolved" else None)(self.hook.Bodies()),
                                    "its own message of the end", also=self.alertmanager.Output)
        ended = set()
        for body in bodies:
            receivers.CheckVersionFour(self, body)
            ended |= {a["labels"]["severity"] for a in body["alerts"] if a["status"] == "resolved"}
        self.assertEqual(ended, {"warning", "critical"})
        self.assertEqual(sidecar.Metrics()['spanwatch_notifications_failed_total{receiver="am"}'], 0)

    def testResentUntilTheSidecarDies(self):
        sidecar = self.Told()
        harness.wait_until(lambda: self.Work(1) or self.Alerts(), "an alert", also=sidecar.Output)
        ends = self.Alerts()["warning"]["endsAt"]

        def Resent():
            self.Work(1)
            return self.Alerts()["warning"]["endsAt"] > ends
        harness.wait_until(Resent, "a later end", also=sidecar.Output)
        sidecar.Signal(signal.SIGKILL)
        sidecar.Wait()
        self.Until([], sidecar)  # four seconds later, by itself

    def testAlertmanagerIsAwayAndForgets(self):
        sidecar = self.Told()
        harness.wait_until(lambda: self.Work(1) or self.Alerts(), "an alert", also=sidecar.Output)
        self.alertmanager.Signal(signal.SIGKILL)
        self.alertmanager.Wait()
        metric = 'spanwatch_notifications_retried_total{receiver="am"}'
        harness.wait_until(lambda: self.Work(1) or sidecar.Metrics()[metric] >= 1, "a failure", also=sidecar.Output)
        self.alertmanager = self.StartAlertmanager()
        harness.wait_until(lambda: self.Work(1) or self.Alerts(), "the alert again", also=sidecar.Output)

    def testFingerprintIsAlertmanagers(self):
        own = self.Hook()
        sidecar = self.WithReceivers(
            f"{{name: am, alertmanager: {{url: '{self.url}'}}}}, {{name: own, webhook: {{url: '{own.url}'}}}}",
            route="{receiver: own, routes: [{receiver: am, continue: true}, {receiver: own}]}")
        self.Work(1)
        harness.wait_until(lambda: own.requests and self.hook.requests, "both messages", also=sidecar.Output)
        ours, theirs = own.Bodies()[0], self.hook.Bodies()[0]
        self.assertEqual(ours["alerts"][0]["fingerprint"], theirs["alerts"][0]["fingerprint"])
        for key in ("labels", "annotations", "generatorURL"):
            self.assertEqual(ours["alerts"][0][key], theirs["alerts"][0][key])
        self.assertEqual(set(ours), set(theirs))
        self.assertEqual({key: type(value) for key, value in ours.items()}, {key: type(value) for key, value in theirs.items()})


if __name__ == "__main__":
    unittest.main()
