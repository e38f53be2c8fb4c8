"""A storm: 1,000 alerts in one second, and what Discord hears of it. The imitation keeps Discord's limits (5 requests in 2 s
a webhook) and refuses what breaks them."""
import re
import shutil
import time

import harness

ALERTS = 1000
RULES = """groups:
  - name: storm
    rules:
      - alert: Burst
        measure: span.duration
        match: { operation: "burst.*" }
        thresholds: { warning: 0.1ms }
"""


def Told(discord):
    """How many alerts the live messages tell of."""
    told = 0
    for message in discord.live():
        more = re.match(r"\w+: (\d+) more ", message.title or "")
        told += int(more.group(1)) if more else 1
    return told


def Measure(bench, say, source):
    rules = bench.Path("storm.yaml")
    with open(rules, "w", encoding="utf-8") as file:
        file.write(RULES)
    for name, group_by, promised in (("one_group", "[alertname, service]", 3 + 1), ("own_groups", "[alertname, operation]", 10 + 1)):
        discord = bench.Discord()
        sidecar = bench.Sidecar(rules=rules, discord=discord.url,
                                sets=[f"route.group_by={group_by}", "alerts.max_incidents=2000", f"state_dir={bench.Path(name)}"])
        burst = bench.Start([source, bench.endpoint, str(ALERTS), "storm"])
        if burst.Wait(60) != 0:
            raise AssertionError(burst.Output())
        end = time.monotonic()
        harness.wait_until(lambda: Told(discord) == ALERTS, "every alert told", 60, also=sidecar.Output)
        statuses = [request.status for request in discord.requests]
        posts = len([r for r in discord.requests if r.method == "POST" and r.status == 200])
        note = f"{ALERTS} alerts in a second, group_by {group_by}, Discord takes 5 requests in 2 s"
        say(f"storm_{name}_messages", posts, "", f"{note}; {len(statuses)} requests, {statuses.count(429)} of them refused")
        say(f"storm_{name}_told_s", time.monotonic() - end, "s", "from the last span's end until the messages tell of all")
        if posts > promised:
            raise AssertionError(f"{posts} messages, {promised} promised")
        sidecar.Stop()
        shutil.rmtree(bench.Path(name))
