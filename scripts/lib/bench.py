"""What scripts/bench does after the build: runs the programs of tests/bench, pins sidecar and generator to cores of their own,
reads CPU times and memory from /proc, prints `name value unit`, then what is off and how it was measured."""
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/e2e"))
import harness  # noqa: E402
import measure_search  # noqa: E402
import measure_storm  # noqa: E402
import profile_stages  # noqa: E402

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
    "sdk_free_spans_per_s": ("sdk", "free-running, ended by one thread: no budget"),
    "sdk_free_drop_ratio": ("sdk", "free-running: no budget"),
    "sdk_cpu_ns_per_delivered_span": ("sdk", "<= 400, with 3 tags"),
    "sdk_floor_instructions": ("sdk", "of the traced thread, by callgrind, where valgrind is installed: no budget, but no noise either"),
    "sdk_span_instructions": ("sdk", "the same"),
    "sdk_span_4tags_instructions": ("sdk", "the same"),
    "sdk_unsampled_instructions": ("sdk", "the same"),
    "sdk_off_instructions": ("sdk", "the same"),
    "redact_3tags_ns": ("sdk", "what redaction adds to a span's encoding in the sender, by what the span carries: no budget"),
    "redact_3texts_ns": ("sdk", "the same"),
    "redact_3keys_ns": ("sdk", "the same"),
    "redact_log_ns": ("sdk", "the same"),
    "sdk_rss_mib": ("sdk", "< 10: growth of the traced program with a dead sidecar"),
    "ingest_floor_spans_per_s": ("ingest", "receive and decode only: what the next is compared with"),
    "ingest_spans_per_s": ("ingest", ">= 40 % of ingest_floor_spans_per_s; everything on, with the journal"),
    "ingest_cpu_s_per_million": ("ingest", "<= 0.5, with the journal; one producer, 4 attributes a span, 320 spans a batch"),
    "ingest_no_journal_spans_per_s": ("ingest", "beside it, memory only: no budget"),
    "ingest_no_journal_cpu_s_per_million": ("ingest", "<= 0.5"),
    "ingest_16_producers_cpu_s_per_million": ("ingest", "<= 0.6"),
    "ingest_20_attributes_cpu_s_per_million": ("ingest", "<= 1.5"),
    "ingest_small_batches_cpu_s_per_million": ("ingest", "10 spans a batch: <= 1.5"),
    "ingest_large_batches_cpu_s_per_million": ("ingest", "500 spans a batch: <= 0.5"),
    "ingest_journal_bytes_per_span": ("startup", "with 4 attributes: no budget"),
    "applied_1_p50_ms": ("applied", "send to acknowledgement with the journal, at 1 % of the maximum: no budget"),
    "applied_1_p99_ms": ("applied", "<= 20"),
    "applied_50_p50_ms": ("applied", "at 50 %: no budget"),
    "applied_50_p99_ms": ("applied", "<= 50"),
    "applied_100_p50_ms": ("applied", "as fast as acknowledged, 1 MiB on its way: no budget"),
    "applied_100_p99_ms": ("applied", "<= 200"),
    "overload_rss_mib": ("overload", "<= 110: anonymous memory at 150 % of the maximum, store full"),
    "overload_lost_ratio": ("overload", "what was offered and lost, counted to the unit: no budget"),
    "startup_ms": ("startup", "<= 2000: from the start to /readyz with a journal of 256 MiB"),
    "startup_spans_per_s": ("startup", "folded: no budget"),
    "profile_total_ns": ("profile", "a span's CPU time and where it goes, by perf: no budget, only when asked for"),
    "alert_p50_ms": ("alert", "span end to Discord request, 10,000 spans/s behind it: no budget"),
    "alert_p99_ms": ("alert", "<= 50"),
    "storm_one_group_messages": ("storm", "<= 4: 1,000 alerts of one group in a second; 3, and one for the rest"),
    "storm_one_group_told_s": ("storm", "until the messages tell of all 1,000: no budget"),
    "storm_own_groups_messages": ("storm", "<= 11: 1,000 alerts of a group each; the receiver's 10, and one for the rest"),
    "storm_own_groups_told_s": ("storm", "until the messages tell of all 1,000, at Discord's 5 requests in 2 s: no budget"),
    "scrape_20k_ms": ("scrape", "<= 10"),
    "scrape_stall_ms": ("scrape", "<= 2"),
    "scrape_dripping_p50_ms": ("drip", "/metrics behind 500 sockets that drip their requests: no budget"),
    "scrape_dripping_p99_ms": ("drip", "<= 50"),
    "search_2k_ms": ("search", "<= 10, over HTTP: 2000 traces of 8 spans with 4-10 tags, the slowest of six queries"),
    "trace_10k_ms": ("search", "<= 200, over HTTP: all of a trace of 10,000 spans"),
    "analysis_10k_ms": ("search", "<= 200, over HTTP: its analysis"),
    "rss_idle_mib": ("rss", "<= 30, anonymous memory"),
    "rss_10k_mib": ("rss", "<= 64, at 10,000 spans/s with 2000 traces"),
    "store_cost_ratio_1m": ("store", "<= 1.5"),
    "rules_hold_max_ms": ("rules", "<= 1: the engine's mutex, 10,000 groups of window rules evaluated each second"),
    "rules_hold_p99_ms": ("rules", "beside it: no budget"),
    "rules_evaluation_ns": ("rules", "CPU time of one group's evaluation: no budget"),
    "hold_large_trace_max_ms": ("rules", "<= 1: the engine's mutex, while a trace of 100,000 spans comes and completes"),
    "hold_many_traces_max_ms": ("rules", "<= 1: 200 traces of 500 spans complete at once"),
    "hold_ill_services_max_ms": ("rules", "<= 1: a thousand services are critical"),
    "hold_processes_max_ms": ("rules", "<= 1: a thousand processes tell of themselves each second"),
    "hold_reload_same_max_ms": ("rules", "<= 1: a reload with 10,000 groups, nothing changed"),
    "hold_reload_changed_max_ms": ("rules", "<= 1: a reload that changes their rule"),
    "hold_reload_less_room_max_ms": ("rules", "<= 1: a reload that leaves room for 100 of 10,000 traces"),
}
PARTS = ["sdk", "ingest", "applied", "overload", "startup", "profile", "alert", "storm", "scrape", "drip", "search", "rss", "store", "rules"]
CORES = sorted(os.sched_getaffinity(0))
GENERATOR_CORE, SIDECAR_CORE = CORES[0], CORES[-1]
ALERTS = 100
ROUND_SPANS = 2_000_000
INGEST_ROUNDS = 5
SHAPE_SPANS = 2_000_000
JOURNAL_MIB = 256


def Say(name, value, unit, note=""):
    print(f"{name} {value:.6g} {unit}" + (f" {note}" if note else ""), flush=True)


def Median(values):
    return statistics.median(values)


def Range(values):
    values = list(values)
    return f"{min(values):.3g} to {max(values):.3g}"


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


def CountInstructions():
    """Of the traced thread, per span: callgrind counts in the measured functions alone."""
    if shutil.which("valgrind") is None:
        print("sdk_*_instructions are left out: valgrind is not installed")
        return
    for kind in ("floor", "span", "span_4tags", "unsampled", "off"):
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*Measured*", Binary("sdk_bench"), "count", kind]
        result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        found = re.search(r"Collected\s*:\s*(\d+)", result.stderr)
        if result.returncode != 0 or not found:
            Fail(f"sdk_bench count {kind} failed\n{result.stderr}")
        Say(f"sdk_{kind}_instructions", int(found.group(1)) / 20_000, "instructions", "of the traced thread, a span")


class Bench(harness.TestCase):
    """Borrows the tests' way to start things; no test itself."""

    def Load(self, core=None, endpoint=None, **flags):
        """ingest-load with its flags, underscores for dashes."""
        command = [Binary("ingest-load"), "--endpoint", endpoint or self.endpoint]
        for flag, value in flags.items():
            command += ["--" + flag.replace("_", "-"), f"{value:g}" if isinstance(value, float) else str(value)]
        if core is not None:
            command = ["taskset", "-c", str(core), *command]
        return self.Start(command, name="ingest-load")

    def LoadAll(self, **flags):
        """Its figures, when all was acknowledged."""
        load = self.Load(core=GENERATOR_CORE, **flags)
        if load.Wait(300) != 0:
            Fail(f"ingest-load failed\n{load.Output()}")
        return {name: float(value) for name, value, _ in (line.split() for line in load.lines)}

    def PinnedSidecar(self, journal=True):
        sets = [f"state_dir={self.Path('state')}"] if journal else []
        sidecar = self.Sidecar(rules=os.path.join(harness.ROOT, "rules/*.yaml"), sets=sets)
        Pin(sidecar, SIDECAR_CORE)
        return sidecar

    def JournalBytes(self):
        size = 0
        for folder, _, names in os.walk(self.Path("state")):
            size += sum(os.stat(os.path.join(folder, name)).st_blocks * 512 for name in names)
        return size

    def DropState(self):
        shutil.rmtree(self.Path("state"), ignore_errors=True)

    # --- ingest ---------------------------------------------------------------------------------------------------------

    def MeasureIngest(self):
        # In turns, as the speed of a machine that is shared changes by a fifth within minutes: the median of the rounds.
        floors = {"ingest": [], "ingest_no_journal": []}
        costs, paces = {}, {}
        for prefix, taken in floors.items():
            sidecar = self.PinnedSidecar(journal=prefix == "ingest")
            self.LoadAll(spans=500_000)
            costs[prefix], paces[prefix] = [], []
            for _ in range(INGEST_ROUNDS):
                taken.append(self.Floor())
                cpu, seconds, spans = self.Cost(sidecar, spans=ROUND_SPANS)
                costs[prefix].append(cpu / spans * 1e6)
                paces[prefix].append(spans / seconds)
            if prefix == "ingest":
                self.Shapes(sidecar)
            sidecar.Stop()
            self.DropState()
        everything = [each for taken in floors.values() for each in taken]
        Say("ingest_floor_spans_per_s", Median(everything), "spans/s",
            f"receive and decode only, per CPU second; median of {len(everything)} rounds, {Range(everything)}")
        for prefix, taken in floors.items():
            # of one core: the sidecar's CPU seconds, not the generator's pace
            shares = [100e6 / cost / floor for cost, floor in zip(costs[prefix], taken)]
            Say(f"{prefix}_spans_per_s", 1e6 / Median(costs[prefix]), "spans/s",
                f"per CPU second, {Median(shares):.0f} % of the floor ({Range(shares)}), {Median(paces[prefix]):.3g} in a second of time")
            Say(f"{prefix}_cpu_s_per_million", Median(costs[prefix]), "s", f"median of {INGEST_ROUNDS} rounds, {Range(costs[prefix])}")

    def Cost(self, sidecar, **flags):
        """(CPU seconds, seconds, spans applied)"""
        before, applied, begin = CpuSeconds(sidecar.pid), sidecar.Stats()["spansApplied"], time.monotonic()
        self.LoadAll(**flags)
        seconds = time.monotonic() - begin
        return CpuSeconds(sidecar.pid) - before, seconds, sidecar.Stats()["spansApplied"] - applied

    def Shapes(self, sidecar):
        shapes = {"16_producers": {"producers": 16}, "20_attributes": {"attributes": 20},
                  "small_batches": {"spans_per_batch": 10}, "large_batches": {"spans_per_batch": 500}}
        for name, flags in shapes.items():
            cpu, _, spans = self.Cost(sidecar, spans=SHAPE_SPANS, **flags)
            Say(f"ingest_{name}_cpu_s_per_million", cpu / spans * 1e6, "s", "journal on")

    def Floor(self):
        endpoint = f"ipc://{self.Path('floor')}"
        receiver = self.Start(["taskset", "-c", str(SIDECAR_CORE), Binary("ingest-floor"), "--endpoint", endpoint])
        self.LoadAll(endpoint=endpoint, spans=ROUND_SPANS)
        cpu = CpuSeconds(receiver.pid)
        receiver.Stop()
        return ROUND_SPANS / cpu

    # --- from sending to acknowledgement ----------------------------------------------------------------------------------

    def MeasureApplied(self):
        sidecar = self.PinnedSidecar()
        self.LoadAll(spans=500_000)
        full = self.LoadAll(seconds=6)
        for share in (1, 50, 100):
            figures = full if share == 100 else self.LoadAll(seconds=6, rate=full["load_spans_per_s"] * share / 100)
            note = f"journal on, at {figures['load_spans_per_s']:.3g} spans/s"
            Say(f"applied_{share}_p50_ms", figures["load_ack_p50_ms"], "ms", note)
            Say(f"applied_{share}_p99_ms", figures["load_ack_p99_ms"], "ms", note + f", the slowest {figures['load_ack_max_ms']:.3g} ms")
        sidecar.Stop()

    # --- more than it can take --------------------------------------------------------------------------------------------

    def MeasureOverload(self):
        sidecar = self.PinnedSidecar()
        self.LoadAll(spans=500_000)
        most = self.LoadAll(seconds=4, producers=4)["load_spans_per_s"]
        lost = sum(sidecar.Books()["lost"].values())
        load = self.Load(core=GENERATOR_CORE, seconds=8, producers=4, overload=1, rate=most * 1.5)
        highest = 0
        while load.Running():
            highest = max(highest, sidecar.AnonymousMemory())
            time.sleep(0.05)
        if load.Wait() != 0:
            Fail(f"ingest-load failed\n{load.Output()}")
        figures = {name: float(value) for name, value, _ in (line.split() for line in load.lines)}
        lost = sum(sidecar.Books()["lost"].values()) - lost
        if lost != figures["load_spans_given_up"]:
            Fail(f"the sidecar counted {lost} lost spans, the generator {figures['load_spans_given_up']}")
        offered = figures["load_spans_sent"]
        Say("overload_rss_mib", highest / (1 << 20), "MiB",
            f"journal on, anonymous; {offered / 8:.3g} spans/s offered, {100 * offered / 8 / most:.0f} % of the maximum")
        Say("overload_lost_ratio", lost / offered, "", "as buffer_full, the same number at both ends")
        sidecar.Stop()

    # --- start with a full journal ----------------------------------------------------------------------------------------

    def MeasureStartup(self):
        sidecar = self.PinnedSidecar()
        before = sidecar.Stats()["spansApplied"]
        filled = 0
        while filled < JOURNAL_MIB * 0.9 * (1 << 20) and sidecar.Stats()["spansApplied"] < 20_000_000:
            self.LoadAll(spans=200_000)
            filled = sidecar.Json("/api/v1/status")["journal"]["bytes"]
        spans = sidecar.Stats()["spansApplied"] - before
        Say("ingest_journal_bytes_per_span", filled / spans, "B", "4 attributes")
        sidecar.Kill()
        begin = time.monotonic()
        sidecar = self.Sidecar(rules=os.path.join(harness.ROOT, "rules/*.yaml"), sets=[f"state_dir={self.Path('state')}"])
        seconds = time.monotonic() - begin
        Say("startup_ms", seconds * 1e3, "ms", f"after kill -9, {filled / (1 << 20):.0f} MiB, {spans} spans")
        Say("startup_spans_per_s", spans / seconds, "spans/s")
        sidecar.Stop()

    # --- from a span's end to Discord -------------------------------------------------------------------------------------

    def MeasureAlert(self):
        discord = self.Discord(rate_limit=False)
        self.Sidecar(rules=os.path.join(harness.ROOT, "rules/*.yaml"), discord=discord.url,
                     sets=["route.group_interval=1s", f"state_dir={self.Path('state')}"])
        load = self.Load(rate=10_000, seconds=ALERTS * 2)
        source = self.Start([Binary("alert-source"), self.endpoint, str(ALERTS)])
        if source.Wait(ALERTS * 3) != 0:
            Fail(f"alert-source failed\n{source.Output()}")
        ends = dict(line.split() for line in source.lines)
        latencies = []
        for operation, end in ends.items():
            pattern = re.compile(rf"\b{operation}\b")
            request = harness.wait_until(lambda: next((r for r in discord.requests if pattern.search(r.body)), None),
                                         f"a message that tells of {operation}", 30)
            latencies.append((request.arrived_wall_ns - int(end)) / 1e6)
        load.Stop()
        latencies.sort()
        note = f"journal on, outbox on, {len(latencies)} alerts, 10,000 spans/s behind"
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
        sidecar = self.Sidecar(rules=os.path.join(harness.ROOT, "rules/*.yaml"), sets=[f"state_dir={self.Path('state')}"])
        sidecar.Get("/metrics")
        Say("rss_idle_mib", sidecar.AnonymousMemory() / (1 << 20), "MiB", "journal on, anonymous")
        load = self.Load(rate=10_000, seconds=45)
        highest = 0
        while load.Running():
            highest = max(highest, sidecar.AnonymousMemory())
            time.sleep(0.2)
        stats = sidecar.Stats()
        Say("rss_10k_mib", highest / (1 << 20), "MiB",
            f"journal on, anonymous, the highest of 45 s, {stats['totalTraces']} traces with {stats['totalSpans']} spans stored")

    # --- the parts --------------------------------------------------------------------------------------------------------

    def Part(self, name):
        if name == "sdk":
            Relay("sdk_bench")
            Relay("redact_bench")
            CountInstructions()
        elif name == "scrape":
            Relay("scrape_bench")
        elif name == "store":
            Relay("store-bench")
        elif name == "rules":
            Relay("rules-bench")
            Relay("holds-bench")
        else:
            {"ingest": self.MeasureIngest, "applied": self.MeasureApplied, "overload": self.MeasureOverload,
             "startup": self.MeasureStartup, "profile": lambda: profile_stages.Measure(self, Say, SHAPE_SPANS), "alert": self.MeasureAlert, "drip": self.MeasureDrip,
             "storm": lambda: measure_storm.Measure(self, Say, Binary("alert-source")),
             "search": lambda: measure_search.Measure(self, Say), "rss": self.MeasureRss}[name]()


def Help():
    width = max(map(len, FIGURES))
    print("\nnames, with their part and budget:")
    for name, (part, budget) in FIGURES.items():
        print(f"  {name:{width}}  {part:6}  {budget}")


def main():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `scripts/bench --help | head` ends quietly
    names = [name for name in sys.argv[1:] if name not in ("--help", "-h")]
    if len(names) != len(sys.argv) - 1:
        Help()
        return 0
    for name in names:
        if name not in FIGURES and name not in PARTS:
            Fail(f"no figure or part '{name}'; scripts/bench --help lists them")
    wanted = {FIGURES[name][0] if name in FIGURES else name for name in names} or set(PARTS) - {"profile"}
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
