"""A broker of its own, on free ports of 127.0.0.1, with the keys that it makes at start.

The binary is `$BAYEUXD`, or the debug build of this checkout. Standard library only.
"""

import os
import pathlib
import re
import signal
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("BAYEUXD", str(ROOT / "target" / "debug" / "bayeuxd"))


class Broker:
    """A running broker: `url`, and `key`, which may publish everywhere; `admin_url` and `admin_key`."""

    def __init__(self, *settings):
        self._settings = settings

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory()
        command = [BINARY, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        for setting in self._settings:
            command += ["--set", setting]
        environment = {**os.environ, "XDG_RUNTIME_DIR": self._folder.name}
        self._log = open(pathlib.Path(self._folder.name) / "log", "w+")
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=self._folder.name,
            env=environment,
        )
        self.banner = ""
        while line := self._process.stdout.readline():
            self.banner += line
            if "curl" in line:
                break
        address = re.search(r"^publish\s+(http://[0-9.:]+)/.*key in (\S+)", self.banner, re.M)
        assert address, f"{BINARY} did not start:\n{self.banner}{self.log()}"
        self.url = address.group(1)
        self.key = pathlib.Path(address.group(2)).read_text().strip()
        admin = re.search(r"^admin\s+(http://[0-9.:]+) .*key in (\S+)", self.banner, re.M)
        self.admin_url = admin.group(1)
        self.admin_key = pathlib.Path(admin.group(2)).read_text().strip()
        return self

    def __exit__(self, *_):
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.stdout.close()
            self._log.close()
            self._folder.cleanup()

    def log(self):
        """What the broker has said so far."""
        self._log.flush()
        return pathlib.Path(self._log.name).read_text()
