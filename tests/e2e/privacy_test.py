"""Secrets in every text that a program traces are nowhere behind the SDK: not in the API, the pages, the metrics, the journal."""
import glob
import os
import unittest

import harness

NEEDLES = ("canary.bird", "55501237", "canaryABCDEF", "canarybearer", "canaryDiscordToken", "803511102246789121",
           "canaryhunter2", "canarypw77", "canarykeyed", "canarycontent")
SPANS = 16


class PrivacyTest(harness.TestCase):
    def Everything(self, mode):
        """All that the sidecar says and keeps of a program traced in that mode, as one text."""
        state = self.Path(mode)
        sidecar = self.Sidecar(sets=[f"state_dir={state}"])
        program = self.Start([harness.Binary("spanwatch-e2e-canaries"), self.endpoint], {"TRACING_REDACTION": mode}, "canaries")
        self.assertEqual(program.Wait(), 0, program.Output())
        self.assertIn(f"redaction {mode}", program.Output())
        harness.wait_until(lambda: sidecar.Books()["applied"] == SPANS, f"{SPANS} spans", also=sidecar.Output)
        traces = harness.wait_until(lambda: self.Traces(sidecar), "all traces complete", also=sidecar.Output)
        said = [sidecar.Get(path) for path in ("/metrics", "/", "/traces", "/errors", "/api/v1/stats", "/api/v1/traces", "/api/v1/status")]
        for trace in traces:
            said += [sidecar.Get(f"/api/v1/traces/{trace['traceId']}"), sidecar.Get(f"/traces/{trace['traceId']}")]
        said.append(sidecar.Output())
        self.assertEqual(sidecar.Stop(), 0, sidecar.Output())
        for path in filter(os.path.isfile, glob.glob(state + "/**", recursive=True)):
            with open(path, "rb") as file:
                said.append(file.read().decode("latin-1"))
        return "\n".join(text for text in said if text)

    def Traces(self, sidecar):
        traces = sidecar.Json("/api/v1/traces?limit=100")["traces"]
        return traces if len(traces) == SPANS / 2 else None

    def testNoSecretIsFoundAnywhere(self):
        for mode in ("default", "strict"):
            everything = self.Everything(mode)
            for needle in NEEDLES:
                self.assertNotIn(needle, everything, mode)
            for mark in ("email", "phone", "api_key", "token", "mention", "secret", "credentials", "key", "content"):
                self.assertIn(f"[redacted:{mark}]", everything, mode)

    def testWithoutRedactionTheyAre(self):
        everything = self.Everything("off")
        for needle in NEEDLES:
            self.assertIn(needle, everything)


if __name__ == "__main__":
    unittest.main()
