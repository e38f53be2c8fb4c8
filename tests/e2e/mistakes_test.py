"""What users get wrong: a clear error that says what to do, and exit status 1."""
import os
import socket
import unittest

import harness


class MistakesTest(harness.TestCase):
    def AssertFails(self, sidecar, *texts):
        self.assertEqual(sidecar.Wait(20), 1, sidecar.Output())
        for text in texts:
            self.assertIn(text, sidecar.Output())

    def testPortInUse(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            self.AssertFails(self.StartSidecar(port=port), f"127.0.0.1:{port}", "in use", "http.listen")

    def testSecondSidecarOnTheSamePort(self):
        """SO_REUSEPORT would let both bind, and half of the scrapes go to each."""
        first = self.Sidecar()
        second = self.StartSidecar(port=first.port, flags=["--set", f"ingest.endpoints=['ipc://{self.Path('t.sock')}']"])
        self.AssertFails(second, f"127.0.0.1:{first.port}", "in use")
        self.assertIsNotNone(first.Get("/readyz"))

    def testSecondSidecarOnTheSameEndpoint(self):
        first = self.Sidecar()
        self.AssertFails(self.StartSidecar(), self.endpoint, "another sidecar")
        bot = self.Bot("--messages", 5, "--rate", 100, "--misbehave", "none")
        bot.Wait()
        self.assertEqual(harness.Summary(bot)["not delivered"], 0, "the first one's socket was stolen")
        self.assertGreater(first.Books()["applied"], 5)

    def testSocketThatASidecarLeftBehind(self):
        first = self.Sidecar()
        first.Kill()
        self.Sidecar()

    def testSocketPathNotWritable(self):
        endpoint = "ipc:///proc/nothing/spanwatch.sock"
        self.AssertFails(self.StartSidecar(flags=["--set", f"ingest.endpoints=['{endpoint}']"]), endpoint, "ingest.endpoints")

    def testUnknownKey(self):
        sidecar = self.StartSidecar(config=self.Write("bad.yaml", "http: { lisen: 1 }\n"))
        self.AssertFails(sidecar, "bad.yaml:1:", "lisen", "listen")

    def testWrongCommandLines(self):
        for words, texts in ((["serv"], ('unknown subcommand "serv"', "allowed: serve, check, test, replay, doctor")),
                             (["serve", "--confg", "x"], ("--confg", "spanwatch serve --help")),
                             (["check", "--set"], ("KEY=VALUE", "spanwatch check --help"))):
            command = self.Start([harness.Binary("spanwatch"), *words])
            self.assertEqual(command.Wait(), 2, command.Output())
            for text in texts:
                self.assertIn(text, command.Output())

    def testAVariableThatNobodyReads(self):
        sidecar = self.Sidecar(env={"TRACING_MAX_TRACE": "5", "TRACING_ENDPOINT": "ipc:///tmp/x.sock"})
        self.assertIn('TRACING_MAX_TRACE is read by nobody (did you mean "TRACING_MAX_TRACES"?)', sidecar.Output())
        self.assertNotIn("TRACING_ENDPOINT is", sidecar.Output())

    def testNoSuchConfiguration(self):
        self.AssertFails(self.StartSidecar(config=self.Path("none.yaml")), "none.yaml")

    def testCheckFindsTheSameMistake(self):
        check = self.Start([harness.Binary("spanwatch"), "check", self.Write("bad.yaml", "http: { lisen: 1 }\n")])
        self.assertEqual(check.Wait(), 1, check.Output())
        self.assertIn("bad.yaml:1:", check.Output())
        check = self.Start([harness.Binary("spanwatch"), "check", os.path.join(harness.ROOT, "config/spanwatch.yaml"),
                            os.path.join(harness.ROOT, "rules/default.yaml")])
        self.assertEqual(check.Wait(), 0, check.Output())

    def testSecretsStaySecret(self):
        """The webhook's URL stands in no output and no answer."""
        secret = "http://127.0.0.1:9/api/webhooks/1/very-secret-token"
        sidecar = self.Sidecar(discord=secret, rules=self.FastRules())
        bot = self.Bot("--rate", 20, "--misbehave", "deep", "--time-scale", 20)
        harness.wait_until(sidecar.Alerts, "an alert", also=bot.Output)
        texts = [sidecar.Get(path) or "" for path in ("/metrics", "/api/v1/status", "/api/v1/alerts", "/api/v1/stats", "/")]
        self.assertEqual(sidecar.Stop(), 0)
        for text in [*texts, sidecar.Output()]:
            self.assertNotIn("very-secret-token", text)


if __name__ == "__main__":
    unittest.main()
