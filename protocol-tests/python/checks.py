"""PyPI aiocometd-noloop against the broker, over WebSocket and long-polling."""

import asyncio
import functools
import sys

from aiocometd_noloop import Client, ConnectionType
from aiocometd_noloop.exceptions import ServerError

from breaker import Breaker
from broker import Broker
from runner import run


async def receive(client, count):
    """The next `count` deliveries, each within 20 s of the one before."""
    return [await asyncio.wait_for(client.receive(), 20) for _ in range(count)]


async def in_order(broker, open_client):
    """100 messages of one publisher arrive in order, whole and once."""
    async with open_client(broker) as sender, open_client(broker) as reader:
        await reader.subscribe("/python/order")
        for n in range(100):
            await sender.publish("/python/order", {"n": n, "text": "é😀"})
        messages = await receive(reader, 100)
        assert messages == [
            {"channel": "/python/order", "data": {"n": n, "text": "é😀"}} for n in range(100)
        ], messages[:3]


async def own_messages(broker, open_client):
    """The own message comes back, once, and publish replies bring no data."""
    async with open_client(broker) as client:
        await client.subscribe("/python/own")
        reply = await client.publish("/python/own", {"n": 1})
        assert reply.keys() == {"channel", "id", "successful"}, reply
        assert await receive(client, 1) == [{"channel": "/python/own", "data": {"n": 1}}]
        await asyncio.sleep(0.1)
        assert client.pending_count == 0


async def big_numbers(broker, open_client):
    """p008 numbers beyond a double pass digit by digit."""
    numbers = {"ns": 1763760000123456789, "min": -(2**63), "huge": 10**40, "deep": [[2**53 + 1]]}
    async with open_client(broker) as client:
        await client.subscribe("/python/numbers")
        await client.publish("/python/numbers", numbers)
        [message] = await receive(client, 1)
        assert message["data"] == numbers, message


async def wildcards(broker, open_client):
    """p119 patterns get what they should, and nothing after the end of a subscription."""
    async with open_client(broker) as client:
        await client.subscribe("/python/wild/*")
        await client.publish("/python/wild/a", {"n": 1})
        await client.publish("/python/wild/a/b", {"n": 2})
        await client.publish("/python/wild/c", {"n": 3})
        assert [m["data"]["n"] for m in await receive(client, 2)] == [1, 3]
        await client.unsubscribe("/python/wild/*")
        await client.publish("/python/wild/d", {"n": 4})
        await client.subscribe("/python/wild/**")
        await client.publish("/python/wild/e/f", {"n": 5})
        assert [m["data"]["n"] for m in await receive(client, 1)] == [5]


async def refusal(broker, open_client):
    """p113 a refused publish raises an error with its code."""
    async with open_client(broker) as client:
        try:
            await client.publish("/python/*", {})
        except ServerError as error:
            assert error.error_code == 403, error
        else:
            raise AssertionError("the publish was accepted")


async def service(broker, open_client):
    """p114 a service channel without a service answers."""
    async with open_client(broker) as client:
        reply = await client.publish("/service/echo", {"n": 1})
        assert reply["successful"] is True, reply


async def long_hold(broker, open_client):
    """Holds end and are repeated without an error, and messages still arrive."""
    async with open_client(broker) as reader, open_client(broker) as sender:
        await reader.subscribe("/python/hold")
        await asyncio.sleep(5)
        await sender.publish("/python/hold", {"n": 1})
        assert [m["data"]["n"] for m in await receive(reader, 1)] == [1]


async def restart(_, open_client):
    """After a restart of the broker the client shakes hands and subscribes by itself."""
    broker = await Broker().start()
    try:
        async with open_client(broker) as reader:
            await reader.subscribe("/python/restart")
            await broker.kill()
            await asyncio.sleep(0.3)
            await broker.start()
            received = asyncio.ensure_future(reader.receive())
            # The client tells nobody when it is back, so publish until it hears.
            async with open_client(broker) as sender:
                while not received.done():
                    await sender.publish("/python/restart", {"back": True})
                    await asyncio.wait([received], timeout=0.2)
            assert received.result()["data"] == {"back": True}
        await broker.stop()
    finally:
        broker.abandon()


async def monitoring(_, open_client):
    """A monitor of /monitor/**, /monitor/* or /monitor sees a life in order, and loses no message of its own."""
    for name in ("/monitor/**", "/monitor/*", "/monitor"):
        await monitor_of(name, open_client)


async def monitor_of(name, open_client):
    broker = await Broker("--dev").start()
    try:
        async with open_client(broker) as monitor:
            await monitor.subscribe(name)
            await monitor.subscribe("/python/mine")
            async with open_client(broker) as client:
                await client.subscribe("/python/life")
                for n in range(50):
                    await client.publish("/python/mine", {"n": n})
                await client.unsubscribe("/python/life")
            mine, events = [], []
            while not (events and events[-1]["type"] == "disconnect"):
                message = await asyncio.wait_for(monitor.receive(), 20)
                if message["channel"] == "/python/mine":
                    mine.append(message["data"]["n"])
                else:
                    assert message.keys() == {"channel", "data"}, message
                    events.append(message["data"])
            assert mine == list(range(50)), mine
            [sid] = {event["sid"] for event in events if event.get("channel") == "/python/life"}
            life = [event["type"] for event in events if event.get("sid") == sid]
            life = [kind for kind in life if kind != "publish"]
            assert life == ["handshake", "connect", "subscribe", "unsubscribe", "disconnect"], life
        await broker.stop()
    finally:
        broker.abandon()


async def refused_monitor(broker, open_client):
    """Who may not monitor is refused the names of monitoring, and loses no message of its own."""
    async with open_client(broker) as client:
        await client.subscribe("/python/refused")
        for n, name in enumerate(("/meta/subscribe", "/meta/monitor/**", "/monitor/**")):
            try:
                await client.subscribe(name)
                raise AssertionError(f"{name} was granted")
            except ServerError:
                pass
            await client.publish("/python/refused", {"n": n})
            message = await asyncio.wait_for(client.receive(), 20)
            assert message["data"] == {"n": n}, message


async def breaking(broker):
    """sf04 on a network that breaks WebSockets the client stays there, and receives everything"""
    async with Breaker(broker.port, 0.4) as network:
        url = f"http://localhost:{network.port}/cometd"
        types = [ConnectionType.WEBSOCKET, ConnectionType.LONG_POLLING]
        sender = Client(broker.url, ConnectionType.LONG_POLLING)
        async with sender, Client(url, types, connection_timeout=15) as reader:
            await reader.subscribe("/python/breaking")
            received, sent = [], 0

            async def read():
                while True:
                    received.append((await reader.receive())["data"])

            reading = asyncio.create_task(read())
            # It is moved after the third break; a few more must change nothing.
            while network.broken < 6:
                await sender.publish("/python/breaking", sent)
                sent += 1
                await asyncio.sleep(0.01)
            network.heal()
            while sent - 1 not in received:  # the check has a limit of time
                await asyncio.sleep(0.05)
            reading.cancel()
            assert received == list(range(sent)), received
            assert reader.connection_type == ConnectionType.WEBSOCKET
    assert broker.count('"kind":"demoted"') == 1, "it is led to a handshake once"


def complain(loop, context):
    """Reports what no check caught, but for the client's cancelled tasks."""
    if not isinstance(context.get("exception"), asyncio.CancelledError):
        loop.default_exception_handler(context)


async def main():
    """Runs every check over both transports against one broker."""
    broker = await Broker().start()
    bodies = [
        in_order, own_messages, big_numbers, wildcards, refusal, service, long_hold, restart, monitoring,
        refused_monitor
    ]
    checks = []
    for transport in (ConnectionType.WEBSOCKET, ConnectionType.LONG_POLLING):
        def open_client(target, transport=transport):
            return Client(target.url, transport, connection_timeout=15)

        for body in bodies:
            name = f"{body.__doc__.rstrip('.')} ({transport.value})"
            checks.append((name, functools.partial(body, broker, open_client)))
    checks.append((breaking.__doc__.rstrip('.'), functools.partial(breaking, broker)))
    # The client's own callback complains about its cancelled connect at every end.
    asyncio.get_running_loop().set_exception_handler(complain)
    checks.append(("the broker drains with exit code 0 and never panicked", broker.stop))
    try:
        return await run(checks)
    finally:
        broker.abandon()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
