"""The actors that are measured: echo.lua and loadgen.lua, in Python.

They take the same words and do the same work as their namesakes in
tests/real/services, so that both sides of a comparison run the same job.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks
from twisted.logger import Logger

from skynet_tw import Actor, command

from .sampler import Sampler

#: Calls that are made before those which count.
WARM = 5000

#: One-way messages between two pauses of the sender.
BATCH = 1000

#: One-way messages of a flood that may be on their way.
WINDOW = 10_000

clock = time.perf_counter


class Profiled(Actor):
    """An actor whose process is profiled while it lives, where that is asked for."""

    _sampler: Sampler | None = None

    def _profile(self) -> None:
        if "SKYNET_TW_PROFILE" in os.environ:
            self._sampler = Sampler()
            self._sampler.start()

    def stopped(self) -> None:
        if self._sampler is not None:
            directory = Path(os.environ["SKYNET_TW_PROFILE"])
            self._sampler.stop(directory / f"{type(self).__name__.lower()}.folded")


class Echo(Profiled):
    """The smallest actor worth measuring."""

    async def started(self, *names: str) -> None:
        self.spawned: list[int] = []
        self.reset()
        for name in names:
            if name.startswith("@"):
                await self.cluster.register(name[1:])
            else:
                await self.register(name)
        if names:
            self._profile()

    def reset(self) -> None:
        self.count, self.in_order, self.last = 0, True, 0

    @command
    def ECHO(self, *values: Any) -> tuple[Any, ...]:
        return values

    @command
    def COUNT(self, i: int) -> None:
        self.count += 1
        self.in_order = self.in_order and i == self.last + 1
        self.last = i

    @command
    def RESULT(self) -> tuple[int, bool, int]:
        return self.count, self.in_order, self.last

    @command
    def RESET(self) -> None:
        self.reset()

    @command
    def CPU(self) -> float:
        return time.process_time()

    @command
    async def REGISTER(self, name: str) -> None:
        await self.register(name)

    @command
    async def SPAWN(self, n: int) -> list[int]:
        while len(self.spawned) < n:
            self.spawned.append(int(await self.spawn(Echo)))
        return self.spawned

    @command
    async def FLOOD(self, dest: str, seconds: float) -> int:
        """Send one way for some seconds, as fast as *dest* takes it."""
        end = clock() + seconds
        sent = 0
        while clock() < end:
            for _ in range(WINDOW // BATCH):
                for _ in range(BATCH):
                    sent += 1
                    self.send(dest, "COUNT", sent)
                await self.sleep(0)
            await self.call(dest, "RESULT")
        return sent

    @command
    async def LATENESS(self, seconds: float) -> list[float]:
        """How late timers fire for some seconds, in µs."""
        end = clock() + seconds
        times = []
        while clock() < end:
            begun = clock()
            await self.sleep(0.01)
            times.append((clock() - begun - 0.01) * 1e6)
        return times


class Load(Profiled):
    """Measures, and prints one line of JSON for each job; see loadgen.lua."""

    _log = Logger()

    async def started(self, *jobs: str) -> None:
        self.fork(self._run(jobs))

    async def _run(self, jobs: tuple[str, ...]) -> None:
        await self.node.when_ready()
        self._profile()
        for text in jobs:
            if text == "quit":
                self.node.shutdown()
                return
            name, _, options = text.partition(":")
            given = {
                key: float(value) if re.fullmatch(r"[\d.]+", value) else value
                for key, value in (
                    pair.split("=") for pair in options.split(",") if pair
                )
            }
            try:
                fields = await getattr(self, f"job_{name}")(**given)
            except Exception as error:
                self._log.failure("{job} failed", job=text)
                fields = {"error": f"{type(error).__name__}: {error}"}
            if fields is not None:
                # Twisted has put its log in the place of sys.stdout.
                assert sys.__stdout__ is not None
                print(json.dumps({"job": name, **fields}), file=sys.__stdout__)
                sys.__stdout__.flush()

    # How it is measured

    async def _measure(
        self,
        ask: Callable[[], Awaitable[Any]],
        expected: Any,
        k: float = 1,
        n: float = math.inf,
        s: float = math.inf,
        style: str = "fork",
    ) -> tuple[float, float, list[float]]:
        """Ask *n* times, or for *s* seconds, with *k* questions under way at a time.

        :param style: how an actor of Twisted's users does that.
        :returns: seconds, CPU seconds of this process, and the sorted times in µs.
        """
        times: list[float] = []
        left, running = n, int(k)
        done: Deferred[None] = Deferred()
        cpu, start = time.process_time(), clock()
        end = start + s

        async def work() -> None:
            nonlocal left, running
            while left > 0:
                left -= 1
                begun = clock()
                if begun >= end:
                    break
                answer = await ask()
                times.append((clock() - begun) * 1e6)
                assert answer == expected, answer
            running -= 1
            if running == 0:
                done.callback(None)

        @inlineCallbacks
        def inline() -> Generator[Deferred[Any], Any, None]:
            nonlocal left
            while left > 0:
                left -= 1
                begun = clock()
                if begun >= end:
                    break
                answer = yield cast("Deferred[Any]", ask())
                times.append((clock() - begun) * 1e6)
                assert answer == expected, answer

        async def guarded() -> None:
            try:
                await work()
            except Exception:
                if not done.called:
                    done.errback()

        if style == "gather":
            await gatherResults(
                [Deferred.fromCoroutine(work()) for _ in range(running)]
            )
        elif style == "inline":
            await gatherResults([inline() for _ in range(running)])
        else:
            for _ in range(running):
                self.fork(guarded())
            await done
        seconds = clock() - start
        cpu = time.process_time() - cpu
        times.sort()
        return seconds, cpu, times

    def _way(self, dest: str) -> tuple[Callable[..., Any], Callable[..., None]]:
        """How *dest* is called, and how it is sent to: functions of the values only.

        :param dest: a name of this network, or NODE@NAME for one of a cluster.
        """
        node, at, name = dest.partition("@")
        if at:
            call, send = self.cluster.call, self.cluster.send
            return partial(call, node, at + name), partial(send, node, at + name)
        return partial(self.call, dest), partial(self.send, dest)

    async def _measure_calls(
        self,
        ask: Callable[[], Awaitable[Any]],
        call: Callable[..., Any] | None,
        k: float,
        n: float,
        s: float,
        style: str = "fork",
        expected: Any = (1, "hello"),
    ) -> dict[str, Any]:
        """Measure calls.

        :param call: asks their destination, None for one of this process.
        """
        await self._measure(ask, expected, k, min(n, WARM))
        server = await call("CPU") if call else 0.0
        measured = await self._measure(ask, expected, k, n, s, style)
        seconds, cpu, times = measured
        server = await call("CPU") - server if call else 0.0
        n = len(times)
        return {
            "n": n,
            "k": k,
            "calls_per_s": n / seconds,
            "seconds": seconds,
            "cpu_s": cpu,
            "server_cpu_s": server,
            "cpu_us_per_call": (cpu + server) / n * 1e6,
            **spread(times),
        }

    # The jobs, in the order of loadgen.lua

    async def job_calls(
        self,
        dest: str,
        k: float = 64,
        n: float = math.inf,
        s: float = math.inf,
        style: str = "fork",
    ) -> dict[str, Any]:
        call, _ = self._way(dest)
        ask = partial(call, "ECHO", 1, "hello")
        return await self._measure_calls(ask, call, k, n, s, style)

    async def job_local(
        self,
        k: float = 64,
        n: float = math.inf,
        s: float = math.inf,
        style: str = "fork",
    ) -> dict[str, Any]:
        dest = await self.spawn(Echo)

        def ask() -> Awaitable[Any]:
            return self.call(dest, "ECHO", 1, "hello")

        return await self._measure_calls(ask, None, k, n, s, style)

    async def job_oneway(self, dest: str, n: float = 100_000) -> dict[str, Any]:
        call, send = self._way(dest)
        await self._send_all(call, send, min(n, WARM))
        server = await call("CPU")
        cpu, start = time.process_time(), clock()
        sent_s, (count, in_order, _) = await self._send_all(call, send, n)
        seconds = clock() - start
        cpu = time.process_time() - cpu
        server = await call("CPU") - server
        return {
            "n": n,
            "messages_per_s": n / seconds,
            "seconds": seconds,
            "send_s": sent_s,
            "cpu_s": cpu,
            "server_cpu_s": server,
            "cpu_us_per_message": (cpu + server) / n * 1e6,
            "received": count,
            "in_order": in_order,
        }

    async def _send_all(
        self, call: Callable[..., Any], send: Callable[..., None], n: float
    ) -> tuple[float, Any]:
        await call("RESET")
        start = clock()
        for i in range(1, int(n) + 1):
            send("COUNT", i)
            if i % BATCH == 0:
                await self.sleep(0)  # let answers, and this node's other work, in
        return clock() - start, await call("RESULT")

    async def job_payload(
        self, dest: str, size: float = 1048576, n: float = 64, k: float = 4
    ) -> dict[str, Any]:
        blob = "x" * int(size)
        call, _ = self._way(dest)
        ask = partial(call, "ECHO", blob)
        await self._measure(ask, blob, k, min(n, 8))
        server = await call("CPU")
        seconds, cpu, times = await self._measure(ask, blob, k, n)
        server = await call("CPU") - server
        return {
            "n": n,
            "k": k,
            "size": size,
            "seconds": seconds,
            "mb_per_s": 2 * n * size / seconds / 1e6,  # both ways together
            "cpu_s": cpu,
            "server_cpu_s": server,
            "cpu_us_per_mb": (cpu + server) / (2 * n * size) * 1e12,
            **spread(times),
        }

    async def job_spawn(self, n: float = 200) -> dict[str, Any]:
        handles = [await self.spawn(Echo)]
        before = resident_kb()

        async def ask() -> None:
            handles.append(await self.spawn(Echo))

        seconds, cpu, times = await self._measure(ask, None, 1, n)
        rss = resident_kb() - before
        return {
            "n": n,
            "seconds": seconds,
            "cpu_s": cpu,
            "actors_per_s": n / seconds,
            "us_per_actor": seconds / n * 1e6,
            "rss_kb_per_actor": rss / n,
            **spread(times),
        }

    async def job_names(
        self, dest: str, n: float = 1000, k: float = 64, s: float = 1
    ) -> dict[str, Any]:
        names = [f"B{i:08}" for i in range(int(n))]
        own = await self.query(dest)
        each = iter(names)

        def register() -> Awaitable[Any]:
            return self.call(dest, "REGISTER", next(each))

        def query() -> Awaitable[Any]:
            return self.query(next(each))

        start = clock()
        await self._measure(register, None, k, n)
        each = iter(names)
        await self._measure(query, own, k, n)
        known = clock() - start
        each = iter(names)
        queried, _, _ = await self._measure(query, own, k, n)
        around = cycle(names)

        def ask() -> Awaitable[Any]:
            return self.call(next(around), "ECHO", 1, "hello")

        fields = await self._measure_calls(ask, self._way(dest)[0], k, math.inf, s)
        return {
            **fields,
            "names": n,
            "known_us": known / n * 1e6,
            "query_us": queried / n * 1e6,
        }

    async def job_echo(self, name: str) -> None:
        await self.spawn(Echo, name)

    async def job_quiet(
        self, dest: str, s: float, flooder: str = "", sink: str = "", late: float = 0
    ) -> dict[str, Any]:
        """Call every 10 ms, for *s* seconds or beside a flood of that time."""
        flood = None
        start = clock()
        if flooder:
            flood = self.call(flooder, "FLOOD", sink, s)
        lateness = self.call(dest, "LATENESS", s) if late else None
        times = []
        while clock() < start + s:
            await self.sleep(0.01)
            begun = clock()
            assert await self.call(dest, "ECHO", 1, "hello") == (1, "hello")
            times.append((clock() - begun) * 1e6)
        times.sort()
        fields: dict[str, Any] = {"n": len(times), **spread(times)}
        if flood is not None:
            sent = await flood
            fields["flood_per_s"] = sent / (clock() - start)
        if lateness is not None:
            late_times = sorted(await lateness)
            fields["late_p99_us"] = percentile(late_times, 0.99)
            fields["late_max_us"] = late_times[-1]
        return fields

    # Only here

    async def job_actors(
        self, dest: str, n: float, k: float = 64, s: float = 1
    ) -> dict[str, Any]:
        """Call *n* actors of one node in turn."""
        around = cycle(await self.call(dest, "SPAWN", int(n), timeout=0))

        def ask() -> Awaitable[Any]:
            return self.call(next(around), "ECHO", 1, "hello")

        return await self._measure_calls(ask, self._way(dest)[0], k, math.inf, s)


def percentile(times: list[float], p: float) -> float:
    """The time that a share *p* of the sorted *times* does not exceed."""
    return times[max(1, math.ceil(len(times) * p)) - 1]


def spread(times: list[float]) -> dict[str, float]:
    """How sorted times in µs are spread."""
    return {
        "p50_us": percentile(times, 0.5),
        "p99_us": percentile(times, 0.99),
        "max_us": times[-1],
    }


def resident_kb() -> int:
    """The resident memory of this process, in KB."""
    found = re.search(r"VmRSS:\s*(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) if found else 0
