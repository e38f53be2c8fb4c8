"""OTLP/HTTP from programs that know nothing of Spanwatch: protobuf and JSON, gzip, errors that say what to do, limits, and
nothing personal kept."""
import gzip
import http.client
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import threading
import time
import unittest

import harness

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
CANARY = "canary.person@example.com"


# A few lines of protobuf: enough to write OTLP.
def Varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def Bytes(number, content):
    content = content.encode() if isinstance(content, str) else content
    return Varint(number << 3 | 2) + Varint(len(content)) + content


def Number(number, value):
    return Varint(number << 3) + Varint(value)


def Fixed64(number, value):
    return Varint(number << 3 | 1) + struct.pack("<Q", value)


def KeyValue(key, text):
    return Bytes(1, key) + Bytes(2, Bytes(1, text))


def Span(trace, span, name, parent=None, start_ns=None, duration_ns=1_000_000, more=b""):
    start_ns = start_ns or time.time_ns() - duration_ns
    return (Bytes(1, bytes.fromhex(trace)) + Bytes(2, bytes.fromhex(span)) + (Bytes(4, bytes.fromhex(parent)) if parent else b"") +
            Bytes(5, name) + Number(6, 2) + Fixed64(7, start_ns) + Fixed64(8, start_ns + duration_ns) + more)


def Request(service, spans):
    resource = Bytes(1, Bytes(1, KeyValue("service.name", service)))
    return Bytes(1, resource + Bytes(2, Bytes(1, Bytes(1, "scope")) + b"".join(Bytes(2, span) for span in spans)))


def ReadStatus(body):
    """{field: value} of a flat message."""
    fields, at = {}, 0
    while at < len(body):
        tag, at = body[at], at + 1
        value, shift = 0, 0
        while True:
            byte, at = body[at], at + 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if tag & 7 == 2:
            value, at = body[at:at + value], at + value
        fields[tag >> 3] = value
    return fields


class OtlpTest(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.otlp_port = harness.FreePort()

    def Receiver(self, **arguments):
        sets = (f"otlp.listen=127.0.0.1:{self.otlp_port}", *arguments.pop("sets", ()))
        return self.Sidecar(sets=sets, **arguments)

    def Ask(self, method, path, body=b"", headers=None, **arguments):
        """(status, headers, body)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.otlp_port, timeout=60)
        try:
            connection.request(method, path, body, headers or {}, **arguments)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def Post(self, body, content_type=PROTOBUF, path="/v1/traces", **headers):
        return self.Ask("POST", path, body, {"Content-Type": content_type, **{k.replace("_", "-"): v for k, v in headers.items()}})

    def testProtobufJsonAndGzipAreOne(self):
        sidecar = self.Receiver()
        traces = [f"{number:032x}" for number in range(1, 5)]
        protobuf = [Request("otlp-bot", [Span(trace, "00000000000000a1", "GET /users"),
                                         Span(trace, "00000000000000a2", "load", parent="00000000000000a1")]) for trace in traces[:2]]
        now = time.time_ns()
        body = [json.dumps({"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "otlp-bot"}}]},
            "scopeSpans": [{"scope": {"name": "scope"}, "spans": [
                {"traceId": trace, "spanId": "00000000000000A1", "name": "GET /users", "kind": 2, "startTimeUnixNano": str(now),
                 "endTimeUnixNano": now + 1_000_000},
                {"trace_id": trace, "spanId": "00000000000000a2", "parentSpanId": "00000000000000a1", "name": "load",
                 "kind": "SPAN_KIND_SERVER", "startTimeUnixNano": now, "endTimeUnixNano": str(now + 1_000_000), "unknown": {"x": [1]}}]}]}]})
            .encode() for trace in traces[2:]]
        for status, headers, answer in (self.Post(protobuf[0]), self.Post(gzip.compress(protobuf[1]), Content_Encoding="gzip")):
            self.assertEqual((status, answer), (200, b""))
            self.assertEqual(headers["Content-Type"], PROTOBUF)
        for status, headers, answer in (self.Post(body[0], JSON + "; charset=utf-8"),
                                        self.Post(gzip.compress(body[1]), JSON, Content_Encoding="gzip")):
            self.assertEqual((status, answer), (200, b"{}"))
            self.assertEqual(headers["Content-Type"], JSON)
        # 200 means applied: the traces are there without waiting.
        for trace in traces:
            spans = sidecar.Json(f"/api/v1/traces/{trace}")["spans"]
            self.assertEqual({(span["operationName"], span.get("parentSpanId")) for span in spans},
                             {("GET /users", None), ("load", "00000000000000a1")})
        # The same again changes nothing: a client may repeat what it has no answer to.
        self.assertEqual(self.Post(protobuf[0])[0], 200)
        self.assertEqual(len(sidecar.Json(f"/api/v1/traces/{traces[0]}")["spans"]), 2)
        self.assertEqual(sidecar.Metrics()['spanwatch_http_requests_total{handler="/v1/traces",code="200"}'], 5)

    def testOpenTelemetrysOwnExample(self):
        sidecar = self.Receiver()
        with open(os.path.join(harness.ROOT, "tests/vectors/otlp-trace.json"), "rb") as file:
            example = file.read().replace(b'"15447126', b'"%d' % (time.time_ns() // 10**11))  # its times are of 2018
        status, _, body = self.Post(example, JSON)
        self.assertEqual((status, body), (200, b"{}"))
        trace = sidecar.Json("/api/v1/traces/5b8efff798038103d269b633813fc60c")
        self.assertEqual(trace["spans"][0]["operationName"], "I'm a server span")

    def testTheCommandsOfTheDocumentation(self):
        if shutil.which("curl") is None:
            self.skipTest("skipped: curl is not installed")
        sidecar = self.Receiver()
        with open(os.path.join(harness.ROOT, "docs/otlp.md"), encoding="utf-8") as file:
            command = re.search(r"```sh\n(now=.*?)```", file.read(), re.S).group(1)
        command = command.replace("127.0.0.1:4318", f"127.0.0.1:{self.otlp_port}").replace("127.0.0.1:9464", f"127.0.0.1:{sidecar.port}")
        output = subprocess.run(["bash", "-ec", command], capture_output=True, text=True, check=True).stdout
        self.assertTrue(output.startswith("HTTP/1.1 200 OK"), output)
        self.assertIn("the model did not answer", output)
        self.assertIn("my-bot", output)

    def testErrorsSayWhatToDoInTheClientsEncoding(self):
        self.Receiver()
        status, headers, body = self.Post(b"\x0a\xff\xff")
        self.assertEqual((status, headers["Content-Type"], ReadStatus(body)[1]), (400, PROTOBUF, 3))
        status, headers, body = self.Post(b'{"resourceSpans": [{"scopeSpans": 5}]}', JSON)
        self.assertEqual((status, headers["Content-Type"]), (400, JSON))
        self.assertIn("resourceSpans[0].scopeSpans: an array was expected", json.loads(body)["message"])
        status, _, body = self.Post(gzip.compress(b"x" * 1000)[:-9], Content_Encoding="gzip")
        self.assertEqual((status, ReadStatus(body)[2]), (400, b"the gzip body ends in the middle"))
        self.assertEqual(self.Post(b"", Content_Encoding="zstd")[0], 415)
        self.assertEqual(self.Post(b"", "text/plain")[0], 415)
        status, headers, _ = self.Ask("GET", "/v1/traces")
        self.assertEqual((status, headers["Allow"]), (405, "POST, OPTIONS"))
        self.assertEqual(self.Ask("OPTIONS", "/v1/traces")[0], 204)
        status, _, body = self.Post(b"", path="/")
        self.assertEqual(status, 404)
        self.assertIn(b"/v1/traces", ReadStatus(body)[2])
        self.assertIn(b"OTEL_METRICS_EXPORTER=none", self.Post(b"{}", JSON, path="/v1/metrics")[2])
        status, _, body = self.Post(b"", Host="evil.example")
        self.assertEqual(status, 403)

    def testPartialSuccess(self):
        sidecar = self.Receiver()
        good = Span("1" * 32, "1" * 16, "good")
        status, _, body = self.Post(Request("bot", [good, Span("0" * 32, "2" * 16, "zero"), Span("12", "3" * 16, "short")]))
        self.assertEqual(status, 200)
        partial = ReadStatus(ReadStatus(body)[1])
        self.assertEqual(partial[1], 2)
        self.assertIn(b"2 with an invalid id", partial[2])
        self.assertEqual(len(sidecar.Json(f"/api/v1/traces/{'1' * 32}")["spans"]), 1)
        self.assertEqual(sidecar.Metrics()['spanwatch_rejected_spans_total{reason="invalid_id"}'], 2)

    def testLimits(self):
        sidecar = self.Receiver()
        before = sidecar.AnonymousMemory()
        bomb = gzip.compress(b"\0" * (65 << 20))
        status, _, body = self.Post(bomb, Content_Encoding="gzip")
        self.assertEqual(status, 413)
        self.assertIn(b"64 MiB when inflated", ReadStatus(body)[2])
        self.assertEqual(self.Post(b"[" * 1_000_000, JSON)[0], 400)
        self.assertEqual(self.Post(b'{"x":' + b"[" * 1_000_000, JSON)[0], 400)
        with socket.create_connection(("127.0.0.1", self.otlp_port), timeout=60) as client:
            client.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 70000000\r\n\r\n")
            answer = client.recv(65536)
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 "), answer)
        self.assertIn(b'"code":', answer)
        # Large but good, chunked: cut into records, nothing lost.
        spans = [Span(f"{1 + number // 50:032x}", f"{1 + number:016x}", "op", more=Bytes(9, KeyValue("padding", "x" * 200))) for number in range(20_000)]
        body = Request("large", spans)
        pieces = (body[at:at + 60_000] for at in range(0, len(body), 60_000))
        status, _, answer = self.Ask("POST", "/v1/traces", pieces, {"Content-Type": PROTOBUF, "Transfer-Encoding": "chunked"}, encode_chunked=True)
        self.assertEqual((status, answer), (200, b""))
        self.assertEqual(len(sidecar.Json(f"/api/v1/traces/{1:032x}")["spans"]), 50)
        self.assertEqual(len(sidecar.Json(f"/api/v1/traces/{400:032x}")["spans"]), 50)
        self.assertLess(sidecar.AnonymousMemory() - before, 400 << 20)

    def testNothingPersonalIsKept(self):
        recording = self.Path("run.rec")
        sidecar = self.Receiver(flags=("--record", recording))
        trace = "ab" * 16
        event = Fixed64(1, time.time_ns()) + Bytes(2, "exception") + Bytes(3, KeyValue("exception.message", f"no user {CANARY}"))
        more = (Bytes(9, KeyValue("note", f"by {CANARY}")) + Bytes(9, KeyValue("userPassword", "canary-secret")) +
                Bytes(9, KeyValue("gen_ai.input.messages", "canary-question")) + Bytes(11, event) +
                Bytes(15, Bytes(2, f"failed for {CANARY}") + Number(3, 2)) + Bytes(99, CANARY))
        self.assertEqual(self.Post(Request("bot", [Span(trace, "cd" * 8, f"hello {CANARY}", more=more)]))[0], 200)
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [
            {"traceId": trace, "spanId": "ef" * 8, "name": "json", "startTimeUnixNano": time.time_ns(), "endTimeUnixNano": time.time_ns(),
             "attributes": [{"key": "a", "value": {"arrayValue": {"values": [{"stringValue": "canary\u002eperson%40example.com"}]}}}]}]}]}]})
        self.assertEqual(self.Post(body.encode(), JSON)[0], 200)
        texts = [sidecar.Get(f"/api/v1/traces/{trace}"), sidecar.Get("/api/v1/traces"), sidecar.Get("/metrics"), sidecar.Get("/api/v1/alerts"),
                 sidecar.Get(f"/trace/{trace}")]
        for text in texts:
            self.assertNotIn("canary", text)
        self.assertIn("[redacted:email]", texts[0])
        self.assertIn("[redacted:key]", texts[0])
        self.assertIn("[redacted:content]", texts[0])
        self.assertGreaterEqual(sidecar.Metrics()['spanwatch_redactions_total{kind="email"}'], 4)
        sidecar.Stop()
        with open(recording, "rb") as file:
            recorded = file.read()
        self.assertIn(b"[redacted:email]", recorded)
        self.assertNotIn(b"canary", recorded)
        self.assertNotIn("canary", sidecar.Output())

    def testManyClientsAtOnce(self):
        sidecar = self.Receiver()
        statuses = []

        def Client(number):
            for batch in range(20):
                trace = f"{number * 1000 + batch + 1:032x}"
                statuses.append(self.Post(Request("bot", [Span(trace, f"{span + 1:016x}", "op") for span in range(100)]))[0])

        threads = [threading.Thread(target=Client, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(statuses, [200] * 160)
        calls = sum(value for series, value in sidecar.Metrics().items()
                    if series.startswith("traces_span_metrics_calls_total") and 'service_name="bot"' in series)
        self.assertEqual(calls, 16_000)

    def testSlowClientsHoldNobody(self):
        sidecar = self.Receiver()
        dripping = []
        for _ in range(100):
            client = socket.create_connection(("127.0.0.1", self.otlp_port), timeout=60)
            client.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx")
            dripping.append(client)
        self.assertEqual(self.Post(Request("bot", [Span("1" * 32, "1" * 16, "op")]))[0], 200)
        self.assertIsNotNone(sidecar.Get("/metrics"))
        for client in dripping:
            client.close()

    def testPortInUseAndOff(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", self.otlp_port))
            taken.listen()
            sidecar = self.StartSidecar(sets=(f"otlp.listen=127.0.0.1:{self.otlp_port}",))
            self.assertNotEqual(sidecar.Wait(), 0)
            self.assertIn("set otlp.listen to another port", sidecar.Output())
        sidecar = self.Sidecar()  # the harness turns it off
        self.assertIsNone(sidecar.Json("/api/v1/status")["otlpListen"])

    def testStopsInTimeWithClientsAtWork(self):
        sidecar = self.Receiver()
        going = threading.Event()

        def Client():
            try:
                while True:
                    self.Post(Request("bot", [Span(os.urandom(16).hex(), "1" * 16, "op") for _ in range(200)]))
                    going.set()
            except OSError:
                pass  # the sidecar has gone

        thread = threading.Thread(target=Client)
        thread.start()
        self.assertTrue(going.wait(harness.DEADLINE_S))
        self.assertEqual(sidecar.Stop(20), 0, sidecar.Output())
        thread.join()


if __name__ == "__main__":
    unittest.main()
