#!/usr/bin/env python3
"""A real participant: publishes a moving picture and a 440 Hz tone into a room.

Prints "connected" when it is in the room, "published" when both tracks are
there, and "left" when it has left cleanly: after --seconds, or on SIGTERM or
SIGINT. Should the room end first it prints "disconnected <reason>" and exits 0
too. It dies with the process that started it (SIGKILL, no leave). Run it with
the Python of tests/stack/install.
"""

import argparse
import asyncio
import ctypes
import os
import signal
import sys

import numpy as np
from livekit import api, rtc

WIDTH, HEIGHT, FRAMES_PER_SECOND = 640, 360, 15
SAMPLE_RATE, TONE_HZ = 48_000, 440


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("url", "key", "secret", "room"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--identity", default="publisher")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    return parser.parse_args()


def die_with_parent() -> None:
    parent = os.getppid()
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we could ask
        sys.exit(1)


def say(*words: object) -> None:
    print(*words, flush=True)


async def film(source: rtc.VideoSource) -> None:
    """A colour wheel that turns, with a white bar passing from left to right."""
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    frame = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    count = 0
    while True:
        frame[..., 0] = x * 255 // WIDTH + count * 5
        frame[..., 1] = y * 255 // HEIGHT
        frame[..., 2] = 255 - frame[..., 0]
        bar = count * 8 % (WIDTH - 16)
        frame[:, bar : bar + 16, :3] = 255
        source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.RGBA, frame.tobytes()))
        count += 1
        await asyncio.sleep(1 / FRAMES_PER_SECOND)


async def tone(source: rtc.AudioSource) -> None:
    """capture_frame waits while the queue is full, so this keeps real time."""
    length = SAMPLE_RATE // 100
    at = 0
    while True:
        phase = (at + np.arange(length)) * (2 * np.pi * TONE_HZ / SAMPLE_RATE)
        samples = (np.sin(phase) * 8000).astype(np.int16)
        await source.capture_frame(rtc.AudioFrame(samples.tobytes(), SAMPLE_RATE, 1, length))
        at = (at + length) % SAMPLE_RATE


async def publish(room: rtc.Room) -> list[asyncio.Task]:
    video, audio = rtc.VideoSource(WIDTH, HEIGHT), rtc.AudioSource(SAMPLE_RATE, 1)
    camera = rtc.LocalVideoTrack.create_video_track("camera", video)
    microphone = rtc.LocalAudioTrack.create_audio_track("microphone", audio)
    await room.local_participant.publish_track(
        camera, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA)
    )
    await room.local_participant.publish_track(
        microphone, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    )
    return [asyncio.create_task(film(video)), asyncio.create_task(tone(audio))]


async def main() -> None:
    options = parse()
    token = (
        api.AccessToken(options.key, options.secret)
        .with_identity(options.identity)
        .with_grants(api.VideoGrants(room_join=True, room=options.room))
        .to_jwt()
    )
    enough = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, enough.set)

    room = rtc.Room()
    ended = asyncio.Event()

    def gone(reason) -> None:
        if not enough.is_set():
            say("disconnected", rtc.DisconnectReason.Name(reason))
        ended.set()
        enough.set()

    room.on("disconnected", gone)
    await room.connect(options.url, token)
    say("connected", options.identity)
    tasks = await publish(room)
    say("published", options.identity)

    seconds = None if options.seconds == float("inf") else options.seconds
    try:
        await asyncio.wait_for(enough.wait(), seconds)
    except asyncio.TimeoutError:
        enough.set()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if not ended.is_set():
        await room.disconnect()
        say("left", options.identity)


die_with_parent()
asyncio.run(main())
