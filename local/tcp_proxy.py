"""A TCP proxy that misbehaves on request: between a process of ours and the database, the queue or the store."""

import asyncio
import threading
from dataclasses import dataclass, field

from local.loopback import ADDRESS

_CHUNK = 64 * 1024


@dataclass
class Loss:
    """The answer to the next `times` requests that contain `request` gets lost, and the connection with it.

    With `after`, only on a connection that has carried this before: the statement whose COMMIT is meant.
    """

    request: bytes
    after: bytes = b""
    times: int = 1


@dataclass(eq=False)
class _Link:
    client: asyncio.StreamWriter
    flowing: asyncio.Event
    server: asyncio.StreamWriter | None = None
    armed: set[int] = field(default_factory=set)
    losing: bool = False
    broken: bool = False


class TcpProxy:
    """Passes bytes on from `port` to another port of this machine, as well or as badly as its attributes say."""

    def __init__(self, upstream_port: int) -> None:
        self.upstream_port = upstream_port
        self.port = 0
        self.refuses = False  # new connections are reset
        self.answer: bytes | None = None  # what every request gets instead of reaching the other side
        self.latency_seconds = 0.0  # of each chunk of an answer
        self.truncate_after: int | None = None  # bytes of answers, after which a connection breaks
        self.losses: list[Loss] = []
        self.lost = 0
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def hang(self) -> None:
        """Swallow everything without closing anything, as a network does that has gone away."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def heal(self) -> None:
        """Pass everything on again, faithfully."""
        self.refuses, self.answer, self.latency_seconds, self.truncate_after = False, None, 0.0, None
        self.losses = []
        self._loop.call_soon_threadsafe(self._flowing.set)

    def heal_for_new_connections(self) -> None:
        """Leave those that hang as they are, half open, and serve new ones."""
        self._loop.call_soon_threadsafe(self._leave_behind)

    def _leave_behind(self) -> None:
        self._flowing = asyncio.Event()  # the old one is never set: whoever waits for it waits on
        self._flowing.set()

    def cut(self) -> None:
        """Reset every connection there is."""
        self._loop.call_soon_threadsafe(self._abort_all)

    def _abort_all(self) -> None:
        for link in list(self._links):
            self._abort(link)

    def close(self) -> None:
        """Stop for good."""

        async def end() -> None:
            self._server.close()
            self._abort_all()
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, ADDRESS, 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer, self._flowing)
        self._links.add(link)
        try:
            if self.refuses:
                return
            if self.answer is not None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(self.answer)
                await writer.drain()
                writer.close()
                return
            await link.flowing.wait()
            from_server, server = await asyncio.open_connection(ADDRESS, self.upstream_port)
            link.server = server
            pumps = {
                asyncio.ensure_future(self._up(reader, server, link)),
                asyncio.ensure_future(self._down(from_server, link)),
            }
            _, pending = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pending:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # whoever was cut off notices at its own end; asyncio would print a cancellation
        finally:
            if link.broken or self.refuses:
                self._abort(link)
            for end in (writer, link.server):
                if end is not None:
                    end.close()  # after what is still to be sent
            self._links.discard(link)

    async def _up(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, link: _Link) -> None:
        while data := await reader.read(_CHUNK):
            await link.flowing.wait()
            for loss in self.losses:
                if loss.after and loss.after in data:
                    link.armed.add(id(loss))
                if loss.times and loss.request in data and (not loss.after or id(loss) in link.armed):
                    loss.times -= 1
                    link.losing = True
            server.write(data)
            await server.drain()

    async def _down(self, reader: asyncio.StreamReader, link: _Link) -> None:
        passed = 0
        while data := await reader.read(_CHUNK):
            await link.flowing.wait()
            if self.latency_seconds:
                await asyncio.sleep(self.latency_seconds)  # the delay that is asked for
            if link.losing:
                self.lost += 1
                link.broken = True
                return
            if self.truncate_after is not None and passed + len(data) > self.truncate_after:
                link.client.write(data[: max(0, self.truncate_after - passed)])
                await link.client.drain()
                return  # closed in the middle of an answer
            passed += len(data)
            link.client.write(data)
            await link.client.drain()

    def _abort(self, link: _Link) -> None:
        for end in (link.client, link.server):
            if end is not None:
                end.transport.abort()
