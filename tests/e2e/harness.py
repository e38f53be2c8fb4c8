"""Starts the real binaries for the end-to-end tests: free ports, sockets and files in a temporary directory, everything
stopped at the end of each test, come what may. Binaries: $SPANWATCH_BUILD_DIR/bin (build/release).

Tests wait for conditions with a deadline (wait_until) and never for time to pass.
"""
import ctypes
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import discord_imitation  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
BUILD = os.path.abspath(os.environ.get("SPANWATCH_BUILD_DIR") or os.path.join(ROOT, "build/release"))
DEADLINE_S = 60  # of one wait; far above what is expected, a busy machine must not fail a test
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def wait_until(condition, what, seconds=DEADLINE_S, also=None):
    """Returns the first true value of condition(); fails the test with `what` (and also()) after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain: {what}" + (f"\n{also()}" if also else ""))
        select.select([], [], [], 0.02)


def Binary(name):
    path = os.path.join(BUILD, "bin", name)
    if not os.access(path, os.X_OK):
        raise unittest.SkipTest(f"skipped {name}: {path} is not built")
    return path


def FreePort():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _DieWithParent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A child with its output gathered. Stop() waits for it."""

    def __init__(self, command, env=None, name=None):
        self.name = name or os.path.basename(command[0])
        self.lines = []
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.STDOUT, errors="replace", preexec_fn=_DieWithParent)
        self.reader = threading.Thread(target=self._Read, daemon=True)
        self.reader.start()

    def _Read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def pid(self):
        return self.process.pid

    def Running(self):
        return self.process.poll() is None

    def Output(self):
        return "\n".join(self.lines)

    def Signal(self, number):
        self.process.send_signal(number)

    def Wait(self, seconds=DEADLINE_S):
        """Exit status, after all output was read."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {seconds} s\n{self.Output()}") from None
        self.reader.join(seconds)
        self.process.stdout.close()
        return self.process.returncode

    def Stop(self, seconds=DEADLINE_S):
        if self.Running():
            self.Signal(signal.SIGTERM)
        return self.Wait(seconds)

    def Kill(self):
        if self.Running():
            self.Signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        self.reader.join(10)
        self.process.stdout.close()

    def AnonymousMemory(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return int(re.search(r"RssAnon:\s+(\d+) kB", status.read()).group(1)) * 1024


class Sidecar(Process):
    def __init__(self, test, sets=(), flags=(), env=None, port=None, rules=None, discord=None, config=None, program=None):
        self.port = port or FreePort()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [*(program or [Binary("spanwatch")]), "serve"]
        if config:
            command += ["--config", config]
        else:
            command += ["--config", test.Config(rules)]
        for value in (f"http.listen=127.0.0.1:{self.port}", "otlp.listen=''", "state_dir=''", f"external_url={self.url}",
                      f"ingest.endpoints=['{test.endpoint}']", *sets):
            command += ["--set", value]
        environment = test.Environment(env)
        if discord:
            environment["DISCORD_WEBHOOK_URL"] = discord
        super().__init__(command + list(flags), environment, "sidecar")

    def WaitReady(self):
        wait_until(lambda: self.Get("/readyz") is not None or not self.Running(), "/readyz", also=self.Output)
        if not self.Running():
            raise AssertionError(f"the sidecar ended with status {self.Wait()}\n{self.Output()}")
        return self

    def Request(self, path, method="GET", body=None, headers=None):
        """(status, text)"""
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def Get(self, path):
        """The text of a 200, else None."""
        try:
            status, text = self.Request(path)
        except OSError:
            return None
        return text if status == 200 else None

    def Json(self, path):
        text = self.Get(path)
        if text is None:
            raise AssertionError(f"GET {path} failed\n{self.Output()}")
        return json.loads(text)

    def Stats(self):
        return self.Json("/api/v1/stats")

    def Books(self):
        """What was emitted, applied, sampled out, lost: of all processes, and under "processes" of each."""
        stats = self.Stats()
        return {**stats["losses"], "processes": stats["processes"]}

    def Metrics(self):
        """{series as written: value}"""
        found = {}
        text = self.Get("/metrics")
        if text is None:
            raise AssertionError(f"GET /metrics failed\n{self.Output()}")
        for line in text.splitlines():
            if line and not line.startswith("#"):
                series, value = line.rsplit(" ", 1)
                found[series] = float(value)
        return found

    def Alerts(self):
        return self.Json("/api/v1/alerts")["data"]["alerts"]


class TestCase(unittest.TestCase):
    """A temporary directory, an ipc endpoint in it, and processes that end with the test."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="sw-", dir="/tmp")  # short: a socket's path has at most 107 bytes
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.endpoint = f"ipc://{self.directory}/s.sock"
        self.processes = []
        self.addCleanup(self._KillAll)

    def _KillAll(self):
        for process in reversed(self.processes):
            process.Kill()

    def _Keep(self, process):
        self.processes.append(process)
        return process

    def Environment(self, extra=None):
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith(("TRACING_", "OTEL_", "DISCORD_")) and key != "LOG_LEVEL"}
        environment.update(XDG_RUNTIME_DIR=self.directory, XDG_STATE_HOME=self.directory, HOME=self.directory)
        environment.update(extra or {})
        return environment

    def Path(self, name):
        return os.path.join(self.directory, name)

    def Write(self, name, text):
        with open(self.Path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.Path(name)

    def Config(self, rules=None):
        """The shipped configuration, with other rules if given (a path)."""
        with open(os.path.join(ROOT, "config/spanwatch.yaml"), encoding="utf-8") as file:
            text = file.read()
        path = rules or os.path.join(ROOT, "rules/*.yaml")
        text, count = re.subn(r"(?m)^rules:.*$", f'rules: ["{path}"]', text)
        if count != 1:
            raise AssertionError("config/spanwatch.yaml has no single line `rules: [...]`")
        text = re.sub(r"(?m)^prices:.*\n", "", text)  # the built-in ones are the same; a relative path would lead nowhere
        return self.Write("spanwatch.yaml", text)

    def FastRules(self):
        """rules/default.yaml with all its times divided by 60, also the five minutes that event rules have by default.
        Without the one on service.health: a service is judged over five minutes, whatever the rule says."""
        with open(os.path.join(ROOT, "rules/default.yaml"), encoding="utf-8") as file:
            text = file.read()
        first, *rules = re.split(r"(?m)^(?= *- alert:)", text)
        rules = [rule for rule in rules if "measure: service.health" not in rule]
        rules = [rule if "keep_firing_for:" in rule else re.sub(r"(?m)^( *)(measure:.*)$", r"\1\2\n\1keep_firing_for: 5m", rule)
                 for rule in rules]
        text = first + "".join(rules)
        unit = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}

        def Divide(match):
            milliseconds = float(match.group(2)) * unit[match.group(3)] / 60
            return f"{match.group(1)}{max(1, round(milliseconds))}ms"

        text, count = re.subn(r"(?m)\b((?:window|for|keep_firing_for):\s*)(\d+(?:\.\d+)?)(ms|s|m|h)\b", Divide, text)
        self.assertGreater(count, 0, "rules/default.yaml has no times")
        return self.Write("fast.yaml", text)

    def Sidecar(self, **arguments):
        return self._Keep(Sidecar(self, **arguments)).WaitReady()

    def StartSidecar(self, **arguments):
        """Without waiting for it: it may be about to fail."""
        return self._Keep(Sidecar(self, **arguments))

    def Start(self, command, env=None, name=None):
        return self._Keep(Process(command, self.Environment(env), name))

    def Bot(self, *flags, endpoint=None):
        return self.Start([Binary("spanwatch-demo"), "--endpoint", endpoint or self.endpoint, *map(str, flags)])

    def Discord(self, **arguments):
        """An imitation of Discord's webhook endpoint, in this process; see discord_imitation.py."""
        discord = discord_imitation.DiscordImitation(**arguments).start()
        self.addCleanup(discord.stop)
        return discord


class Drippers:
    """Clients that never finish a request: each Drip() sends one byte more on every socket and replaces those that were ended."""

    def __init__(self, port, count):
        self.port, self.sockets = port, [None] * count

    def __enter__(self):
        self.Drip()
        return self

    def __exit__(self, *_):
        for client in self.sockets:
            if client is not None:
                client.close()

    def Drip(self):
        for i, client in enumerate(self.sockets):
            try:
                if client is None:
                    client = self.sockets[i] = socket.create_connection(("127.0.0.1", self.port), timeout=10)
                    client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ")
                client.sendall(b"x")
            except OSError:
                client.close()
                self.sockets[i] = None

    def Alive(self):
        return sum(client is not None for client in self.sockets)


def Summary(bot):
    """The bot's last words: {"spans emitted": 123, ...}. Stops it if it still runs."""
    status = bot.Stop()
    if status != 0:
        raise AssertionError(f"the bot ended with status {status}\n{bot.Output()}")
    return {match.group(1): int(match.group(2)) for match in re.finditer(r"(?m)^(\w[\w ]*?) {2,}(\d+)$", bot.Output())}


def AssertEquation(test, books):
    """emitted = applied + sampled_out + sum(lost by reason), to the unit, in total and for each process."""
    for ledger in [books, *books["processes"]]:
        test.assertEqual(ledger["emitted"], ledger["applied"] + ledger["sampledOut"] + sum(ledger["lost"].values()), ledger)
