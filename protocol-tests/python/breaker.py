"""A relay that breaks every WebSocket after a while: the network that fallback is for."""

import asyncio
import contextlib


class Breaker:
    """Listens on a free port of 127.0.0.1 and passes connections on to the broker's port."""

    def __init__(self, target, after):
        self._target = target
        self._after = after
        self._server = None
        self._healed = asyncio.Event()
        self.port = 0
        self.broken = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()

    def heal(self):
        """Breaks nothing any more."""
        self._healed.set()

    async def _serve(self, reader, writer):
        upstream, downstream = await asyncio.open_connection("127.0.0.1", self._target)
        upgraded = asyncio.Event()
        up = asyncio.create_task(pass_on(reader, downstream, upgraded))
        down = asyncio.create_task(pass_on(upstream, writer))
        breaking = asyncio.create_task(self._break(upgraded, up, downstream))
        await down
        breaking.cancel()
        up.cancel()
        writer.close()
        downstream.close()

    async def _break(self, upgraded, up, downstream):
        await upgraded.wait()
        await asyncio.sleep(self._after)
        if not self._healed.is_set():
            # The broker sees the end of the stream, without a close frame. What it has written by then
            # still arrives, and the end behind it.
            self.broken += 1
            up.cancel()
            downstream.write_eof()


async def pass_on(reader, writer, upgraded=None):
    """Copies bytes until the end, which it passes on; notes an upgrade, which may not come first."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            if upgraded and b"\r\nupgrade: websocket\r\n" in data.lower():
                upgraded.set()
        if writer.can_write_eof():
            writer.write_eof()
