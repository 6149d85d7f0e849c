"""Records one room with the real services and looks at the file. See smoke."""

import argparse
import json
import pathlib
import re
import subprocess
import threading
import time

from livekit import api

import probe
from ring import Ring, end
from twirp import Twirp


def recorder(file: pathlib.Path | None):
    """Appends to the file, one JSON object a line, with seconds since now."""
    begun, lock = time.monotonic(), threading.Lock()
    if file:
        file.write_text("")

    def record(entry: dict) -> None:
        if file:
            with lock, file.open("a") as lines:
                lines.write(json.dumps({"at": round(time.monotonic() - begun, 3), **entry}) + "\n")

    return record


def look_at(ring: Ring, film: pathlib.Path) -> dict:
    answer = subprocess.run(
        [ring.tools["FFPROBE"], "-v", "error", "-of", "json", "-show_format", "-show_streams", film],
        check=True, capture_output=True, text=True,
    )
    seen = json.loads(answer.stdout)
    codecs = sorted(stream["codec_name"] for stream in seen["streams"])
    assert codecs == ["aac", "h264"], codecs
    return seen["format"]


def look_closer(ring: Ring, film: pathlib.Path) -> None:
    """The publisher's bright picture and its tone have to be in the film."""
    answer = subprocess.run(
        [ring.tools["FFMPEG"], "-nostdin", "-i", film, "-af", "volumedetect",
         "-vf", "signalstats,metadata=print:key=lavfi.signalstats.YAVG", "-f", "null", "-"],
        check=True, capture_output=True, text=True,
    )
    volume = float(re.search(r"mean_volume: (\S+) dB", answer.stderr)[1])
    luma = [float(value) for value in re.findall(r"YAVG=(\S+)", answer.stderr)]
    brightness = sum(luma) / len(luma)
    print(f"{len(luma)} frames, brightness {brightness:.0f}, volume {volume} dB", flush=True)
    assert volume > -50 and brightness > 50


def record_a_room(ring: Ring, twirp: Twirp, mode: str, seconds: float) -> None:
    room = "smoke"
    twirp.room("CreateRoom", api.CreateRoomRequest(name=room, departure_timeout=1, metadata='{"createdBy":"smoke"}'))
    publisher = ring.start_publisher(room)
    output = api.EncodedFileOutput(file_type=api.EncodedFileType.MP4, filepath=f"recordings/{room}/{room}--uid")
    request = api.RoomCompositeEgressRequest(room_name=room, layout="grid", file=output, file_outputs=[output])
    begun = time.monotonic()
    egress = twirp.egress("StartRoomCompositeEgress", request).egress_id
    ring.webhooks.wait(room, "egress_updated EGRESS_ACTIVE")
    print(f"ACTIVE after {time.monotonic() - begun:.1f} s", flush=True)
    probe.lists(twirp, room, egress)
    time.sleep(seconds)

    twirp.egress("StopEgress", api.StopEgressRequest(egress_id=egress))
    ring.webhooks.wait(room, "egress_ended EGRESS_COMPLETE")
    info = twirp.egress("ListEgress", api.ListEgressRequest(egress_id=egress)).items[0]
    film = ring.root / info.file_results[0].filename
    seen = look_at(ring, film)
    assert int(seen["size"]) == info.file_results[0].size == film.stat().st_size
    reported = info.file_results[0].duration / 1e9
    assert abs(float(seen["duration"]) - reported) < 2, (seen["duration"], reported)
    print(f"{film.name}: {seen['size']} bytes, {seen['duration']} s, reported {reported:.1f} s", flush=True)
    if mode == "full":
        look_closer(ring, film)
    twirp.egress("StopEgress", api.StopEgressRequest(egress_id=egress), fails=True)

    assert end(publisher) == 0
    ring.webhooks.wait(room, "room_finished")
    for name in ring.webhooks.names(room):
        print("webhook", name, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("record", nargs="?", type=pathlib.Path)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--probe", action="store_true")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--tools", required=True)
    options = parser.parse_args()
    tools = dict(line.split("=", 1) for line in options.tools.splitlines())
    record = recorder(options.record)
    mode = "full" if options.full else "light"

    with Ring(tools, record) as ring:
        ring.start_redis()
        ring.start_livekit()
        twirp = Twirp(ring.url, record)
        worker = ring.start_worker(mode)
        record_a_room(ring, twirp, mode, options.seconds)
        if options.probe:
            end(worker)
            probe.everything(ring, twirp)
    print("ok", flush=True)


main()
