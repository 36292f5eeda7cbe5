#!/usr/bin/env python3
"""A relay board made of pymodbus, a Modbus server that nobody here wrote.

    modbus_relay.py --port 5020

Prints `listening on 127.0.0.1:PORT`, then one line per coil that changes: `TIME coil N on` or
`off`. Writes that change nothing are not printed. Serves until it is killed.
"""

import argparse
import asyncio
import datetime

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

COILS = 16
WRITES = (5, 15)


class Board:
    """The coils as they were last written."""

    def __init__(self):
        self.coils = [False] * COILS

    async def act(self, function, _start, address, _count, _registers, values):
        """Called by pymodbus before each access; it keeps the values itself."""
        if function not in WRITES:
            return None
        for coil, on in enumerate(map(bool, values or []), start=address):
            if self.coils[coil] != on:
                self.coils[coil] = on
                say(f"{now()} coil {coil} {'on' if on else 'off'}")
        return None


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")


def say(line):
    print(line, flush=True)


async def serve(port):
    board = Board()
    coils = [SimData(0, values=[False] * COILS, datatype=DataType.BITS)]
    unused = [SimData(0, values=[False] * COILS, datatype=DataType.BITS)]
    registers = [SimData(0, values=0, datatype=DataType.REGISTERS)]
    # Device 0 answers for every unit; coils, discrete inputs, holding and input registers.
    device = SimDevice(0, simdata=(coils, unused, registers, registers), action=board.act)
    server = ModbusTcpServer(device, address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    say(f"listening on 127.0.0.1:{server.transport.sockets[0].getsockname()[1]}")
    await asyncio.Event().wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
