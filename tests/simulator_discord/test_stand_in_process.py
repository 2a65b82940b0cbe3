"""The stand-in as a process of its own: one line of JSON, a clock that other processes share, a clean end."""

import asyncio
import json
import signal
import sys
import time


async def test_it_prints_where_it_is_and_tells_when_bodies_came(http):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulator.discord", "--port", "0", "--limits"), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            urls = json.loads(await process.stdout.readline())
        path = urls["webhook_url"].removeprefix("https://discord.com/api")
        before_ns = time.monotonic_ns()
        async with http.post(urls["api_base"] + path, json={"content": "x"}) as answer:
            assert answer.status == 204
            assert answer.headers["X-RateLimit-Remaining"] == "4"
        after_ns = time.monotonic_ns()
        async with http.get(f"{urls['url']}/_control") as answer:
            [record] = (await answer.json())["requests"]
        assert before_ns < record["received_ns"] < after_ns
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
