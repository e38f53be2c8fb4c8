"""What scripts/bench does after the build: runs the programs of tests/bench, pins sidecar and generator to cores of their own,
reads CPU times and memory from /proc, prints `name value unit`, then what is off and how it was measured."""
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/e2e"))
import harness  # noqa: E402

# name: (part, budget in words)
FIGURES = {
    "sdk_floor_ns": ("sdk", "two rdtsc, an id, a 128-byte record into the same ring: what the others are compared with"),
    "sdk_span_ns": ("sdk", "<= 1.5 x sdk_floor_ns"),
    "sdk_span_4tags_ns": ("sdk", "<= 2.2 x sdk_floor_ns"),
    "sdk_off_ns": ("sdk", "<= 2"),
    "sdk_unsampled_ns": ("sdk", "<= 1.2 x sdk_floor_ns"),
    "sdk_allocs_per_span": ("sdk", "0"),
    "sdk_drops": ("sdk", "0: in the paced figures above"),
    "sdk_free_ns": ("sdk", "free-running: no budget"),
    "sdk_free_drop_ratio": ("sdk", "free-running: no budget"),
    "sdk_cpu_ns_per_delivered_span": ("sdk", "<= 400, with 3 tags"),
    "sdk_rss_mib": ("sdk", "< 10: growth of the traced program with a dead sidecar"),
    "ingest_floor_spans_per_s": ("ingest", "receive and decode only: what the next is compared with"),
    "ingest_spans_per_s": ("ingest", ">= 40 % of ingest_floor_spans_per_s"),
    "ingest_cpu_s_per_million": ("ingest", "<= 0.5"),
    "alert_p50_ms": ("alert", "span end to Discord request, 10,000 spans/s behind it: no budget"),
    "alert_p99_ms": ("alert", "<= 50"),
    "scrape_20k_ms": ("scrape", "<= 10"),
    "scrape_stall_ms": ("scrape", "<= 2"),
    "scrape_dripping_p50_ms": ("drip", "/metrics behind 500 sockets that drip their requests: no budget"),
    "scrape_dripping_p99_ms": ("drip", "<= 50"),
    "rss_idle_mib": ("rss", "<= 30, anonymous memory"),
    "rss_10k_mib": ("rss", "<= 64, at 10,000 spans/s with 2000 traces"),
    "store_cost_ratio_1m": ("store", "<= 1.5"),
}
PARTS = ["sdk", "ingest", "alert", "scrape", "drip", "rss", "store"]
CORES = sorted(os.sched_getaffinity(0))
GENERATOR_CORE, SIDECAR_CORE = CORES[0], CORES[-1]
ALERTS = 100
INGEST_SPANS = 8_000_000


def Say(name, value, unit, note=""):
    print(f"{name} {value:.6g} {unit}" + (f" {note}" if note else ""), flush=True)


def Fail(text):
    print(f"scripts/bench: {text}", file=sys.stderr, flush=True)
    sys.exit(1)


def Binary(name):
    path = os.path.join(harness.BUILD, "bin", name)
    if not os.access(path, os.X_OK):
        Fail(f"{path} is not built")
    return path


def Relay(name, *arguments):
    """Runs a program that prints `name value unit` lines itself."""
    if subprocess.run([Binary(name), *arguments], stdin=subprocess.DEVNULL, check=False).returncode != 0:
        Fail(f"{name} failed")


def CpuSeconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def Pin(process, core):
    for thread in os.listdir(f"/proc/{process.pid}/task"):
        os.sched_setaffinity(int(thread), {core})


class Bench(harness.TestCase):
    """Borrows the tests' way to start things; no test itself."""

    def Load(self, rate=0, seconds=0, spans=0, core=None):
        command = [Binary("ingest-load"), "--endpoint", self.endpoint]
        for flag, value in (("--rate", rate), ("--seconds", seconds), ("--spans", spans)):
            command += [flag, str(value)] if value else []
        if core is not None:
            command = ["taskset", "-c", str(core), *command]
        return self.Start(command, name="ingest-load")

    def LoadAll(self, spans):
        load = self.Load(spans=spans, core=GENERATOR_CORE)
        if load.Wait(300) != 0:
            Fail(f"ingest-load failed\n{load.Output()}")

    # --- ingest ---------------------------------------------------------------------------------------------------------

    def MeasureIngest(self):
        floor = self.Floor()
        sidecar = self.Sidecar(rules=os.path.join(harness.ROOT, "rules/*.yaml"))
        Pin(sidecar, SIDECAR_CORE)
        self.LoadAll(500_000)
        before, applied = CpuSeconds(sidecar.pid), sidecar.Stats()["spansApplied"]
        begin = time.monotonic()
        self.LoadAll(INGEST_SPANS)
        seconds = time.monotonic() - begin
        spans = sidecar.Stats()["spansApplied"] - applied
        cpu = CpuSeconds(sidecar.pid) - before
        per_second = spans / cpu  # of one core: the sidecar's CPU seconds, not the generator's pace
        Say("ingest_floor_spans_per_s", floor, "spans/s", "receive and decode only, per CPU second")
        Say("ingest_spans_per_s", per_second, "spans/s",
            f"journal off, per CPU second, {100 * per_second / floor:.0f} % of the floor, {spans / seconds:.3g} in a second of time")
        Say("ingest_cpu_s_per_million", cpu / spans * 1e6, "s", "journal off")
        sidecar.Stop()

    def Floor(self):
        receiver = self.Start(["taskset", "-c", str(SIDECAR_CORE), Binary("ingest-floor"), "--endpoint", self.endpoint])
        self.LoadAll(INGEST_SPANS)
        cpu = CpuSeconds(receiver.pid)
        receiver.Stop()
        return INGEST_SPANS / cpu

    # --- from a span's end to Discord -------------------------------------------------------------------------------------

    def MeasureAlert(self):
        discord = self.Discord(rate_limit=False)
        self.Sidecar(rules=os.path.join(harness.ROOT, "rules/*.yaml"), discord=discord.url, sets=["route.group_interval=1s"])
        load = self.Load(rate=10_000, seconds=ALERTS * 2)
        source = self.Start([Binary("alert-source"), self.endpoint, str(ALERTS)])
        if source.Wait(ALERTS * 3) != 0:
            Fail(f"alert-source failed\n{source.Output()}")
        ends = dict(line.split() for line in source.lines)
        latencies = []
        for operation, end in ends.items():
            pattern = re.compile(rf"\b{operation}\b")
            request = harness.wait_until(lambda: next((r for r in discord.requests if r.method == "POST" and pattern.search(r.body)), None),
                                         f"the card of {operation}", 30)
            latencies.append((request.arrived_wall_ns - int(end)) / 1e6)
        load.Stop()
        latencies.sort()
        note = f"journal off, outbox off, {len(latencies)} alerts, 10,000 spans/s behind"
        Say("alert_p50_ms", latencies[len(latencies) // 2], "ms", note)
        Say("alert_p99_ms", latencies[min(len(latencies) - 1, len(latencies) * 99 // 100)], "ms", note)

    # --- slow clients -------------------------------------------------------------------------------------------------------

    def MeasureDrip(self):
        sidecar = self.Sidecar(rules=os.path.join(harness.ROOT, "rules/*.yaml"))
        times = []
        with harness.Drippers(sidecar.port, 500) as drippers:
            for _ in range(300):
                drippers.Drip()
                begin = time.monotonic()
                sidecar.Get("/metrics")
                times.append((time.monotonic() - begin) * 1e3)
            note = f"journal off, 300 scrapes behind {drippers.Alive()} dripping sockets"
        times.sort()
        Say("scrape_dripping_p50_ms", times[len(times) // 2], "ms", note)
        Say("scrape_dripping_p99_ms", times[len(times) * 99 // 100], "ms", note)

    # --- memory -----------------------------------------------------------------------------------------------------------

    def MeasureRss(self):
        sidecar = self.Sidecar(rules=os.path.join(harness.ROOT, "rules/*.yaml"))
        sidecar.Get("/metrics")
        Say("rss_idle_mib", sidecar.AnonymousMemory() / (1 << 20), "MiB", "journal off, anonymous")
        load = self.Load(rate=10_000, seconds=45)
        highest = 0
        while load.Running():
            highest = max(highest, sidecar.AnonymousMemory())
            time.sleep(0.2)
        stats = sidecar.Stats()
        Say("rss_10k_mib", highest / (1 << 20), "MiB",
            f"journal off, anonymous, the highest of 45 s, {stats['totalTraces']} traces with {stats['totalSpans']} spans stored")

    # --- the parts --------------------------------------------------------------------------------------------------------

    def Part(self, name):
        if name == "sdk":
            Relay("sdk_bench")
        elif name == "scrape":
            Relay("scrape_bench")
        elif name == "store":
            Relay("store-bench")
        else:
            {"ingest": self.MeasureIngest, "alert": self.MeasureAlert, "drip": self.MeasureDrip, "rss": self.MeasureRss}[name]()


def Help():
    width = max(map(len, FIGURES))
    print("\nnames, with their part and budget:")
    for name, (part, budget) in FIGURES.items():
        print(f"  {name:{width}}  {part:6}  {budget}")


def main():
    names = [name for name in sys.argv[1:] if name not in ("--help", "-h")]
    if len(names) != len(sys.argv) - 1:
        Help()
        return 0
    for name in names:
        if name not in FIGURES and name not in PARTS:
            Fail(f"no figure or part '{name}'; scripts/bench --help lists them")
    wanted = {FIGURES[name][0] if name in FIGURES else name for name in names} or set(PARTS)
    for part in PARTS:
        if part not in wanted:
            continue
        bench = Bench()
        bench.setUp()
        try:
            bench.Part(part)
        finally:
            bench.doCleanups()
    return 0


if __name__ == "__main__":
    sys.exit(main())
