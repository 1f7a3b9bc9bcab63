"""Runs asynchronous checks one after the other, each with its own limit of time.

Prints `ok NAME (MS ms)` or `FAIL NAME` with the traceback below.
"""

import asyncio
import time
import traceback

LIMIT_S = 60


async def run(checks):
    """Runs `(name, coroutine function)` pairs; returns the exit code."""
    failed = 0
    for name, check in checks:
        start = time.monotonic()
        try:
            await asyncio.wait_for(check(), LIMIT_S)
        except Exception:  # a check may fail in any way; the others go on
            failed += 1
            print(f"FAIL {name}", flush=True)
            for line in traceback.format_exc().rstrip().split("\n"):
                print(f"     | {line}")
        else:
            print(f"ok   {name} ({(time.monotonic() - start) * 1000:.0f} ms)", flush=True)
    return 1 if failed else 0
