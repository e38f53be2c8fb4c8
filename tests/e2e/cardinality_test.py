"""Ids in span names: sums stay exact, other services keep their series, and the culprit is named wherever one looks."""
import json
import time
import unittest

import harness

HOSTILE = 'quote" back\\slash\nnewline \u202e right-to-left'


class CardinalityTest(harness.TestCase):
    def Begin(self, *sets):
        self.otlp = f"http://127.0.0.1:{harness.FreePort()}"
        self.sidecar = self.Sidecar(sets=[f"otlp.listen={self.otlp[7:]}", "metrics.max_series=40", *sets])

    def Post(self, service, names):
        """One span a name, each in a trace of its own."""
        self.number = getattr(self, "number", 0)
        spans, now = [], time.time_ns()
        for name in names:
            self.number += 1
            spans.append({"traceId": f"{self.number:032x}", "spanId": f"{self.number:016x}", "name": name, "kind": 2,
                          "startTimeUnixNano": str(now - 1_000_000), "endTimeUnixNano": str(now)})
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
        body = json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}).encode()
        url, self.sidecar.url = self.sidecar.url, self.otlp
        status, text = self.sidecar.Request("/v1/traces", "POST", body, {"Content-Type": "application/json"})
        self.sidecar.url = url
        self.assertEqual(status, 200, text)

    def Calls(self, service):
        """{rest of the labels: calls} of a service."""
        found = {}
        for series, value in self.sidecar.Metrics().items():
            if series.startswith("traces_span_metrics_calls_total{") and f'service_name="{service}"' in series:
                found[series] = value
        return found

    def testTheCulpritIsNamedAndSumsStayExact(self):
        self.Begin()
        self.Post("quiet", ["a", "b"])
        self.Post("loud", [f"GET /users/{i}" for i in range(1000)] + [HOSTILE])
        self.Post("late", ["c"])
        loud = self.Calls("loud")
        self.assertEqual(sum(loud.values()), 1001)
        self.assertLess(len(loud), 40)
        overflow = [series for series in loud if 'otel_metric_overflow="true"' in series]
        self.assertEqual(len(overflow), 1, loud)
        for service, count in (("quiet", 2), ("late", 1)):
            self.assertEqual(len(self.Calls(service)), count, "a loud service takes nobody's place")
        metrics = self.sidecar.Metrics()
        folded = metrics['spanwatch_cardinality_overflow_total{service_name="loud",label="span_name"}']
        self.assertEqual(folded, loud[overflow[0]])
        culprit = self.sidecar.Stats()["cardinality"]
        self.assertEqual([(c["service"], c["label"], c["foldedSpans"]) for c in culprit], [("loud", "span_name", folded)])
        self.assertTrue(culprit[0]["samples"] and all(len(sample) <= 80 for sample in culprit[0]["samples"]))
        line = harness.wait_until(lambda: next((line for line in self.sidecar.lines if "loud" in line and "GET /users/" in line), None),
                                  "the culprit in the log", also=self.sidecar.Output)
        self.assertEqual(sum(line.split("warning")[-1] in other for other in self.sidecar.lines), 1, "said once")

    def testATemplateFoldsThem(self):
        self.Begin("metrics.span_names=['GET /users/{id}']")
        self.Post("loud", [f"GET /users/{i}" for i in range(1000)])
        self.assertEqual(list(self.Calls("loud").values()), [1000])
        self.assertIn('span_name="GET /users/{id}"', next(iter(self.Calls("loud"))))
        self.assertEqual(self.sidecar.Stats()["cardinality"], [])
        trace = self.sidecar.Json(f"/api/v1/traces/{17:032x}")
        self.assertEqual(trace["spans"][0]["operationName"], "GET /users/16", "the stored span keeps its own name")


if __name__ == "__main__":
    unittest.main()
