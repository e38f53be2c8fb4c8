"""Traces sent on to another OTLP backend: a second real sidecar gets them identical; chosen ones only; a backend that is
away for a while; headers, gzip and retries as the specification has them; nothing secret shown."""
import gzip
import http.server
import json
import os
import signal
import threading
import time
import unittest
import urllib.request

import harness

SECRET = "sesame-open-42"
OWN = ("complete", "alerted")  # of a trace: what a sidecar says about itself, not about the trace


class Backend(http.server.ThreadingHTTPServer):
    """Keeps requests; answers with the next of `answers` (status, headers), then 200."""
    daemon_threads = True

    def __init__(self, *answers):
        self.answers, self.requests, self.lock = list(answers), [], threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.requests.append((self.path, dict(self.headers), body))
            status, headers = self.server.answers.pop(0) if self.server.answers else (200, {})
        self.send_response(status)
        for name, value in {"Content-Type": "application/x-protobuf", "Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        pass


def Trace(number, failed=False, name="work", duration_ns=1_000_000):
    now = time.time_ns()
    span = {"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": name, "kind": 2,
            "startTimeUnixNano": str(now - duration_ns), "endTimeUnixNano": str(now), "traceState": "vendor=1",
            "attributes": [{"key": "list", "value": {"arrayValue": {"values": [{"intValue": "1"}, {"doubleValue": 1},
                                                                             {"stringValue": "x"}]}}},
                           {"key": "flag", "value": {"boolValue": True}}, {"key": "blob", "value": {"bytesValue": "AAEC"}}],
            "events": [{"timeUnixNano": str(now), "name": "log", "attributes": [{"key": "n", "value": {"intValue": "7"}}]}],
            "links": [{"traceId": "0" * 31 + "7", "spanId": "0" * 15 + "7"}]}
    if failed:
        span["status"] = {"code": 2, "message": "it broke"}
    return span


class ForwardTest(harness.TestCase):
    def Backend(self, *answers):
        backend = Backend(*answers)
        self.addCleanup(backend.server_close)
        self.addCleanup(backend.shutdown)
        return backend

    def First(self, endpoint, *sets, **arguments):
        self.otlp_port = harness.FreePort()
        return self.Sidecar(sets=(f"otlp.listen=127.0.0.1:{self.otlp_port}", f"forward.endpoint={endpoint}", *sets), **arguments)

    def Second(self, port):
        return self.Sidecar(sets=(f"otlp.listen=127.0.0.1:{port}", f"ingest.endpoints=['ipc://{self.directory}/t.sock']"))

    def Send(self, *spans, service="bot"):
        body = {"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}},
                                                               {"key": "team", "value": {"stringValue": "blue"}}]},
                                   "scopeSpans": [{"scope": {"name": "scope"}, "spans": list(spans)}]}]}
        request = urllib.request.Request(f"http://127.0.0.1:{self.otlp_port}/v1/traces", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            self.assertEqual(answer.status, 200)

    def Forwarded(self, sidecar, count):
        harness.wait_until(lambda: sidecar.Metrics()["spanwatch_forward_traces_total"] >= count, f"{count} traces forwarded",
                           also=lambda: sidecar.Get("/api/v1/status") + sidecar.Output())

    def AssertSame(self, first, second, trace_id):
        ours, theirs = (sidecar.Json(f"/api/v1/traces/{trace_id}") for sidecar in (first, second))
        for trace in (ours, theirs):
            for key in OWN:
                trace.pop(key, None)
        self.assertEqual(theirs["spans"], ours["spans"])

    def testTheTracesOfABotArriveAsTheyAre(self):
        port = harness.FreePort()
        second = self.Second(port)
        first = self.First(f"http://127.0.0.1:{port}")
        bot = self.Bot()
        harness.wait_until(lambda: first.Stats()["totalTraces"] >= 20, "20 traces", also=bot.Output)
        harness.Summary(bot)
        self.Send(Trace(1), Trace(2, failed=True))

        def Settled():
            done = first.Metrics()
            return done["spanwatch_store_open_traces"] == 0 and done["spanwatch_forward_queued_traces"] == 0
        harness.wait_until(Settled, "all traces complete and forwarded", also=first.Output)
        found = [trace["traceId"] for trace in first.Json("/api/v1/traces?limit=1000")["traces"]]
        self.assertGreaterEqual(len(found), 20)
        self.assertEqual(sorted(found), sorted(t["traceId"] for t in second.Json("/api/v1/traces?limit=1000")["traces"]))
        for trace_id in found:
            self.AssertSame(first, second, trace_id)
        metrics = first.Metrics()
        self.assertEqual(metrics["spanwatch_forward_spans_total"], sum(len(first.Json(f"/api/v1/traces/{t}")["spans"]) for t in found))
        self.assertEqual(sum(value for name, value in metrics.items() if name.startswith("spanwatch_forward_dropped")), 0)
        status = first.Json("/api/v1/status")["forward"]
        self.assertTrue(status["configured"])
        self.assertFalse(status["unencrypted"])
        self.assertEqual(status["lastError"], "")
        self.assertIsNotNone(status["lastForwarded"])

    def testChosenTracesOnly(self):
        backend = self.Backend()
        first = self.First(backend.url, "forward.traces=[failed, slow]", "forward.gzip=false")
        self.Send(Trace(1, name="good-one"))
        self.Send(Trace(2, failed=True, name="failed-one"))
        self.Send(Trace(3, name="slow-one", duration_ns=2_000_000_000))
        self.Forwarded(first, 2)
        harness.wait_until(lambda: first.Metrics()["spanwatch_store_open_traces"] == 0, "all complete", also=first.Output)
        bodies = b"".join(body for _, _, body in backend.requests)
        self.assertIn(b"failed-one", bodies)
        self.assertIn(b"slow-one", bodies)
        self.assertIn(b"blue", bodies, "the resource goes along")
        self.assertNotIn(b"good-one", bodies)
        self.assertEqual(first.Metrics()["spanwatch_forward_traces_total"], 2)

    def testABackendThatIsAwayForAWhile(self):
        port = harness.FreePort()
        first = self.First(f"http://127.0.0.1:{port}")
        for number in range(1, 31):
            self.Send(Trace(number))
        harness.wait_until(lambda: first.Metrics()["spanwatch_forward_retries_total"] >= 1, "a retry", also=first.Output)
        harness.wait_until(lambda: first.Metrics()["spanwatch_forward_queued_traces"] == 30, "30 queued", also=first.Output)
        self.assertIn("could not connect", first.Json("/api/v1/status")["forward"]["lastError"])
        second = self.Second(port)
        self.Forwarded(first, 30)
        for number in range(1, 31):
            self.AssertSame(first, second, f"{number:032x}")
        self.assertEqual(first.Json("/api/v1/status")["forward"]["lastError"], "")
        second.Stop()
        self.Send(Trace(99))
        harness.wait_until(lambda: first.Metrics()["spanwatch_forward_queued_traces"] == 1, "1 queued", also=first.Output)
        begin = time.monotonic()
        self.assertEqual(first.Stop(), 0)
        self.assertLess(time.monotonic() - begin, 20)
        self.assertIn("stopped with 1 traces not forwarded", first.Output())

    def testHeadersGzipRetriesAndNoSecretShown(self):
        backend = self.Backend((429, {"Retry-After": "1"}), (503, {}), (400, {}))
        first = self.First(backend.url + "/otlp", "forward.headers={Authorization: {env: SPANWATCH_E2E_AUTH}, X-Scope-OrgID: team}",
                           env={"SPANWATCH_E2E_AUTH": f"Bearer {SECRET}"})
        self.Send(Trace(1, name="rejected-one"))
        rejected = 'spanwatch_forward_dropped_traces_total{reason="rejected"}'
        harness.wait_until(lambda: first.Metrics()[rejected] == 1, "a rejected trace", also=first.Output)
        self.assertEqual(len(backend.requests), 3)
        path, headers, body = backend.requests[0]
        self.assertEqual(path, "/otlp/v1/traces")
        self.assertEqual(headers["Content-Encoding"], "gzip")
        self.assertEqual(headers["Content-Type"], "application/x-protobuf")
        self.assertEqual(headers["Authorization"], f"Bearer {SECRET}")
        self.assertEqual(headers["X-Scope-OrgID"], "team")
        self.assertIn(b"rejected-one", gzip.decompress(body))
        self.assertEqual({body for _, _, body in backend.requests}, {body})
        self.assertEqual(first.Metrics()["spanwatch_forward_retries_total"], 2)
        self.assertIn("400", first.Json("/api/v1/status")["forward"]["lastError"])
        shown = first.Get("/api/v1/status") + first.Get("/metrics") + first.Output()
        self.assertNotIn(SECRET, shown)

    def testReloadSwitchesOnAndOff(self):
        backend = self.Backend()
        config = self.Config()
        self.otlp_port = harness.FreePort()
        first = self.Sidecar(config=config, sets=(f"otlp.listen=127.0.0.1:{self.otlp_port}",))
        self.assertFalse(first.Json("/api/v1/status")["forward"]["configured"])
        with open(config, encoding="utf-8") as file:
            former = file.read()
        self.Write(os.path.basename(config), former + f"\nforward: {{ endpoint: '{backend.url}' }}\n")
        first.Signal(signal.SIGHUP)
        harness.wait_until(lambda: first.Json("/api/v1/status")["forward"]["configured"], "on", also=first.Output)
        self.Send(Trace(1))
        self.Forwarded(first, 1)
        self.Write(os.path.basename(config), former)
        first.Signal(signal.SIGHUP)
        harness.wait_until(lambda: not first.Json("/api/v1/status")["forward"]["configured"], "off", also=first.Output)

    def testNeverToItself(self):
        port = harness.FreePort()
        sidecar = self.StartSidecar(sets=(f"otlp.listen=127.0.0.1:{port}", f"forward.endpoint=http://localhost:{port}"))
        self.assertEqual(sidecar.Wait(), 1)
        self.assertIn("own otlp.listen", sidecar.Output())


if __name__ == "__main__":
    unittest.main()
