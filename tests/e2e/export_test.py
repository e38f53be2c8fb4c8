"""GET /api/v1/export of a running sidecar: each format over the socket; what is exported as OTLP loads back to the same traces;
the anonymised export tells nothing that it must not."""
import json
import subprocess
import time
import unittest
import urllib.request

import harness

SECRETS = ["gold-customer-7", "conversation-zebra", "refused by bank zebra", "ZebraError", "quince"]


def Value(value):
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [Value(each) for each in value]}}
    return {"stringValue": value} if value is not None else {}


def Attributes(values):
    return [{"key": key, "value": Value(value)} for key, value in values.items()]


def Traces(count, start_ns):
    """OTLP/JSON with all that a span may have."""
    spans = []
    for number in range(1, count + 1):
        trace, start = f"{0xfeed0000 + number:032x}", start_ns + number * 10_000_000
        for index in range(1, 6):
            span = {"traceId": trace, "spanId": f"{0xbee0000 + number * 256 + index:016x}", "name": f"step{index} /orders/{900000 + number}",
                    "kind": index, "startTimeUnixNano": str(start + index * 1001), "endTimeUnixNano": str(start + 9_000_000 - index * 777),
                    "traceState": "vendor=1", "flags": 0x300 if index == 2 else 1, "droppedAttributesCount": index,
                    "attributes": Attributes({"tier": SECRETS[0], "correlation.id": SECRETS[1], "count": index, "share": 0.25, "whole": 2.0,
                                              "yes": True, "list": ["quince", 1, None, [2.5]], "nothing": None})}
            if index > 1:
                span["parentSpanId"] = f"{0xbee0000 + number * 256 + index - 1:016x}"
            if index == 5:
                span["status"] = {"code": 2, "message": SECRETS[2]}
                span["events"] = [{"timeUnixNano": str(start + 5000), "name": "exception", "attributes": Attributes(
                    {"exception.type": SECRETS[3], "exception.message": SECRETS[2]})}]
                span["links"] = [{"traceId": "ab" * 16, "spanId": "cd" * 8}]
            spans.append(span)
    resources = []
    for service, part in (("shop", [0, 1, 2]), ("bank", [3, 4])):
        resources.append({"resource": {"attributes": Attributes({"service.name": service, "host.name": "quince"})},
                          "scopeSpans": [{"scope": {"name": "library"}, "spans": [s for i, s in enumerate(spans) if i % 5 in part]}]})
    return {"resourceSpans": resources}


class ExportTest(harness.TestCase):
    def Receiver(self):
        port = harness.FreePort()
        sidecar = self.Sidecar(sets=[f"otlp.listen=127.0.0.1:{port}", f"ingest.endpoints=['{self.endpoint}{len(self.processes)}']"])
        sidecar.otlp = f"http://127.0.0.1:{port}/v1/traces"
        return sidecar

    def Post(self, sidecar, body, content_type="application/json"):
        request = urllib.request.Request(sidecar.otlp, data=body, headers={"Content-Type": content_type})
        with urllib.request.urlopen(request, timeout=60) as answer:
            self.assertEqual(answer.status, 200)

    def Export(self, sidecar, query, headers=None):
        request = urllib.request.Request(f"{sidecar.url}/api/v1/export{query}", headers=headers or {})
        with urllib.request.urlopen(request, timeout=60) as answer:
            self.assertIn("attachment", answer.headers["Content-Disposition"])
            return answer.read()

    def Shown(self, sidecar, count):
        """Every trace as the API shows it, without what depends on when it came."""
        traces = {}
        for summary in sidecar.Json(f"/api/v1/traces?limit={count + 10}")["traces"]:
            trace = sidecar.Json("/api/v1/traces/" + summary["traceId"])
            for key in ("complete", "alerted"):
                del trace[key]
            traces[trace["traceId"]] = trace
        self.assertEqual(len(traces), count)
        return traces

    def Replay(self, name, body):
        with open(self.Path(name), "wb") as file:
            file.write(body)
        command = [harness.Binary("spanwatch"), "replay", "--config", self.Config(), self.Path(name)]
        done = subprocess.run(command, capture_output=True, text=True, env=self.Environment(), timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout.splitlines()[-1])

    def testWhatIsExportedLoadsBackToTheSameTraces(self):
        count = 40
        sidecar = self.Receiver()
        self.Post(sidecar, json.dumps(Traces(count, time.time_ns() - 10**9)).encode())
        shown = self.Shown(sidecar, count)
        otlp = self.Export(sidecar, "?format=otlp")
        protobuf = self.Export(sidecar, "?format=otlp-protobuf")
        self.assertEqual(protobuf, self.Export(sidecar, "", {"Accept": "application/x-protobuf"}))
        for body, content_type in ((otlp, "application/json"), (protobuf, "application/x-protobuf")):
            other = self.Receiver()
            self.Post(other, body, content_type)
            self.assertEqual(self.Shown(other, count), shown, content_type)
            other.Stop()
        for name, body in (("traces.json", otlp), ("traces.pb", protobuf)):
            replayed = self.Replay(name, body)
            self.assertEqual(replayed["problems"], [])
            self.assertEqual((replayed["source"], replayed["stats"]["traces"], replayed["stats"]["spansApplied"]), ("otlp", count, count * 5))
            self.assertEqual({each["service"]: each["errors"] for each in replayed["stats"]["services"]}, {"shop": 0, "bank": count})
        jaeger = json.loads(self.Export(sidecar, "?format=jaeger"))
        self.assertEqual({trace["traceID"] for trace in jaeger["data"]}, set(shown))
        self.assertEqual(sum(len(trace["spans"]) for trace in jaeger["data"]), count * 5)

    def testReplayTellsProtobufFromJsonThatBeginsAlike(self):
        def Field(number, body):
            return bytes([number << 3 | 2, len(body)]) + body
        span = Field(1, bytes(range(1, 17))) + Field(2, b"\x01" * 8) + Field(5, b"x" * 71)
        span += b"\x39" + (10**18).to_bytes(8, "little") + b"\x41" + (10**18 + 1).to_bytes(8, "little")
        body = Field(1, Field(2, Field(2, span)))
        self.assertEqual(body[:2], b"\n{")
        for name, data in (("traces.pb", body), ("two.pb", body.replace(b"\x01" * 8, b"\x02" * 8) + body),
                           ("traces.json", b"\n" + json.dumps(Traces(1, 10**18)).encode())):
            replayed = self.Replay(name, data)
            self.assertEqual((replayed["problems"], replayed["stats"]["traces"]), ([], 1), name)

    def testAnonymisedTellsNothingThatItMustNot(self):
        sidecar = self.Receiver()
        self.Post(sidecar, json.dumps(Traces(20, time.time_ns() - 10**9)).encode())
        text = self.Export(sidecar, "").decode()
        export = json.loads(text)
        self.assertEqual(len(export["traces"]), 20)
        self.assertEqual({len(trace["timeline"]) for trace in export["traces"]}, {5})
        self.assertEqual(export["traces"][0]["rootService"], "shop")
        self.assertEqual(export["traces"][0]["timeline"][0]["operation"], "step1 /orders/{id}")
        self.assertEqual(sorted(service["serviceName"] for service in export["overview"]["serviceHealth"]), ["bank", "shop"])
        for secret in [*SECRETS, "feed0001", "bee01", "900001", "abababab", "cdcdcdcd", "vendor"]:
            self.assertNotIn(secret, text)
        again = json.loads(self.Export(sidecar, ""))
        self.assertFalse({trace["id"] for trace in export["traces"]} & {trace["id"] for trace in again["traces"]})

    def testRangeAndSearchLimitIt(self):
        sidecar = self.Receiver()
        now = time.time_ns()
        self.Post(sidecar, json.dumps(Traces(3, now - 30 * 60 * 10**9)).encode())
        self.assertEqual(len(json.loads(self.Export(sidecar, "?start=-20m"))["traces"]), 0)
        self.assertEqual(len(json.loads(self.Export(sidecar, "?start=-40m&end=-20m"))["traces"]), 3)
        self.assertEqual(len(json.loads(self.Export(sidecar, f"?start=-40m&tag=tier:{SECRETS[0]}&limit=2"))["traces"]), 2)
        self.assertEqual(json.loads(self.Export(sidecar, "?service=nobody&format=otlp")), {"resourceSpans": []})
        status, text = sidecar.Request("/api/v1/export?fromat=otlp")
        self.assertEqual((status, json.loads(text)["field"]), (400, "fromat"))
        found = sidecar.Json("/api/v1/traces?tag=count:3&tag=host.name:quince&error=zebra&sort=longest&limit=1&offset=1")
        self.assertEqual((found["total"], len(found["traces"]), found["offset"], found["limit"]), (3, 1, 1, 1))

    def testManyTracesAreStreamed(self):
        """An export of many MB, read while it is made: the sidecar does not hold it all."""
        sidecar = self.Receiver()
        count = 1500
        self.Post(sidecar, json.dumps(Traces(count, time.time_ns() - 60 * 10**9)).encode())
        harness.wait_until(lambda: sidecar.Stats()["tracesCompleted"] == count, "complete traces", also=sidecar.Output)
        self.Export(sidecar, "?format=otlp")  # what is made once is made
        before = sidecar.AnonymousMemory()
        with urllib.request.urlopen(sidecar.url + "/api/v1/export?format=otlp", timeout=60) as answer:
            body = answer.read(1 << 16)
            grown = sidecar.AnonymousMemory() - before
            body += answer.read()
        self.assertGreater(len(body), 5 << 20)
        self.assertLess(grown, len(body) // 2)
        self.assertEqual(len({span["traceId"] for each in json.loads(body)["resourceSpans"] for scope in each["scopeSpans"]
                              for span in scope["spans"]}), count)


if __name__ == "__main__":
    unittest.main()
