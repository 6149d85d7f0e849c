//! `reelkeeper simulator`: the simulated LiveKit alone.
//!
//! Owns its options and its one line of output. What it does is `crate::simulator`'s.

use std::net::{IpAddr, SocketAddr};

use clap::Args;
use reelkeeper_actors::ids::RoomId;

use crate::app;
use crate::simulator::{Simulator, SimulatorConfig};

use super::{Failure, until_signal};

/// Options of the simulated LiveKit.
#[derive(Debug, Clone, Args)]
pub struct SimulatorArgs {
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 7880)]
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
    #[arg(long = "webhook", value_name = "URL")]
    pub webhooks: Vec<String>,
    /// Where recordings are written: file://FOLDER, the folder that Reelkeeper reads from.
    #[arg(long, value_name = "URL", default_value = "file://data/blobs")]
    pub blobs: String,
    /// Seed of its ids and of faults that have a chance; drawn and shown if not given. The same seed and the
    /// same calls give the same history, and the same ids.
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Room to begin with; may be given more than once.
    #[arg(long = "room", value_name = "NAME")]
    pub rooms: Vec<String>,
    /// People who publish in each of these rooms.
    #[arg(long, value_name = "NUMBER", default_value_t = 2)]
    pub participants: u32,
}

/// Runs until a signal ends it (SIGINT, SIGTERM).
///
/// # Errors
/// When the store cannot be opened, a room name is not one, or the address cannot be listened on.
pub async fn run(args: SimulatorArgs) -> Result<(), Failure> {
    let blobs = app::open_blobs(&args.blobs).await?;
    let usual = SimulatorConfig::new(&args.api_key, &args.api_secret, blobs);
    let seed = args.seed.unwrap_or(usual.seed);
    let listen = SocketAddr::new(args.listen, args.port);
    let config = SimulatorConfig { listen, webhooks: args.webhooks, seed, ..usual };
    let simulator = Simulator::bind(config).await?;
    for name in &args.rooms {
        let room = RoomId::clean(name)?;
        simulator.control().add_room(&room, "", args.participants).map_err(|refusal| refusal.message)?;
    }
    announce(simulator.local_addr(), seed);
    simulator.run(until_signal()?).await?;
    Ok(())
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
}
