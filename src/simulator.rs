//! The simulated LiveKit with LiveKit's real face: HTTP, tokens, protobuf, signed webhooks.
//!
//! Owns the face of the model in `reelkeeper_actors::simulator`: Twirp in protobuf and JSON, access tokens
//! and their grants, webhooks with LiveKit's signature and repeats, a small playable file for every egress,
//! and a door of its own under `/control` for whoever runs it (see [`control`]). Statuses, bodies and texts
//! are those of LiveKit server 1.13.5 as recorded from it.
//!
//! It is a tool for trying and testing: it never stands in for a real server in production, `/control`
//! asks nobody for a token, and it should listen on a loopback address.
//!
//! Read [`twirp`] next, then [`webhooks`] and [`control`].

pub mod control;
mod json;
mod line;
mod proto;
#[cfg(test)]
mod tests;
mod tokens;
pub mod twirp;
pub mod webhooks;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::get;
use bytes::Bytes;
use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::ports::blobs::Blobs;
use reelkeeper_actors::ports::clock::{Clock, Entropy, SystemClock, SystemEntropy};
use reelkeeper_actors::simulator::calls::Refusal;
use reelkeeper_actors::simulator::clock::{Timing, TokioClock};
use reelkeeper_actors::simulator::live::LiveWorld;
use reelkeeper_actors::simulator::rooms::{NewParticipant, NewRoom};
use reelkeeper_actors::simulator::{Sample, World};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::line::{Cut, Lines};
use self::tokens::Tokens;
use self::webhooks::{Retries, Sender, SentWebhook};

/// Every egress uploads this: 4 s of H.264 (main profile, 320x180, 15 frames a second) and AAC. Made by
///
/// ```text
/// ffmpeg -f lavfi -i testsrc2=size=320x180:rate=15:duration=4 -f lavfi -i sine=frequency=440:sample_rate=44100:duration=4
///   -c:v libx264 -profile:v main -preset veryslow -crf 34 -pix_fmt yuv420p -g 60 -c:a aac -b:a 24k -ac 1 -shortest
///   -map_metadata -1 -fflags +bitexact -flags:v +bitexact -flags:a +bitexact -movflags +faststart sample.mp4
/// ```
const SAMPLE: &[u8] = include_bytes!("simulator/sample.mp4");
/// What the file's movie header says.
const SAMPLE_DURATION: Duration = Duration::from_secs(4);
/// How long calls in flight may still be answered when it stops.
const FAREWELL: Duration = Duration::from_secs(1);

/// How a simulated LiveKit is set up.
pub struct SimulatorConfig {
    /// Where it listens; port 0 = a free one.
    pub listen: SocketAddr,
    /// Issuer of the tokens that it accepts and of its webhooks.
    pub api_key: String,
    /// Signs both.
    pub api_secret: String,
    /// Who is told by webhook.
    pub webhooks: Vec<String>,
    /// How often a webhook is tried again.
    pub retries: Retries,
    /// Where egresses write.
    pub blobs: Arc<dyn Blobs>,
    /// Where its chance comes from: ids and faults that have a chance. Two runs whose recordings end up in
    /// one database need different ones, or their ids meet.
    pub seed: u64,
    /// How long things take.
    pub timing: Timing,
}

impl SimulatorConfig {
    /// On a free port of the loopback address, with nobody to tell, LiveKit's own repeats, a seed that
    /// nobody knows and the usual timing.
    #[must_use]
    pub fn new(api_key: &str, api_secret: &str, blobs: Arc<dyn Blobs>) -> Self {
        // The last bytes are all random (see `ports::clock`).
        let seed = SystemEntropy.draw()[8..].iter().fold(0, |seed, byte| seed << 8 | u64::from(*byte));
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            api_key: api_key.to_owned(),
            api_secret: api_secret.to_owned(),
            webhooks: Vec::new(),
            retries: Retries::default(),
            blobs,
            seed,
            timing: Timing::default(),
        }
    }
}

/// A simulated LiveKit that listens, and runs while [`Self::run`] does.
pub struct Simulator {
    listener: TcpListener,
    address: SocketAddr,
    blobs: Arc<dyn Blobs>,
    shared: Shared,
    closing: CancellationToken,
}

/// What the handlers share.
#[derive(Clone)]
struct Shared {
    control: Control,
    tokens: Arc<Tokens>,
}

impl FromRef<Shared> for Control {
    fn from_ref(shared: &Shared) -> Self {
        shared.control.clone()
    }
}

/// The simulator as its owner sees it, from the same process.
#[derive(Clone)]
pub struct Control {
    live: Arc<LiveWorld>,
    sender: Arc<Sender>,
}

impl Simulator {
    /// Listens. Connections wait until [`Self::run`] is called.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(config: SimulatorConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let sample = Sample { content: Bytes::from_static(SAMPLE), duration: SAMPLE_DURATION };
        let world = World::new(config.seed, config.timing).with_sample(sample);
        let clock = TokioClock::starting_at(SystemClock.now());
        let closing = CancellationToken::new();
        let tokens = Arc::new(Tokens::new(&config.api_key, &config.api_secret));
        let sender = Sender::new(Arc::clone(&tokens), config.retries, closing.clone())?;
        for url in config.webhooks {
            sender.add(url);
        }
        let control = Control { live: LiveWorld::new(world, Arc::new(clock)), sender };
        Ok(Self { listener, address, blobs: config.blobs, shared: Shared { control, tokens }, closing })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Its rooms, faults and calls, and who is told.
    #[must_use]
    pub fn control(&self) -> Control {
        self.shared.control.clone()
    }

    /// Answers until `shutdown` is over; then calls in flight have a second, and webhooks that wait are
    /// dropped.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> io::Result<()> {
        let Self { listener, blobs, shared, closing, .. } = self;
        let _closed_at_the_end = closing.clone().drop_guard();
        let (live, sender) = (Arc::clone(&shared.control.live), Arc::clone(&shared.control.sender));
        let service = router(shared).into_make_service_with_connect_info::<Cut>();
        let serve = axum::serve(Lines::new(listener), service);
        let mut serve =
            std::pin::pin!(serve.with_graceful_shutdown(closing.clone().cancelled_owned()).into_future());
        let pump = live.pump(Some(blobs), |webhook| sender.send(&webhook));
        tokio::select! {
            served = &mut serve => return served,
            () = pump => {}
            () = shutdown => {}
        }
        closing.cancel();
        tokio::time::timeout(FAREWELL, serve).await.unwrap_or(Ok(()))
    }
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/", get(|| async { "OK" }))
        .route("/twirp/{*path}", axum::routing::any(twirp::serve))
        .nest("/control", control::routes())
        .with_state(shared)
}

impl Control {
    /// The world: rooms, participants, egresses, faults, calls received.
    #[must_use]
    pub fn live(&self) -> &Arc<LiveWorld> {
        &self.live
    }

    /// Makes a room with so many people who publish camera and microphone.
    ///
    /// # Errors
    /// When it has no space for them.
    pub fn add_room(&self, name: &RoomId, metadata: &str, people: u32) -> Result<(), Refusal> {
        self.live.with(|world| {
            world.create_room(NewRoom { metadata: metadata.to_owned(), ..NewRoom::named(name.clone()) })?;
            for number in 1..=people {
                world.join(name, NewParticipant::person(&format!("participant-{number}")))?;
            }
            Ok(())
        })
    }

    /// Tells this URL too, from the next event on.
    pub fn add_webhook(&self, url: &str) {
        self.sender.add(url.to_owned());
    }

    /// The webhooks that were sent, oldest first, and how they were answered.
    #[must_use]
    pub fn sent(&self) -> Vec<SentWebhook> {
        self.sender.sent()
    }
}
