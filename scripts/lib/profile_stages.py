"""Where the sidecar's nanoseconds go: `scripts/bench profile`. Samples a loaded sidecar with perf (cpu-clock, no hardware
counters needed), groups the samples by thread and function, and prints nanoseconds a span for each stage."""
import collections
import re
import shutil
import subprocess

# Of the thread that runs the engine: the first pattern that fits a function's name.
STAGES = [
    ("receive", r"^\[k\]|^zmq"),
    ("decode", r"Otlp|DecodeKeyValue|DecodeValue|AnyValue|protozero|Utf8|TraceState|ingest::.*(Batch|Attribute|Span)"),
    ("journal", r"Journal|AppendRecord|RecordChecksum|XXH|Recorder"),
    ("acknowledge", r"Answer|Envelope|Connections|Ledger|ingest::"),
    ("rules", r"Alerts|Rule|Matcher|Incident|Window|RE2|re2::"),
    ("statistics", r"Statistics|Sketch|Series|Exemplar|Histogram|Overview|Errors|Graph"),
    ("intern", r"Catalog|Intern|Strings|Names"),
    ("store", r"TraceStore|Trace|Detail|WriteAttributes|Arena|Pool|Codec"),
    ("engine", r"Engine|core::"),
    ("receive", r"RouterSocket|vdso|clock_gettime|eventfd|poll"),
]
NAMES = {
    "receive": "ZeroMQ's thread, its side of the engine's thread, system calls",
    "decode": "envelope's payload to span views",
    "intern": "names to numbers",
    "store": "traces: find, link, keep, evict",
    "statistics": "counts, sketches, series",
    "rules": "events and windows",
    "engine": "what ties them together",
    "journal": "copy, checksum, the writer's thread",
    "acknowledge": "ledger, answers",
    "memory": "copying, comparing, allocating, by all of them",
}


def StageOf(symbol):
    for stage, pattern in STAGES:
        if re.search(pattern, symbol):
            return stage
    return "memory"


def Read(data):
    """{stage: samples}"""
    text = subprocess.run(["perf", "script", "-i", data, "-F", "comm,tid,ip,sym"], capture_output=True, text=True, check=True).stdout
    rows = []
    for line in text.splitlines():
        match = re.match(r"\s*(.+?)\s+(\d+)\s+([0-9a-f]+)\s+(.*)$", line)
        if match:
            comm, tid, address, symbol = match.groups()
            rows.append((tid, comm, "[k] " + symbol if address.startswith("ffff") else symbol))
    by_thread = collections.Counter()
    for tid, _, symbol in rows:
        by_thread[tid] += "spanwatch::core::" in symbol
    if not rows:
        return {}
    engine = by_thread.most_common(1)[0][0]
    stages = collections.Counter()
    for tid, comm, symbol in rows:
        stages[StageOf(symbol) if tid == engine else "receive" if comm.startswith("ZMQ") else "journal"] += 1
    return stages


def Measure(bench, say, spans):
    """`bench`: a Bench with nothing started yet."""
    if shutil.which("perf") is None:
        print("scripts/bench: no perf here (Debian: linux-perf); the profile is left out")
        return
    sidecar = bench.PinnedSidecar()
    bench.LoadAll(spans=500_000)
    plain, _, applied = bench.Cost(sidecar, spans=spans)
    data = bench.Path("perf.data")
    perf = bench.Start(["perf", "record", "-e", "cpu-clock", "-F", "1999", "-o", data, "-p", str(sidecar.pid)], name="perf")
    bench.Cost(sidecar, spans=spans)
    perf.Signal(2)
    perf.Wait()
    stages = Read(data)
    total = sum(stages.values())
    if total == 0:
        print("scripts/bench: perf saw nothing (kernel.perf_event_paranoid?); the profile is left out")
        return
    nanoseconds = plain / applied * 1e9
    say("profile_total_ns", nanoseconds, "ns", f"CPU time a span, everything on; {total} samples")
    for stage, note in NAMES.items():
        say(f"profile_{stage}_ns", nanoseconds * stages[stage] / total, "ns", note)
    sidecar.Stop()
