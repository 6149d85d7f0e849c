// The page that the full egress worker records: every video side by side.
// It tells the worker over the console when to start (the first video plays)
// and when to end (the room is over), as LiveKit's own templates do. When the
// worker answers its request for /leave, it leaves the room.
import { Room, RoomEvent, Track } from 'livekit-client';

const query = new URLSearchParams(location.search);
const grid = document.getElementById('grid');
const room = new Room({ adaptiveStream: false, dynacast: false });
let started = false;

function start() {
  if (started) return;
  started = true;
  console.log('START_RECORDING');
}

room.on(RoomEvent.TrackSubscribed, (track) => {
  const element = track.attach();
  if (track.kind === Track.Kind.Video) {
    element.addEventListener('playing', start, { once: true });
    grid.appendChild(element);
  } else {
    document.body.appendChild(element);
  }
});
room.on(RoomEvent.TrackUnsubscribed, (track) => track.detach().forEach((element) => element.remove()));
room.on(RoomEvent.Disconnected, () => console.log('END_RECORDING'));

room.connect(query.get('url'), query.get('token')).catch((error) => {
  console.error(`cannot join: ${error}`);
  console.log('END_RECORDING');
});

fetch('leave').then((answer) => answer.ok && room.disconnect()).catch(() => {});
