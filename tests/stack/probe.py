"""Asks the real server what a model of it has to answer, and lets its egress
end in every way. Nothing is judged here; the answers are in the record file.
"""

import threading
import time
from datetime import timedelta

from google.protobuf import json_format
from livekit import api

from ring import KEY, SECRET, Ring, end, wait_for
from twirp import ADMIN, Twirp, TwirpError, token

UNKNOWN = "EG_doesnotexist1"


def lists(twirp: Twirp, room: str, egress: str) -> None:
    twirp.egress("ListEgress", api.ListEgressRequest(egress_id=egress))
    twirp.egress("ListEgress", api.ListEgressRequest(room_name=room))
    twirp.egress("ListEgress", api.ListEgressRequest(room_name=room, active=True))
    twirp.egress("ListEgress", api.ListEgressRequest(active=True))
    twirp.egress("ListEgress", api.ListEgressRequest())
    twirp.room("ListParticipants", api.ListParticipantsRequest(room=room))
    twirp.room("ListRooms", api.ListRoomsRequest())
    twirp.room("ListRooms", api.ListRoomsRequest(names=[room]))


def composite(room: str, name: str, **more) -> api.RoomCompositeEgressRequest:
    output = api.EncodedFileOutput(file_type=api.EncodedFileType.MP4, filepath=f"recordings/{room}/{name}")
    return api.RoomCompositeEgressRequest(room_name=room, layout="grid", file_outputs=[output], **more)


def everything(ring: Ring, twirp: Twirp) -> None:
    alone = threading.Thread(target=without_worker, args=(ring.tools, twirp.record))
    alone.start()
    errors(twirp)
    ends(ring, twirp)
    killed(ring, twirp)
    alone.join()


def errors(twirp: Twirp) -> None:
    """Refusals that need no worker."""
    listing = api.ListEgressRequest(egress_id=UNKNOWN)
    twirp.egress("StartRoomCompositeEgress", composite("nobody-here", "a"), fails=True)
    twirp.egress("ListEgress", listing, fails=True)
    twirp.egress("ListEgress", api.ListEgressRequest(room_name="nobody-here"))
    twirp.egress("StopEgress", api.StopEgressRequest(egress_id=UNKNOWN), fails=True)
    twirp.room("DeleteRoom", api.DeleteRoomRequest(room="nobody-here"), fails=True)
    twirp.room("ListParticipants", api.ListParticipantsRequest(room="nobody-here"))
    twirp.room("UpdateRoomMetadata", api.UpdateRoomMetadataRequest(room="nobody-here", metadata="x"), fails=True)
    data = api.SendDataRequest(room="nobody-here", data=b"hello", kind=api.DataPacket.Kind.RELIABLE, topic="t")
    twirp.room("SendData", data, fails=True)
    nothing = dict.fromkeys(ADMIN, False)
    twirp.egress("ListEgress", listing, fails=True, grants=nothing)
    twirp.egress("StartRoomCompositeEgress", composite("nobody-here", "a"), fails=True, grants=nothing)
    twirp.room("ListRooms", api.ListRoomsRequest(), fails=True, grants=nothing)
    twirp.room("DeleteRoom", api.DeleteRoomRequest(room="nobody-here"), fails=True, grants=nothing)
    twirp.room("SendData", data, fails=True, grants=nothing)

    wrong = api.AccessToken(KEY, "another-secret-of-at-least-32-characters").with_grants(api.VideoGrants(**ADMIN)).to_jwt()
    stranger = api.AccessToken("nokey", "another-secret-of-at-least-32-characters").with_grants(api.VideoGrants(**ADMIN)).to_jwt()
    good, json = token(**ADMIN), "application/json"
    stale = api.AccessToken(KEY, SECRET).with_ttl(timedelta(hours=-1)).with_grants(api.VideoGrants(**ADMIN)).to_jwt()
    for bearer in (wrong, stranger, stale, "nonsense", "", None):
        twirp.post("Egress/ListEgress", json, b"{}", bearer)
        twirp.post("RoomService/ListRooms", json, b"{}", bearer)
    for path in ("Egress/NoSuchMethod", "NoSuchService/ListEgress", "Egress/"):
        twirp.post(path, json, b"{}", good)
    twirp.post("Egress/ListEgress", "application/protobuf", b"\xff\xff\xff", good)
    twirp.post("Egress/ListEgress", json, b"{", good)
    twirp.post("Egress/ListEgress", json, b'{"noSuchField":1}', good)
    twirp.post("Egress/ListEgress", "text/plain", b"{}", good)
    twirp.post("Egress/ListEgress", json, b"", good)


def begin(ring: Ring, twirp: Twirp, room: str, status: str, **more) -> str:
    twirp.room("CreateRoom", api.CreateRoomRequest(name=room, departure_timeout=1))
    ring.start_publisher(room)
    egress = twirp.egress("StartRoomCompositeEgress", composite(room, "film", **more)).egress_id
    ring.webhooks.wait(room, status)
    return egress


def ends(ring: Ring, twirp: Twirp) -> None:
    worker = ring.start_worker("light", "--upload-delay", "2s", name="worker-ends")
    egress = begin(ring, twirp, "stopped", "egress_updated EGRESS_ACTIVE")
    twirp.egress("StopEgress", api.StopEgressRequest(egress_id=egress))
    twirp.egress("StopEgress", api.StopEgressRequest(egress_id=egress))  # again, while it uploads
    ring.webhooks.wait("stopped", "egress_ended EGRESS_COMPLETE")

    egress = begin(ring, twirp, "deleted", "egress_updated EGRESS_ACTIVE", preset=api.EncodingOptionsPreset.H264_720P_30)
    twirp.egress("ListEgress", api.ListEgressRequest(egress_id=egress))
    twirp.room("DeleteRoom", api.DeleteRoomRequest(room="deleted"))
    ring.webhooks.wait("deleted", "egress_ended EGRESS_COMPLETE")
    twirp.egress("ListEgress", api.ListEgressRequest(room_name="deleted"))

    advanced = api.EncodingOptions(width=640, height=360, framerate=15, video_codec=api.VideoCodec.H264_MAIN)
    begin(ring, twirp, "emptied", "egress_updated EGRESS_ACTIVE", advanced=advanced)
    end(ring.started[-1])
    ring.webhooks.wait("emptied", "participant_left")
    time.sleep(4)  # is a room with a recorder alone in it an empty one?
    twirp.room("ListRooms", api.ListRoomsRequest(names=["emptied"]))
    twirp.egress("ListEgress", api.ListEgressRequest(room_name="emptied"))
    end(worker)

    worker = ring.start_worker("light", "--active-after", "20s", name="worker-slow")
    egress = begin(ring, twirp, "aborted", "egress_started EGRESS_STARTING")
    twirp.egress("StopEgress", api.StopEgressRequest(egress_id=egress))
    ring.webhooks.wait("aborted", "egress_ended EGRESS_ABORTED")
    end(worker)

    worker = ring.start_worker("light", "--limit", "1s", name="worker-limited")
    begin(ring, twirp, "limited", "egress_ended EGRESS_LIMIT_REACHED")
    in_json(ring, twirp)
    end(worker)

    worker = ring.start_worker("light", "--fail", "could not open the page", name="worker-failing")
    begin(ring, twirp, "failed", "egress_ended EGRESS_FAILED")
    end(worker)

    worker = ring.start_worker("light", "--capacity", "0", name="worker-full")
    try:
        begin(ring, twirp, "refused", "egress_started EGRESS_STARTING")
    except TwirpError:
        pass
    end(worker)


def in_json(ring: Ring, twirp: Twirp) -> None:
    """The same calls as any script would send them, with a secret to redact."""
    twirp.room("CreateRoom", api.CreateRoomRequest(name="json", departure_timeout=1))
    ring.start_publisher("json")
    request = composite("json", "film")
    request.file_outputs[0].s3.CopyFrom(api.S3Upload(access_key="access", secret="hidden", bucket="b", region="us-east-1"))
    body = json_format.MessageToJson(request).encode()
    twirp.post("Egress/StartRoomCompositeEgress", "application/json", body, token(**ADMIN))
    ring.webhooks.wait("json", "egress_ended EGRESS_LIMIT_REACHED")


def killed(ring: Ring, twirp: Twirp) -> None:
    worker = ring.start_worker(name="worker-killed")
    egress = begin(ring, twirp, "killed", "egress_updated EGRESS_ACTIVE")
    worker.kill()
    died = time.monotonic()
    worker.wait()
    twirp.egress("StopEgress", api.StopEgressRequest(egress_id=egress), fails=True)

    def left() -> bool:
        return any(
            event["event"] == "participant_left" and event["participant"]["identity"] == egress
            for event in list(ring.webhooks.events)
        )

    wait_for("recorder dropped", left, 60)
    twirp.record({"kind": "note", "body": f"recorder dropped {time.monotonic() - died:.1f} s after SIGKILL"})
    lists(twirp, "killed", egress)


def without_worker(tools: dict[str, str], record) -> None:
    """On a server of its own: nobody takes the egress."""
    with Ring(tools, lambda entry: record({"ring": "without worker", **entry})) as ring:
        ring.start_redis()
        ring.start_livekit()
        twirp = Twirp(ring.url, lambda entry: record({"ring": "without worker", **entry}))
        twirp.room("CreateRoom", api.CreateRoomRequest(name="alone"))
        body = composite("alone", "film").SerializeToString()
        twirp.post("Egress/StartRoomCompositeEgress", "application/protobuf", body, token(**ADMIN), seconds=60)
        twirp.post("Egress/StartRoomCompositeEgress", "application/protobuf", body, token(**ADMIN), seconds=300)
        twirp.egress("ListEgress", api.ListEgressRequest(room_name="alone"))
