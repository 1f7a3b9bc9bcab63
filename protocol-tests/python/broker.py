"""Starts, kills and ends brokers of its own, each on a free port of 127.0.0.1.

The binary is `$BAYEUXD`, or the debug build of this checkout. The address is read from the line
`bayeux   http://127.0.0.1:PORT ...` of the start output.
"""

import asyncio
import os
import pathlib
import re
import signal

BINARY = os.environ.get(
    "BAYEUXD", str(pathlib.Path(__file__).parents[2] / "target" / "debug" / "bayeuxd")
)

# Holds and expiry within seconds.
SETTINGS = {
    "session.timeout": "2s",
    "session.max_interval": "5s",
    "server.drain_timeout": "3s",
}


class Broker:
    """One broker process."""

    def __init__(self, *arguments):
        self._arguments = arguments
        self._process = None
        self._reader = None
        self._output = ""
        self.port = 0

    async def start(self):
        """Starts the process; the second time on the port it had."""
        command = [BINARY, "serve", "--listen", f"127.0.0.1:{self.port}", "--admin", "127.0.0.1:0"]
        for key, value in SETTINGS.items():
            command += ["--set", f"{key}={value}"]
        command += self._arguments
        self._process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        self.port = await asyncio.wait_for(self._read_port(), 20)
        self._reader = asyncio.create_task(self._read_on())
        return self

    async def _read_port(self):
        while line := await self._process.stdout.readline():
            self._output += line.decode()
            if address := re.match(r"bayeux\s.*?http://[^\s/:]+:(\d+)", line.decode()):
                return int(address.group(1))
        raise AssertionError(f"{BINARY} ended at its start:\n{self._output}")

    async def _read_on(self):
        while line := await self._process.stdout.readline():
            self._output += line.decode()

    def count(self, text):
        """How often `text` occurs in what the broker has written."""
        return self._output.count(text)

    @property
    def url(self):
        """The endpoint, by name: aiohttp returns no cookies to a host that is an address."""
        return f"http://localhost:{self.port}/cometd"

    async def kill(self):
        """Ends the process as a crash would."""
        self._process.kill()
        await self._process.wait()

    async def stop(self):
        """Drains the broker; fails unless it ends with 0 and never panicked."""
        self._process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(self._process.wait(), 20)
        await self._reader
        assert "panicked" not in self._output, self._output
        assert code == 0, f"exit code {code}:\n{self._output}"

    def abandon(self):
        """Ends what may still run after a failed check."""
        if self._process and self._process.returncode is None:
            self._process.kill()
