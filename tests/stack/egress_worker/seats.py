"""Holds the light worker's seats in rooms: one hidden participant per egress.

Reads "join <egress id> <token>" and "leave <egress id>" from stdin, and prints
"joined <egress id>", "left <egress id> <reason>" and "failed <egress id> <text>".
A seat that is never asked to leave stays. When stdin ends, the worker is dead:
this process then dies too, without a word to the server, as a killed recorder
would.
"""

import asyncio
import os
import sys

from livekit import rtc

url = sys.argv[1]
rooms: dict[str, rtc.Room] = {}
tasks: set[asyncio.Task] = set()


def say(*words: str) -> None:
    print(*words, flush=True)


async def join(egress: str, token: str) -> None:
    room = rtc.Room()
    rooms[egress] = room

    def gone(reason) -> None:
        if rooms.pop(egress, None):
            say("left", egress, rtc.DisconnectReason.Name(reason))

    room.on("disconnected", gone)
    try:
        await room.connect(url, token, rtc.RoomOptions(auto_subscribe=False))
        say("joined", egress)
    except Exception as error:  # whatever it is, the worker has to hear of it
        rooms.pop(egress, None)
        say("failed", egress, " ".join(str(error).split()))


async def leave(egress: str) -> None:
    room = rooms.pop(egress, None)
    if room:
        await room.disconnect()
    say("left", egress, "CLIENT_INITIATED")


async def main() -> None:
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    while line := (await commands.readline()).decode().split():
        task = asyncio.create_task({"join": join, "leave": leave}[line[0]](*line[1:]))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    os._exit(1)


asyncio.run(main())
