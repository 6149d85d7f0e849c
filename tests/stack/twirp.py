"""Calls LiveKit's API over plain HTTP and keeps every answer as it came, first
with a protobuf body and then, for calls that only look, with a JSON one too.
"""

import json
import time
import urllib.error
import urllib.request

from google.protobuf import json_format
from livekit import api

from ring import KEY, SECRET

ADMIN = dict(room_create=True, room_list=True, room_admin=True, room_record=True)
ANSWERS = {
    "StartRoomCompositeEgress": api.EgressInfo,
    "StopEgress": api.EgressInfo,
    "ListEgress": api.ListEgressResponse,
    "CreateRoom": api.Room,
    "ListRooms": api.ListRoomsResponse,
    "DeleteRoom": api.DeleteRoomResponse,
    "ListParticipants": api.ListParticipantsResponse,
    "SendData": api.SendDataResponse,
    "UpdateRoomMetadata": api.Room,
}


def token(room: str = "", **grants) -> str:
    return api.AccessToken(KEY, SECRET).with_identity("reelkeeper").with_grants(api.VideoGrants(room=room, **grants)).to_jwt()


class TwirpError(Exception):
    pass


class Twirp:
    def __init__(self, url: str, record):
        self.base = url.replace("ws", "http", 1) + "/twirp/livekit."
        self.record = record

    def egress(self, method: str, request, **options):
        return self.call("Egress", method, request, **options)

    def room(self, method: str, request, **options):
        return self.call("RoomService", method, request, **options)

    def call(self, service: str, method: str, request, fails: bool = False, grants: dict | None = None):
        """The decoded answer. `fails` says that an error is expected."""
        bearer = token(getattr(request, "room", "") or "", **(ADMIN if grants is None else grants))
        body = request.SerializeToString()
        status, answer = self.post(f"{service}/{method}", "application/protobuf", body, bearer)
        if (status != 200) != fails:
            raise TwirpError(f"{method}: {status} {answer!r}")
        if not fails:
            message = ANSWERS[method].FromString(answer)
            self.note_last(json_format.MessageToDict(message))
        if fails or method.startswith("List"):
            self.post(f"{service}/{method}", "application/json", json_format.MessageToJson(request).encode(), bearer)
        return None if fails else message

    def post(self, path: str, content_type: str, body: bytes, bearer: str | None, seconds: float = 70):
        request = urllib.request.Request(self.base + path, body, {"Content-Type": content_type})
        if bearer is not None:
            request.add_header("Authorization", f"Bearer {bearer}")
        begun = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                status, headers, content = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            status, headers, content = error.code, error.headers, error.read()
        except (TimeoutError, urllib.error.URLError) as error:
            status, headers, content = 0, {}, repr(error).encode()
        self.record({
            "kind": "twirp", "call": path, "content_type": content_type,
            "request": body.decode() if content_type == "application/json" else body.hex(),
            "seconds": round(time.monotonic() - begun, 3), "status": status, "headers": dict(headers.items()),
            "body": readable(content),
        })
        return status, content

    def note_last(self, decoded: dict) -> None:
        self.record({"kind": "decoded", "body": decoded})


def readable(content: bytes):
    try:
        return json.loads(content)
    except ValueError:
        pass
    try:
        text = content.decode()
        if text.isprintable():
            return text
    except UnicodeDecodeError:
        pass
    return {"hex": content.hex()}
