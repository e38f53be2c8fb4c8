"""Child processes of a script: each in a session of its own (a Ctrl-C at the terminal reaches the script alone), ended
with it even if it is killed, their output handed on line by line, stopped in order and waited for. One thread uses it."""
import ctypes
import os
import select
import signal
import subprocess
import time

STOP_S = 8  # a sidecar that is told to stop may take 5 s
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A part did not start or ended by itself; the text tells the user what to do."""


def _DieWithParent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    def __init__(self, group, name, command, on_line, environment):
        self.group = group
        self.name = name
        self.on_line = on_line
        self.buffer = b""
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=_DieWithParent)
        os.set_blocking(self.process.stdout.fileno(), False)

    def Read(self):
        """Hands on what has arrived. Returns False at the end of the output."""
        try:
            data = os.read(self.process.stdout.fileno(), 1 << 16)
        except BlockingIOError:
            return True
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        if not data and self.buffer:
            lines, self.buffer = [self.buffer], b""
        for line in lines:
            self.on_line(line.decode(errors="replace").rstrip("\r"))
        return bool(data)

    def WaitUntil(self, condition, seconds, failure):
        deadline = time.monotonic() + seconds
        while not condition():
            self.group.Wait(0.05)
            if self.group.stop_requested or self.process.poll() is not None or time.monotonic() > deadline:
                self.group.Wait(0)
                raise Failed(failure)

    def Signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass


class Group:
    def __init__(self):
        self.children = {}
        self.open_outputs = {}
        self.stop_requested = False
        # A signal handler writes here, so that a wait ends at once.
        self.wake_read, self.wake_write = os.pipe()
        os.set_blocking(self.wake_write, False)

    def Start(self, name, command, on_line, environment=None):
        child = Child(self, name, command, on_line, environment)
        self.children[name] = child
        self.open_outputs[child.process.stdout.fileno()] = child
        return child

    def RequestStop(self):
        self.stop_requested = True
        try:
            os.write(self.wake_write, b"x")
        except BlockingIOError:
            pass

    def Wait(self, seconds):
        """Hands on output for at most so long, less when something came or a stop was asked for."""
        ready, _, _ = select.select([*self.open_outputs, self.wake_read], [], [], seconds)
        for descriptor in ready:
            if descriptor == self.wake_read:
                os.read(self.wake_read, 4096)
            elif not self.open_outputs[descriptor].Read():
                self.open_outputs.pop(descriptor).process.stdout.close()

    def CheckAlive(self):
        for child in self.children.values():
            status = child.process.poll()
            if status is not None:
                self.Wait(0)
                raise Failed(f"the {child.name} ended by itself (exit status {status}); its last words are above")

    def StopAll(self, order):
        """Stops and waits, in this order. True if all that still ran ended in time and with status 0."""
        good = True
        for name in order:
            child = self.children.get(name)
            if child is None or child.process.poll() is not None:
                continue
            child.Signal(signal.SIGTERM)
            deadline = time.monotonic() + STOP_S
            while child.process.poll() is None:
                if time.monotonic() > deadline:
                    child.Signal(signal.SIGKILL)
                    deadline = float("inf")
                    good = False
                self._WaitQuietly(0.05)
            # Ended by the signal itself: told to stop before it had begun.
            good = good and child.process.returncode in (0, -signal.SIGTERM)
        self._WaitQuietly(0)
        return good

    def _WaitQuietly(self, seconds):
        try:
            self.Wait(seconds)
        except BrokenPipeError:
            for child in self.children.values():
                child.on_line = lambda line: None
