"""docker-compose.yml, the Dockerfiles and what they mount. No engine is needed: docker-compose validates its file alone, and the
sidecar's configuration for containers runs here. scripts/check-dockerfile executes the Dockerfiles (docs/docker.md)."""
import glob
import json
import os
import re
import shutil
import stat
import subprocess
import unittest

import harness

DOCKERFILES = ("Dockerfile", "examples/node-bot/Dockerfile")


def Path(path):
    return os.path.join(harness.ROOT, path)


def Read(path):
    with open(Path(path), encoding="utf-8") as file:
        return file.read()


def Run(command, **arguments):
    return subprocess.run(command, capture_output=True, text=True, check=False, **arguments)


class ServiceTest(harness.TestCase):
    def testSystemdAcceptsTheUnit(self):
        if shutil.which("systemd-analyze") is None:
            self.skipTest("skipped systemd-analyze: not installed")
        unit = self.Path("spanwatch.service")
        with open(unit, "w", encoding="utf-8") as file:
            file.write(Read("config/spanwatch.service").replace("/usr/local/bin/spanwatch", harness.Binary("spanwatch")))
        result = Run(["systemd-analyze", "verify", "--man=no", unit])
        self.assertEqual((result.returncode, result.stdout + result.stderr), (0, ""))


class ComposeTest(unittest.TestCase):
    def testDockerComposeAcceptsIt(self):
        if shutil.which("docker-compose") is None:
            self.skipTest("skipped docker-compose: not installed (scripts/deps --test)")
        environment = {**os.environ, "DISCORD_WEBHOOK_URL": "https://discord.example/hook"}
        result = Run(["docker-compose", "-f", Path("docker-compose.yml"), "config"], env=environment)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("DISCORD_WEBHOOK_URL: https://discord.example/hook", result.stdout)

    def testPortsArePublishedOnLoopbackAlone(self):
        ports = re.findall(r"(?m)^\s+- \"?([\d.:\[\]]+:\d+)\"?\s*$", Read("docker-compose.yml"))
        self.assertEqual(len(ports), 4, ports)
        for port in ports:
            self.assertRegex(port, r"^127\.0\.0\.1:(\d+):\1$")

    def testImagesArePinned(self):
        images = re.findall(r"(?m)^\s+image: (\S+)$", Read("docker-compose.yml"))
        self.assertGreaterEqual(len(images), 5)
        for path in DOCKERFILES:
            images += [image for image in re.findall(r"(?m)^FROM (\S+)", Read(path))]
        for image in images:
            self.assertRegex(image, r":v?\d[\w.-]*$", "an image without version changes under its user")

    def testMountedFilesCanBeReadByOtherUsers(self):
        """Prometheus, Grafana and the sidecar run as users that do not own the checkout."""
        mounts = re.findall(r"(?m)^\s+- \./([^:\s]+):[^:\s]+:(\w+)$", Read("docker-compose.yml"))
        self.assertEqual(len(mounts), 7, mounts)
        for path, mode in mounts:
            self.assertEqual(mode, "ro", path)
            everything = [Path(path), *glob.glob(Path(path) + "/*"), *glob.glob(Path(path) + "/*/*")]
            for one in everything:
                wanted = stat.S_IROTH | (stat.S_IXOTH if os.path.isdir(one) else 0)
                self.assertEqual(os.stat(one).st_mode & wanted, wanted, f"chmod o+rX {one}")

    def testDockerfilesCopyWhatExists(self):
        for path in DOCKERFILES:
            for sources in re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", Read(path)):
                for source in sources.split():
                    self.assertTrue(os.path.exists(os.path.join(harness.ROOT, os.path.dirname(path), source)), f"{path}: {source}")
            self.assertRegex(Read(path), r"(?m)^USER (?!root)\w", path)


class ImageTest(harness.TestCase):
    def Configuration(self):
        """Laid out as in the image."""
        shutil.copytree(Path("rules"), self.Path("rules"))
        shutil.copy(Path("config/prices.yaml"), self.Path("prices.yaml"))
        return self.Write("spanwatch.yaml", Read("config/docker/spanwatch.yaml"))

    def testTheConfigurationIsGood(self):
        result = Run([harness.Binary("spanwatch"), "check", self.Configuration()], env=self.Environment())
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def testItNeedsTheSwitchForAPrivateNetwork(self):
        with open(self.Configuration(), encoding="utf-8") as file:
            text = file.read()
        for section in ("http", "otlp"):
            changed, count = re.subn(rf"(?s)(\n{section}:.*?)  insecure_listen: true\n", r"\1", text, count=1)
            self.assertEqual(count, 1)
            result = Run([harness.Binary("spanwatch"), "check", self.Write("spanwatch.yaml", changed)], env=self.Environment())
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(f"{section}.insecure_listen", result.stdout + result.stderr)

    def testHealthCheck(self):
        command = json.loads(re.search(r"(?m)^HEALTHCHECK .* CMD (\[.*\])$", Read("Dockerfile")).group(1))
        sidecar = self.Sidecar(config=self.Configuration())
        self.assertEqual(command[-1].count("/9464"), 1)
        command[-1] = command[-1].replace("/9464", f"/{sidecar.port}")
        self.assertEqual(Run(command).returncode, 0, sidecar.Output())
        self.assertEqual(sidecar.Stop(), 0, sidecar.Output())
        self.assertNotEqual(Run(command).returncode, 0)

    def testTheImageHasTheLibraries(self):
        """Each library that the programs name belongs to a package that the Dockerfile installs, or that Debian's base has."""
        if shutil.which("readelf") is None or shutil.which("dpkg-query") is None:
            self.skipTest("skipped libraries: no readelf or dpkg-query")
        installed = set(re.search(r"ca-certificates (lib.*?)&&", Read("Dockerfile"), re.S).group(1).replace("\\", " ").split())
        base = {"libc6", "libgcc-s1", "libstdc++6", "zlib1g"}
        for program in ("spanwatch", "spanwatch-demo"):
            binary = harness.Binary(program)
            paths = dict(re.findall(r"(\S+) => (/\S+)", Run(["ldd", binary]).stdout))
            for library in re.findall(r"\(NEEDED\).*\[(.+)\]", Run(["readelf", "-d", binary]).stdout):
                if library.startswith("ld-linux"):
                    continue
                found = Run(["dpkg-query", "-S", os.path.realpath(paths[library])]).stdout or \
                    Run(["dpkg-query", "-S", os.path.realpath(paths[library]).removeprefix("/usr")]).stdout
                self.assertIn(found.split(":")[0], installed | base, f"{library}: add its package to the Dockerfile")


if __name__ == "__main__":
    unittest.main()
