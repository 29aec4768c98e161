"""Speaking with a program in a box: payloads there and back, until it ends or a limit does."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import struct
import time

from tracemill.verifiers.sandbox.replies import broken, read_box
from tracemill.verifiers.sandbox.types import Ending, Limits, Run
from tracemill.verifiers.sandbox.watch import STOP, STOP_DYING


class Closed(Exception):
    """The program does not answer any more; `Conversation.run` tells why."""


class Conversation:
    """One program's process; for one thread. Answers are the program's word: bytes, of any content."""

    def __init__(self, caller: socket.socket, channel: socket.socket, limits: Limits, tier: int) -> None:
        self._caller, self._channel, self._limits, self._tier = caller, channel, limits, tier
        self._late: Ending | None = None
        self._hung_up = False
        self._result: Run | None = None

    def call(self, payload: bytes, seconds: float) -> bytes:
        """Send a payload and wait for the answer, at most so many seconds by the clock.

        Raises Closed if the program ended, if the time is over, or if the answer is longer than the output limit: it
        is ended then.
        """
        ends = time.monotonic() + seconds
        try:
            self._channel.settimeout(seconds)
            self._channel.sendall(struct.pack("<I", len(payload)) + payload)
            (size,) = struct.unpack("<I", self._read(4, ends))
            if size > self._limits.output_kb * 1024:
                self._late = Ending.OUTPUT
                raise Closed("the answer is longer than the output limit")
            return self._read(size, ends)
        except TimeoutError as error:
            self._late = Ending.WALL
            raise Closed(f"no answer in {seconds:g} s") from error
        except (EOFError, OSError) as error:
            self._hung_up = True
            raise Closed("the program ended") from error

    def run(self) -> Run:
        """What became of the program. One that still runs is ended: EXITED 0, or the reason of the call that failed."""
        if self._result is None:
            with contextlib.suppress(OSError):  # it has ended, and its answer waits to be read
                self._caller.send(STOP_DYING if self._hung_up else STOP)
            try:
                self._result = read_box(self._caller, self._limits).run
            except (EOFError, OSError, ValueError) as error:
                self._result = broken(f"no answer from the sandbox: {error}", self._tier)
            if self._late and self._result.ending is Ending.EXITED:
                self._result = dataclasses.replace(self._result, ending=self._late)
        return self._result

    def _read(self, size: int, ends: float) -> bytes:
        data = bytearray()
        while len(data) < size:
            left = ends - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._channel.settimeout(left)
            more = self._channel.recv(min(size - len(data), 1 << 20))
            if not more:
                raise EOFError
            data += more
        return bytes(data)
