//! `reelkeeper simulator`: the simulated LiveKit alone.
//!
//! Owns its options and its one line of output. What it does is `crate::simulator`'s.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::{Args, ValueEnum};
use reelkeeper_actors::ids::{ROOM_ID_MAX, RoomId};
use reelkeeper_actors::simulator::clock::Timing;

use crate::app;
use crate::simulator::{Simulator, SimulatorConfig};

use super::{Failure, until_signal};

/// Options of the simulated LiveKit.
#[derive(Debug, Clone, Args)]
pub struct SimulatorArgs {
    /// Port to listen on; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 7880)]
    pub port: u16,
    /// Address to listen on. Anybody who reaches it can control the simulator.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub listen: IpAddr,
    /// API key: issuer of the tokens it accepts and of its webhooks.
    #[arg(long, value_name = "KEY", env = "LIVEKIT_API_KEY", default_value = "devkey")]
    pub api_key: String,
    /// API secret: signs both.
    #[arg(
        long,
        value_name = "SECRET",
        env = "LIVEKIT_API_SECRET",
        default_value = "secret",
        hide_env_values = true
    )]
    pub api_secret: String,
    /// URL to tell by webhook, such as http://127.0.0.1:6080/livekit/webhook; may be given more than once.
    #[arg(long = "webhook", value_name = "URL", value_parser = webhook)]
    pub webhooks: Vec<String>,
    /// Where recordings are written: file://FOLDER, the folder that Reelkeeper reads from.
    #[arg(long, value_name = "URL", default_value = "file://data/blobs")]
    pub blobs: String,
    /// Seed of its ids and of faults that have a chance; drawn and shown if not given. The same seed and the
    /// same calls give the same history, and the same ids.
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Room to begin with, 1 to 100 letters, digits, `_` and `-`; may be given more than once.
    #[arg(long = "room", value_name = "NAME", value_parser = room)]
    pub rooms: Vec<RoomId>,
    /// People who publish in each of these rooms.
    #[arg(long, value_name = "NUMBER", default_value_t = 2)]
    pub participants: u32,
    /// How long everything takes: as usual, or nothing, so that whoever measures sees Reelkeeper's own time.
    #[arg(long, value_enum, default_value_t = Delays::Usual)]
    pub delays: Delays,
}

/// How long things take in LiveKit and its workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Delays {
    /// Quicker than a real server, in its order.
    Usual,
    /// What goes well takes no time.
    None,
}

impl Delays {
    fn timing(self) -> Timing {
        let usual = Timing::default();
        match self {
            Self::Usual => usual,
            Self::None => Timing {
                accept: Duration::ZERO,
                answer: Duration::ZERO,
                join: Duration::ZERO,
                activate: Duration::ZERO,
                leave: Duration::ZERO,
                upload: Duration::ZERO,
                webhook: Duration::ZERO,
                ..usual
            },
        }
    }
}

/// Runs until a signal ends it (SIGINT, SIGTERM).
///
/// # Errors
/// When the store cannot be opened, the address cannot be listened on, or a room has no space for its people.
pub async fn run(args: SimulatorArgs) -> Result<(), Failure> {
    let blobs = app::open_folder(&args.blobs).await?;
    let usual = SimulatorConfig::new(&args.api_key, &args.api_secret, blobs);
    let seed = args.seed.unwrap_or(usual.seed);
    let listen = SocketAddr::new(args.listen, args.port);
    let config =
        SimulatorConfig { listen, webhooks: args.webhooks, seed, timing: args.delays.timing(), ..usual };
    let simulator = Simulator::bind(config).await?;
    for room in &args.rooms {
        let added = simulator.control().add_room(room, "", args.participants);
        added.map_err(|refusal| format!("room '{room}': {}", refusal.message))?;
    }
    announce(simulator.local_addr(), seed);
    simulator.run(until_signal()?).await?;
    Ok(())
}

/// A room by its name as it stands: a cleaned one would be another room than the one that was meant.
fn room(name: &str) -> Result<RoomId, String> {
    match RoomId::clean(name) {
        Ok(room) if room.as_str() == name => Ok(room),
        _ => Err(format!("a room's name is 1 to {ROOM_ID_MAX} letters, digits, `_` and `-`")),
    }
}

/// A URL that can be told, as it stands.
fn webhook(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("a webhook goes to http:// or https://".to_owned());
    }
    Ok(text.to_owned())
}

#[allow(clippy::print_stdout, reason = "whoever started the command waits for this line")]
fn announce(address: SocketAddr, seed: u64) {
    println!("simulated LiveKit at http://{address} (control under /control, seed {seed})");
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: SimulatorArgs,
    }

    #[test]
    fn rooms_and_webhooks_may_be_given_more_than_once() {
        let line = "simulator --port 0 --room a --room b --webhook http://x/ --webhook http://y/ --seed 7";
        let args = Line::parse_from(line.split(' ')).args;
        assert_eq!((args.rooms.len(), args.webhooks.len(), args.seed, args.port), (2, 2, Some(7), 0));
        assert!(args.listen.is_loopback());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let long = "x".repeat(101);
        for name in ["", " ", "my room", "a/b", "é", "a.b", "a\n", &long] {
            let refused =
                Line::try_parse_from(["simulator", "--room", name]).map(|_| ()).unwrap_err().to_string();
            assert!(refused.contains("1 to 100 letters, digits"), "{name:?}: {refused}");
        }
        for url in ["", "nonsense", "localhost:6080", "ftp://x/"] {
            assert!(Line::try_parse_from(["simulator", "--webhook", url]).is_err(), "{url:?}");
        }
        let line = Line::parse_from(["simulator", "--room", "Town_Hall-1"]);
        assert_eq!(line.args.rooms, [RoomId::from_trusted("Town_Hall-1")]);
    }
}
