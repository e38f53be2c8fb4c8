"""What the SDK tells of itself arrives: circuit breakers, allocation counts, its own cost; and the sidecar lowers the sample rate
of a running program, with exact books and unbiased figures."""
import json
import signal
import unittest

import harness


class SelfReportTest(harness.TestCase):
    def Program(self, rate=0):
        return self.Start([harness.Binary("spanwatch-e2e-selfreport"), self.endpoint, str(rate)])

    def Wait(self, condition, what, program):
        return harness.wait_until(condition, what, also=program.Output)

    def testBreakersAndCostReachTheMetrics(self):
        sidecar = self.Sidecar()
        program = self.Program(rate=1000)

        def Metrics():
            found = {}
            for series, value in sidecar.Metrics().items():
                name, _, labels = series.partition("{")
                if 'service_name="selfreport"' in labels:
                    found[name + "".join(f" {part}" for part in labels.rstrip("}").split(",") if part.startswith("name="))] = value
            return found

        self.Wait(lambda: Metrics().get("spanwatch_circuit_breaker_refused_total name=\"down\"") == 6, "the breakers", program)
        found = Metrics()
        self.assertEqual(found['spanwatch_circuit_breaker_state name="down"'], 2)
        self.assertEqual(found['spanwatch_circuit_breaker_state name="healthy"'], 0)
        self.assertEqual(found['spanwatch_circuit_breaker_opened_total name="down"'], 1)
        self.assertEqual(found['spanwatch_circuit_breaker_opened_total name="healthy"'], 0)
        self.Wait(lambda: Metrics()["spanwatch_process_sdk_ring_fill_ratio"] > 0, "a ring that is used", program)
        found = Metrics()
        self.assertLess(found["spanwatch_process_sdk_ring_fill_ratio"], 0.9)
        self.assertEqual(found["spanwatch_process_sample_ratio"], 1)
        self.assertGreater(found["spanwatch_process_sdk_memory_bytes"], 100_000)
        self.assertGreater(found["spanwatch_process_sdk_cpu_seconds_total"], 0)

        process = sidecar.Stats()["processes"][0]
        self.assertEqual(process["sampleRate"], 1)
        self.assertTrue(0 <= process["sdkRingFill"] <= 1, process)
        self.assertIn({"name": "circuit_breaker.state", "labels": {"name": "down"}, "value": 2.0}, process["gauges"])
        self.assertEqual(program.Stop(), 0, program.Output())
        said = json.loads(program.lines[-1])
        self.assertEqual(said["not_delivered"], 0)
        self.assertTrue(0 < said["highest_ring_fill"] < 1, said)
        self.assertGreater(said["own_bytes"], 100_000)
        self.assertGreater(said["sender_cpu_ns"], 0)

    def testSpansCarryBreakersAndAllocations(self):
        sidecar = self.Sidecar()
        program = self.Program()

        def Spans():
            spans = {}
            for trace in sidecar.Json("/api/v1/traces?limit=100")["traces"]:
                for span in sidecar.Json(f"/api/v1/traces/{trace['traceId']}")["spans"]:
                    spans[span["operationName"]] = span
            return spans if len(spans) >= 3 else None

        spans = self.Wait(Spans, "three spans", program)
        tags = spans["selfreport.allocating"]["tags"]
        self.assertEqual((tags["spanwatch.alloc.bytes"], tags["spanwatch.alloc.count"]), (5000, 5))
        tags = spans["selfreport.allocating.child"]["tags"]
        self.assertEqual((tags["spanwatch.alloc.bytes"], tags["spanwatch.alloc.count"]), (3000, 3))
        breakers = spans["selfreport.breakers"]
        self.assertEqual(breakers["tags"]["circuit_breaker.name"], "down")
        self.assertEqual(breakers["tags"]["circuit_breaker.state"], "open")
        self.assertIs(breakers["tags"]["circuit_breaker.refused"], True)
        self.assertIn("circuit breaker changed", json.dumps(breakers))
        self.assertEqual(program.Stop(), 0, program.Output())

    def testTheSampleRateIsLoweredAtRunTime(self):
        sidecar = self.Sidecar()
        config = self.Path("spanwatch.yaml")
        with open(config, encoding="utf-8") as file:
            original = file.read()
        program = self.Program(rate=4000)

        def Say(rate, traces):
            """Waits until the program goes by that rate, and for so many traces more."""
            self.Wait(lambda: program.lines and program.lines[-1].endswith(f"sample rate {rate:g}"), f"sample rate {rate}", program)
            first = int(program.lines[-1].split()[1])
            self.Wait(lambda: int(program.lines[-1].split()[1]) > first + traces, f"{traces} traces", program)

        Say(1, 2000)
        self.Write("spanwatch.yaml", original + "\ningest: { sample_rate: 25% }\n")
        sidecar.Signal(signal.SIGHUP)
        Say(0.25, 8000)
        self.Wait(lambda: sidecar.Stats()["processes"][0]["sampleRate"] == 0.25, "the rate in the API", program)
        self.Write("spanwatch.yaml", original)
        sidecar.Signal(signal.SIGHUP)
        Say(1, 100)
        self.assertEqual(program.Stop(), 0, program.Output())

        said = json.loads(program.lines[-1])
        self.assertEqual(said["not_delivered"], 0)
        self.Wait(lambda: sidecar.Books()["processes"][0]["state"] == "closed", "the goodbye", program)
        books = sidecar.Books()
        harness.AssertEquation(self, books)
        self.assertEqual(books["emitted"], said["emitted"])
        self.assertEqual(books["sampledOut"], said["sampled_out"])
        self.assertEqual(books["lost"].get("ring_full", 0), 0)
        # Some 6,000 of 8,000 traces and more were left out; the others count four times: the estimate of all is right
        # within six standard deviations (each trace left to chance adds 3 to the variance).
        self.assertGreater(said["sampled_out"], 4000)
        calls = {}
        for series, value in sidecar.Metrics().items():
            if series.startswith("traces_span_metrics_calls_total{"):
                name = series.split('span_name="')[1].split('"')[0]
                calls[name] = calls.get(name, 0) + value
        by_chance = said["sampled_out"] / 0.75
        self.assertLess(abs(calls["selfreport.trace"] - said["traces"]), 6 * (3 * by_chance) ** 0.5)
        # All that failed are here, and count once.
        self.assertEqual(calls["selfreport.failing"], said["failed"])


if __name__ == "__main__":
    unittest.main()
