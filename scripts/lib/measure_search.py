"""The part `search` of scripts/bench: how long a search over a full store takes, and what a large trace costs to show and to
analyse, from the request to the last byte of the answer."""
import json
import statistics
import time
import urllib.request

import harness

TRACES, SPANS, LARGE = 2000, 8, 10_000
TIMES = 31
QUERIES = ["", "?limit=1000", "?operation=Conversation.step3&service=service-1", "?tag=attribute.key.3:value-of-some-length-5",
           "?tag=attribute.key.3:nope&tag=attribute.key.9:nope&tag=resource.host:nope", "?error=timeout"]


def Span(trace, number, start_ns):
    start = start_ns + number * 1_000_000
    span = {"traceId": f"{trace:032x}", "spanId": f"{trace << 20 | number:016x}", "name": f"Conversation.step{number % 20}",
            "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + (1 + number % 50) * 1_000_000),
            "attributes": [{"key": f"attribute.key.{i}", "value": {"stringValue": f"value-of-some-length-{(trace * 31 + number * 7 + i) % 97}"}}
                           for i in range(4 + number % 7)]}
    if number > 1:
        span["parentSpanId"] = f"{trace << 20 | 1 + number * 7919 % (number - 1):016x}"
    if number % 37 == 0:
        span["status"] = {"code": 2, "message": "no answer"}
    return span


def Post(url, service, spans):
    body = {"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
                               "scopeSpans": [{"spans": spans}]}]}
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def Median(sidecar, path, times=TIMES):
    """(ms, bytes)"""
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        text = sidecar.Get(path)
        taken.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(taken), len(text)


def Measure(bench, say):
    port = harness.FreePort()
    sidecar = bench.Sidecar(sets=[f"otlp.listen=127.0.0.1:{port}"])
    url, start_ns = f"http://127.0.0.1:{port}/v1/traces", time.time_ns() - 60 * 10**9
    for begin in range(1, TRACES, 100):
        Post(url, f"service-{begin // 100 % 5}", [Span(trace, number, start_ns) for trace in range(begin, begin + 100)
                                                  for number in range(1, SPANS + 1)])
    slowest = max((Median(sidecar, "/api/v1/traces" + query)[0], query) for query in QUERIES if "limit" not in query)
    most, size = Median(sidecar, "/api/v1/traces?limit=1000")
    say("search_2k_ms", slowest[0], "ms", f"journal off, {slowest[1] or 'without conditions'}; with limit=1000 ({size >> 10} KiB) {most:.3g} ms")
    large = TRACES + 1
    Post(url, "service-1", [Span(large, number, start_ns) for number in range(1, LARGE + 1)])
    for name, suffix in (("trace_10k_ms", ""), ("analysis_10k_ms", "/analysis")):
        taken, size = Median(sidecar, f"/api/v1/traces/{large:032x}{suffix}", 11)
        say(name, taken, "ms", f"journal off, {size / (1 << 20):.2g} MiB")
    sidecar.Stop()
