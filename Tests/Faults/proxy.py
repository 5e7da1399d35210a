"""A small TCP proxy between each process and each store, and between the fleets and the gateways.

A link can be cut (connections are reset, new ones refused), delayed, or stopped in one direction or in both: then
bytes wait, and arrive when the link heals, as TCP would send them again. It can also lose the reply to a request that
the store has performed.
"""

import asyncio
import threading
from collections.abc import Callable

CHUNK = 65536


class Link:
    """One listening port and where it leads. All changes are safe from any thread: they run on the proxy's loop."""

    def __init__(self, proxy: "Proxy", name: str, target: Callable[[], int | None]):
        self.proxy, self.name, self.target = proxy, name, target
        self.port = 0
        self.delay = 0.0
        self.is_cut = False
        self.lost_replies = 0
        self._pattern: bytes | None = None
        self._gates = {"up": asyncio.Event(), "down": asyncio.Event()}
        self._pairs: set = set()

    async def listen(self) -> None:
        for gate in self._gates.values():
            gate.set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]

    # What faults do

    def cut(self) -> None:
        self.is_cut = True
        self.drop()

    def drop(self) -> None:
        """Resets what is open; new connections work."""
        self.proxy.call(self._drop)

    def stall(self, *directions: str) -> None:
        """`up` is towards the server, `down` back to the client."""
        for direction in directions or ("up", "down"):
            self.proxy.call(self._gates[direction].clear)

    def lose_reply(self, pattern: bytes) -> None:
        """The next request that contains `pattern` is performed; its reply is lost with the connection."""
        self._pattern = pattern

    def heal(self) -> None:
        self.is_cut, self.delay, self._pattern = False, 0.0, None
        for gate in self._gates.values():
            self.proxy.call(gate.set)

    @property
    def is_troubled(self) -> bool:
        return self.is_cut or self.delay > 0 or not all(gate.is_set() for gate in self._gates.values())

    # The way of the bytes

    def _drop(self) -> None:
        for writers in list(self._pairs):
            for writer in writers:
                writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = self.target()
        if self.is_cut or port is None:
            return writer.transport.abort()
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return writer.transport.abort()
        pair = (writer, server_writer)
        self._pairs.add(pair)
        loses = asyncio.Event()
        ways = [
            asyncio.create_task(self._carry(reader, server_writer, "up", loses)),
            asyncio.create_task(self._carry(server_reader, writer, "down", loses)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        self._pairs.discard(pair)
        for each in pair:
            each.transport.abort() if self.is_cut else each.close()

    async def _carry(self, reader, writer, direction: str, loses: asyncio.Event) -> None:
        gate = self._gates[direction]
        try:
            while chunk := await reader.read(CHUNK):
                if self.delay:
                    await asyncio.sleep(self.delay)
                await gate.wait()
                if direction == "up" and self._pattern and self._pattern in chunk:
                    self._pattern = None
                    loses.set()
                elif direction == "down" and loses.is_set():
                    self.lost_replies += 1
                    return
                writer.write(chunk)
                await writer.drain()
        except OSError:
            return


class Proxy(threading.Thread):
    """The loop that all links of a run share."""

    def __init__(self):
        super().__init__(daemon=True)
        self.loop = asyncio.new_event_loop()
        self.links: dict[str, Link] = {}

    def run(self) -> None:
        self.loop.run_forever()

    def call(self, function, *arguments) -> None:
        self.loop.call_soon_threadsafe(function, *arguments)

    def add(self, name: str, target: Callable[[], int | None]) -> Link:
        link = Link(self, name, target)
        asyncio.run_coroutine_threadsafe(link.listen(), self.loop).result(10)
        self.links[name] = link
        return link

    def heal(self) -> None:
        for link in self.links.values():
            link.heal()

    def finish(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self.loop)
        self.join(10)

    async def _end(self) -> None:
        # What is cut short here has nothing to tell.
        self.loop.set_exception_handler(lambda loop, context: None)
        ways = asyncio.all_tasks() - {asyncio.current_task()}
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        self.loop.stop()
