"""The messages for Discord, judged by others: discord.js's builders and Discord's own types (discord-api-types), from npm."""
import hashlib
import json
import os
import shutil
import subprocess
import unittest

import harness

PACKAGE = os.path.join(harness.ROOT, "tests/e2e/discord_validator")
INSTALL_DEADLINE_S = 180
NASTY = 300


class ValidatorTest(harness.TestCase):
    def setUp(self):
        super().setUp()
        if shutil.which("node") is None or shutil.which("npm") is None:
            self.skipTest("skipped discord-validator: node or npm is not installed (scripts/deps --test)")
        self.cards = harness.Binary("spanwatch-e2e-cards")
        self.package = self.Install()

    def Install(self):
        """The script beside its packages in the build directory; installed once for each lock file."""
        directory = os.path.join(harness.BUILD, "discord-validator")
        os.makedirs(directory, exist_ok=True)
        for name in ("package.json", "package-lock.json", "validate.js"):
            shutil.copyfile(os.path.join(PACKAGE, name), os.path.join(directory, name))
        with open(os.path.join(PACKAGE, "package-lock.json"), "rb") as file:
            wanted = hashlib.sha256(file.read()).hexdigest()
        stamp = os.path.join(directory, "installed")
        if os.path.exists(stamp):
            with open(stamp, encoding="ascii") as file:
                if file.read() == wanted:
                    return directory
        result = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=directory, capture_output=True,
                                text=True, check=False, timeout=INSTALL_DEADLINE_S)
        self.assertEqual(result.returncode, 0, f"npm ci: {result.stdout}\n{result.stderr}")
        with open(stamp, "w", encoding="ascii") as file:
            file.write(wanted)
        return directory

    def Validate(self, directory):
        result = subprocess.run(["node", os.path.join(self.package, "validate.js"), directory], capture_output=True, text=True,
                                check=False, timeout=120)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def testEveryMessageIsOneThatDiscordTakes(self):
        directory = self.Path("cards")
        os.makedirs(directory)
        subprocess.run([self.cards, directory, str(NASTY), "23"], check=True, timeout=60)
        found = self.Validate(directory)
        self.assertGreaterEqual(found["files"], NASTY + 8)
        self.assertEqual(found["problems"], [])

    def testItSeesMistakes(self):
        directory = self.Path("mistakes")
        os.makedirs(directory)
        card = {"title": "t", "color": 1, "fields": [{"name": "n", "value": "v", "inline": True}]}
        mistakes = {
            "long_title": {"embeds": [dict(card, title="x" * 257)]},
            "long_field": {"embeds": [dict(card, fields=[{"name": "n", "value": "v" * 1025}])]},
            "many_fields": {"embeds": [dict(card, fields=card["fields"] * 26)]},
            "long_in_all": {"embeds": [dict(card, fields=[{"name": "n", "value": "v" * 1024}] * 6)]},
            "bad_color": {"embeds": [dict(card, color=0x1000000)]},
            "unknown_key": {"embeds": [dict(card, colour=1)]},
            "number": {"embeds": [card], "content": 7},
            "empty": {"content": " "},
        }
        for name, body in mistakes.items():
            with open(os.path.join(directory, name + ".json"), "w", encoding="utf-8") as file:
                json.dump(dict(body, allowed_mentions={"parse": []}), file)
        with open(os.path.join(directory, "pings.json"), "w", encoding="utf-8") as file:
            json.dump({"content": "x", "allowed_mentions": {"parse": ["everyone"]}}, file)
        refused = {problem.split(".json")[0] for problem in self.Validate(directory)["problems"]}
        self.assertEqual(refused, set(mistakes) | {"pings"})


if __name__ == "__main__":
    unittest.main()
