"""Jaeger's query API, asked as Grafana's Jaeger data source and Jaeger UI ask, answers read as strictly as they read them: Go
structs refuse `1.0` and `1e9` for an integer, the UI's schemas want their keys."""
import http.client
import json
import re
import time
import unittest
import urllib.parse

import harness

MS = 1_000_000
HEX32 = re.compile(r"[0-9a-f]{32}\Z")
HEX16 = re.compile(r"[0-9a-f]{16}\Z")


class Real(float):
    """A number that was written with a fraction or an exponent."""


class Mismatch(AssertionError):
    pass


def Check(shape, value, at="$"):
    """`shape`: a type, a compiled pattern, [shape] for lists, {"key": shape} for objects with exactly these keys, {"*": shape}
    for maps, (shape, ...) for one of them, None for null."""
    if isinstance(shape, tuple):
        for each in shape:
            try:
                return Check(each, value, at)
            except Mismatch as mismatch:
                last = mismatch
        raise last
    if shape is None:
        good = value is None
    elif shape is int:
        good = type(value) is int and -2**63 <= value < 2**63
    elif shape is float:
        good = type(value) in (int, Real)
    elif isinstance(shape, type):
        good = type(value) is shape
    elif isinstance(shape, re.Pattern):
        good = isinstance(value, str) and shape.match(value) is not None
    elif isinstance(shape, list):
        good = isinstance(value, list)
        for i, each in enumerate(value if good else ()):
            Check(shape[0], each, f"{at}[{i}]")
    else:
        good = isinstance(value, dict) and ("*" in shape or set(value) == set(shape))
        for key, each in value.items() if good else ():
            Check(shape.get(key, shape.get("*")), each, f"{at}.{key}")
    if not good:
        raise Mismatch(f"{at}: {value!r} is not {shape}")
    return value


def Envelope(data):
    return {"data": data, "total": int, "limit": int, "offset": int,
            "errors": (None, [{"code": int, "msg": str}], [{"code": int, "msg": str, "traceID": HEX32}])}


TAG = tuple({"key": str, "type": re.compile(name + r"\Z"), "value": value}
            for name, value in (("string", str), ("bool", bool), ("int64", (int, str)), ("float64", float), ("binary", str)))
WARNINGS = (None, [str])
SPAN = {"traceID": HEX32, "spanID": HEX16, "operationName": str, "startTime": int, "duration": int, "processID": str,
        "references": [{"refType": re.compile(r"(CHILD_OF|FOLLOWS_FROM)\Z"), "traceID": HEX32, "spanID": HEX16}],
        "tags": [TAG], "logs": [{"timestamp": int, "fields": [TAG]}], "warnings": WARNINGS}
TRACE = {"traceID": HEX32, "spans": [SPAN], "processes": {"*": {"serviceName": str, "tags": [TAG]}}, "warnings": WARNINGS}
NAMES = Envelope([str])
TRACES = Envelope([TRACE])
OPERATIONS = Envelope([{"name": str, "spanKind": str}])
DEPENDENCIES = Envelope([{"parent": str, "child": str, "callCount": int}])
ERROR = Envelope(None)
NANOS = re.compile(r"[0-9]+\Z")
SUMMARIES = {"summaries": [{"traceId": HEX32, "rootServiceName": str, "rootOperationName": str, "minStartTimeUnixNano": NANOS,
                            "maxEndTimeUnixNano": NANOS, "spanCount": int, "errorSpanCount": int, "orphanSpanCount": int,
                            "services": [{"name": str, "spanCount": int, "errorSpanCount": int}]}]}
V3_ERROR = {"error": {"httpCode": int, "message": str}}
FAMILY = {"name": str, "type": re.compile(r"GAUGE\Z"), "help": str,
          "metrics": [{"labels": [{"name": str, "value": str}],
                       "metricPoints": [{"gaugeValue": {"doubleValue": (float, re.compile(r"NaN\Z"))},
                                         "timestamp": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")}]}]}


def Attribute(key, **value):
    return {"key": key, "value": value}


def OtlpSpan(trace, span, name, start, length, parent="", kind=1, **more):
    return {"traceId": trace, "spanId": span, "parentSpanId": parent, "name": name, "kind": kind, "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(start + length), **more}


def Resource(service, *spans):
    return {"resource": {"attributes": [Attribute("service.name", stringValue=service), Attribute("host.name", stringValue="h1")]},
            "scopeSpans": [{"scope": {"name": "lib"}, "spans": list(spans)}]}


class JaegerTest(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.otlp_port = harness.FreePort()
        self.sidecar = self.Sidecar(sets=(f"otlp.listen=127.0.0.1:{self.otlp_port}",))
        self.now = time.time_ns()

    def Post(self, *resources):
        connection = http.client.HTTPConnection("127.0.0.1", self.otlp_port, timeout=60)
        try:
            connection.request("POST", "/v1/traces", json.dumps({"resourceSpans": list(resources)}),
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            self.assertEqual((answer.status, answer.read()), (200, b"{}"))
        finally:
            connection.close()

    def Ask(self, path, shape, status=200, params=()):
        if params:
            path += "?" + urllib.parse.urlencode(params, doseq=True)
        code, text = self.sidecar.Request(path)
        self.assertEqual(code, status, f"{path}: {text[:500]}")
        try:
            return Check(shape, json.loads(text, parse_float=Real))
        except Mismatch as mismatch:
            raise AssertionError(f"GET {path}: {mismatch}") from None

    def Found(self, **params):
        """Last digits of the ids, in order."""
        answer = self.Ask("/api/traces", TRACES, params={"service": "web", "lookback": "1h", **params})
        self.assertTrue(all(trace["spans"] for trace in answer["data"]))
        return "".join(trace["traceID"][-1] for trace in answer["data"])

    def ThreeTraces(self):
        """1: web calls db/main, which fails; 2: slow; 3: the newest."""
        self.ids = [f"{number:032x}" for number in (0xAB0001, 0xAB0002, 0xAB0003)]
        one, two, three = self.ids
        start = self.now - 60_000 * MS
        self.Post(
            Resource("web", OtlpSpan(one, "00000000000000a1", "GET /", start, 40 * MS, kind=2, attributes=[
                Attribute("color", stringValue="red"), Attribute("big", intValue=str(2**53 + 1)), Attribute("small", intValue="7"),
                Attribute("whole", doubleValue=2.0), Attribute("yes", boolValue=True),
                Attribute("list", arrayValue={"values": [{"intValue": "1"}]})],
                events=[{"timeUnixNano": str(start + MS), "name": "cache miss", "attributes": [Attribute("slot", intValue="3")]}],
                links=[{"traceId": three, "spanId": "00000000000000a4"}])),
            Resource("db/main", OtlpSpan(one, "00000000000000a2", "query", start + 5 * MS, 20 * MS, "00000000000000a1", kind=2,
                                         status={"code": 2, "message": "deadlock"})),
            Resource("web", OtlpSpan(two, "00000000000000a3", "GET /", start + 1000 * MS, 900 * MS, kind=2)),
            Resource("web", OtlpSpan(three, "00000000000000a4", "tick", start + 2000 * MS, MS)))

    def testAsGrafanaAsks(self):
        self.assertEqual(self.Ask("/api/services", NAMES)["data"], [])
        self.ThreeTraces()
        # Its health check, and the lists of the query editor.
        self.assertEqual(self.Ask("/api/services", NAMES)["data"], ["db/main", "web"])
        for path in ("/api/services/db%2Fmain/operations", "/api/services/db/main/operations"):
            self.assertEqual(self.Ask(path, NAMES)["data"], ["query"])
        self.assertEqual(self.Ask("/api/services/web/operations", NAMES)["data"], ["GET /", "tick"])
        # Search: us, tags as JSON, Go's durations.
        window = {"start": (self.now - 3_600_000 * MS) // 1000, "end": self.now // 1000}
        for params, ids in (({}, "321"), ({"limit": 1}, "3"), ({"operation": "GET /"}, "21"),
                            ({"tags": '{"color":"red"}'}, "1"), ({"tags": '{"color":"red","small":"7"}'}, "1"),
                            ({"tags": '{"error":"true"}'}, ""), ({"service": "db/main", "tags": '{"error":"true"}'}, "1"),
                            ({"tag": ["yes:true", "span.kind:server"]}, "1"), ({"minDuration": "500ms"}, "2"),
                            ({"maxDuration": "1.5ms"}, "3"), ({"minDuration": "30ms", "maxDuration": "1s"}, "21"),
                            ({"service": "nobody"}, "")):
            with self.subTest(params):
                self.assertEqual(self.Found(**window, **params), ids)
        # One trace; times in ms if "time params" are on; the id with and without leading zeros.
        for path in (f"/api/traces/{self.ids[0]}", f"/api/traces/{self.ids[0]}?start={self.now // MS}&end={self.now // MS}",
                     "/api/traces/ab0001"):
            answer = self.Ask(path, TRACES)
            self.assertEqual([trace["traceID"] for trace in answer["data"]], self.ids[:1])
        self.CheckFirstTrace(answer["data"][0])
        self.assertEqual(self.Ask("/api/traces/77", ERROR, 404)["errors"], [{"code": 404, "msg": "trace not found"}])
        # The node graph of services. Calls are counted when their trace is complete.
        params = {"endTs": self.now // MS, "lookback": 24 * 3_600_000}
        links = harness.wait_until(lambda: self.Ask("/api/dependencies", DEPENDENCIES, params=params)["data"], "dependencies")
        self.assertEqual(links, [{"parent": "web", "child": "db/main", "callCount": 1}])

    def CheckFirstTrace(self, trace):
        self.assertEqual({process["serviceName"] for process in trace["processes"].values()}, {"web", "db/main"})
        root, child = trace["spans"]
        self.assertEqual((root["startTime"], root["duration"]), ((self.now - 60_000 * MS) // 1000, 40_000))
        tags = {tag["key"]: (tag["type"], tag["value"]) for tag in root["tags"]}
        for key, want in (("color", ("string", "red")), ("big", ("int64", "9007199254740993")), ("small", ("int64", 7)),
                          ("whole", ("float64", 2.0)), ("yes", ("bool", True)), ("list", ("string", "[1]")),
                          ("span.kind", ("string", "server")), ("otel.scope.name", ("string", "lib"))):
            self.assertEqual(tags[key], want)
        self.assertEqual(root["logs"][0]["fields"], [{"key": "event", "type": "string", "value": "cache miss"},
                                                     {"key": "slot", "type": "int64", "value": 3}])
        self.assertEqual(root["references"], [{"refType": "FOLLOWS_FROM", "traceID": self.ids[2], "spanID": "00000000000000a4"}])
        self.assertEqual(child["references"], [{"refType": "CHILD_OF", "traceID": self.ids[0], "spanID": root["spanID"]}])
        tags = {tag["key"]: tag["value"] for tag in child["tags"]}
        self.assertEqual((tags["error"], tags["otel.status_code"], tags["otel.status_description"]), (True, "ERROR", "deadlock"))

    def testAsJaegerUiAsks(self):
        self.ThreeTraces()
        self.assertEqual(self.Ask("/api/v3/services", {"services": [str]})["services"], ["db/main", "web"])
        operations = self.Ask("/api/v3/operations?service=web", {"operations": [{"name": str, "spanKind": str}]})["operations"]
        self.assertEqual(operations, [{"name": "GET /", "spanKind": "server"}, {"name": "tick", "spanKind": "internal"}])

        def Iso(ns):
            return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ns // 10**9)) + f".{ns // MS % 1000:03d}Z"

        window = (Iso(self.now - 3_600_000 * MS), Iso(self.now))
        for names in (("query.serviceName", "query.startTimeMin", "query.startTimeMax", "query.searchDepth"),
                      ("query.service_name", "query.start_time_min", "query.start_time_max", "query.num_traces")):
            search = dict(zip(names, ("web", *window, "20")))
            found = self.Ask("/api/v3/trace-summaries", SUMMARIES, params=search)["summaries"]
            self.assertEqual([trace["traceId"] for trace in found], self.ids[::-1])
            self.assertEqual((found[2]["spanCount"], found[2]["errorSpanCount"], found[2]["rootOperationName"]), (2, 1, "GET /"))
            self.assertEqual(int(found[2]["maxEndTimeUnixNano"]) - int(found[2]["minStartTimeUnixNano"]), 40 * MS)
            red = self.Ask("/api/v3/trace-summaries", SUMMARIES, params={**search, "query.attributes": '{"color":"red"}'})
            self.assertEqual([trace["traceId"] for trace in red["summaries"]], self.ids[:1])
            self.CheckOtlp(self.Ask("/api/v3/traces", {"result": {"resourceSpans": list}}, params=search), self.ids)
        self.CheckOtlp(self.Ask(f"/api/v3/traces/{self.ids[0]}", {"result": {"resourceSpans": list}}), self.ids[:1])
        self.Ask("/api/v3/traces/77", V3_ERROR, 404)
        self.Ask("/api/v3/traces?query.serviceName=web", V3_ERROR, 400)
        self.Ask("/api/v3/trace-summaries", V3_ERROR, 400, {**search, "query.num_traces": "0"})
        # The trace page, the compare page, and the search of older ones.
        self.CheckFirstTrace(self.Ask(f"/api/traces/{self.ids[0]}", TRACES)["data"][0])
        answer = self.Ask("/api/traces", TRACES, params={"traceID": [self.ids[1], "77"]})
        self.assertEqual([trace["traceID"] for trace in answer["data"]], self.ids[1:2])
        self.assertEqual([error["traceID"] for error in answer["errors"]], [f"{0x77:032x}"])
        operations = self.Ask("/api/operations?service=web&spanKind=server", OPERATIONS)["data"]
        self.assertEqual(operations, [{"name": "GET /", "spanKind": "server"}])

    def CheckOtlp(self, answer, ids):
        spans = [span for resource in answer["result"]["resourceSpans"] for scope in resource["scopeSpans"]
                 for span in scope["spans"]]
        self.assertEqual({span["traceId"] for span in spans}, set(ids))
        for span in spans:
            Check(HEX16, span["spanId"])
            Check(NANOS, span["startTimeUnixNano"])
            self.assertIs(type(span["kind"]), int)

    def testTheMonitorTab(self):
        self.ThreeTraces()
        base = {"service": "web", "lookback": 3_600_000, "step": 60_000, "ratePer": 600_000, "spanKind": "server"}
        # What arrived within the millisecond that is asked for may not show yet.
        harness.wait_until(lambda: self.Ask("/api/metrics/calls", FAMILY, params=base)["metrics"], "figures")
        base["endTs"] = time.time_ns() // MS
        for kind, name, more in (("latencies", "latencies", {"quantile": 0.95}), ("calls", "call_rate", {}),
                                 ("errors", "error_rate", {})):
            family = self.Ask(f"/api/metrics/{kind}", FAMILY, params={**base, **more})
            self.assertEqual(family["name"], f"service_{name}")
            self.assertEqual([metric["labels"] for metric in family["metrics"]], [[{"name": "service_name", "value": "web"}]])
            last = family["metrics"][0]["metricPoints"][-1]["gaugeValue"]["doubleValue"]
            grouped = self.Ask(f"/api/metrics/{kind}", FAMILY, params={**base, **more, "groupByOperation": "true"})
            self.assertEqual(grouped["name"], f"service_operation_{name}")
            self.assertEqual([metric["labels"] for metric in grouped["metrics"]],
                             [[{"name": "operation", "value": "GET /"}, {"name": "service_name", "value": "web"}]])
            if kind == "latencies":
                self.assertTrue(850 < last < 950, f"ms: {last}")
            else:
                self.assertTrue(0 < last <= 2 if kind == "calls" else last == 0, last)
        self.Ask("/api/metrics/minstep", Envelope(int))
        self.Ask("/api/metrics/latencies", ERROR, 400, base)
        self.Ask("/api/metrics/calls", ERROR, 400)

    def testALargeAnswerIsWhole(self):
        ids = [f"{number:032x}" for number in range(1, 201)]
        for trace in ids:
            spans = [OtlpSpan(trace, f"{span:016x}", f"step-{span % 5}", self.now - 10_000 * MS, MS, f"{1:016x}" if span > 1 else "",
                              attributes=[Attribute("text", stringValue="words " * 20)]) for span in range(1, 31)]
            self.Post(Resource("web", *spans))
        answer = self.Ask("/api/traces", TRACES, params={"service": "web", "limit": 1500})
        self.assertEqual({trace["traceID"] for trace in answer["data"]}, set(ids))
        self.assertEqual({len(trace["spans"]) for trace in answer["data"]}, {30})

    def testHostileQuestions(self):
        self.ThreeTraces()
        for params in ({"limit": "0"}, {"limit": "-1"}, {"limit": "99999999999"}, {"start": "1e3"}, {"end": "9" * 40},
                       {"minDuration": "1"}, {"maxDuration": "-1s"}, {"minDuration": "2s", "maxDuration": "1s"}, {"tag": "x"},
                       {"tags": "[" * 2000}, {"tags": '{"a":' * 500}, {"tags": '{"a":1}'}, {"tags": b'{"a":"\xff"}'},
                       {"traceID": "zz"}):
            with self.subTest(str(params)[:60]):
                errors = self.Ask("/api/traces", ERROR, 400, {"service": "web", **params})["errors"]
                self.assertEqual([error["code"] for error in errors], [400])
        self.Ask("/api/traces", ERROR, 400)
        self.assertEqual(self.Found(start="-9223372036854775808", end="9223372036854775807"), "321")
        self.assertEqual(self.Found(operation=b"\xff\xfe\x00"), "")
        self.assertEqual(self.Ask("/api/services/%FF%00/operations", NAMES)["data"], [])
        self.Ask("/api/traces/" + "f" * 33, ERROR, 400)
        self.Ask("/api/metrics/calls", ERROR, 400, {"service": "web", "step": 1, "lookback": 10**12})
        self.assertEqual(self.Found(), "321", "still there")


if __name__ == "__main__":
    unittest.main()
