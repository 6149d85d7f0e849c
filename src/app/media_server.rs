//! Which LiveKit: a real one, or the simulated one in this process, reached over loopback like a real one.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use reelkeeper_actors::ports::clock::{Entropy, SystemEntropy};
use reelkeeper_actors::ports::media_server::MediaServer;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::AppError;
use super::parts::Stores;
use crate::adapters::livekit::{LiveKitOptions, LiveKitServer};
use crate::config::{Config, MediaServerUrl, Secret};
use crate::simulator::{Control, Simulator, SimulatorConfig};

/// Issuer of the tokens of a simulated LiveKit in this process.
const SIMULATED_KEY: &str = "simulated";
/// Where the data folder keeps its secret.
const SECRET_FILE: &str = "simulated-livekit-secret";

/// LiveKit as this node sees it.
pub(super) struct MediaServerPart {
    pub(super) port: Arc<dyn MediaServer>,
    /// What clients are told.
    pub(super) public_url: String,
    pub(super) api_key: String,
    pub(super) api_secret: Secret,
    pub(super) simulator: Option<Control>,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

impl MediaServerPart {
    pub(super) async fn start(config: &Config, stores: &Stores) -> Result<Self, AppError> {
        match &config.livekit.url {
            MediaServerUrl::Server(url) => {
                let (key, secret) = (&config.livekit.api_key, &config.livekit.api_secret);
                Ok(Self {
                    port: connect(config, url, key, secret)?,
                    public_url: config.livekit.public_url.clone().unwrap_or_else(|| url.clone()),
                    api_key: key.clone(),
                    api_secret: secret.clone(),
                    simulator: None,
                    running: None,
                })
            }
            MediaServerUrl::Simulated => Self::simulate(config, stores).await,
        }
    }

    async fn simulate(config: &Config, stores: &Stores) -> Result<Self, AppError> {
        let secret = kept_secret(&config.data_folder.join(SECRET_FILE))
            .map_err(|error| AppError::Simulator(format!("its secret cannot be kept: {error}")))?;
        let settings = SimulatorConfig::new(SIMULATED_KEY, secret.expose(), stores.blobs.clone());
        let simulator = Simulator::bind(settings).await;
        let simulator = simulator.map_err(|error| AppError::Simulator(error.to_string()))?;
        let url = format!("http://{}", simulator.local_addr());
        tracing::info!("simulated LiveKit at {url}");
        let control = simulator.control();
        let closing = CancellationToken::new();
        let shutdown = closing.clone().cancelled_owned();
        let task = tokio::spawn(async move {
            if let Err(error) = simulator.run(shutdown).await {
                tracing::error!(%error, "simulated LiveKit failed");
            }
        });
        Ok(Self {
            port: connect(config, &url, SIMULATED_KEY, &secret)?,
            public_url: url.replacen("http", "ws", 1),
            api_key: SIMULATED_KEY.to_owned(),
            api_secret: secret,
            simulator: Some(control),
            running: Some((closing, task)),
        })
    }

    /// A simulated LiveKit tells this node; a real one is configured to.
    pub(super) fn tell_webhooks_to(&self, address: SocketAddr) {
        if let Some(simulator) = &self.simulator {
            let host = if address.ip().is_unspecified() { [127, 0, 0, 1].into() } else { address.ip() };
            simulator
                .add_webhook(&format!("http://{}/livekit/webhook", SocketAddr::new(host, address.port())));
        }
    }

    pub(super) async fn stop(self) {
        if let Some((closing, task)) = self.running {
            closing.cancel();
            let _ = task.await;
        }
    }
}

/// LiveKit from beside the service.
pub(super) fn connect_outside(config: &Config) -> Result<Arc<dyn MediaServer>, AppError> {
    match &config.livekit.url {
        MediaServerUrl::Server(url) => {
            connect(config, url, &config.livekit.api_key, &config.livekit.api_secret)
        }
        MediaServerUrl::Simulated => {
            let problem =
                "livekit.url is sim://: only the service that runs the simulated LiveKit can ask it";
            Err(AppError::Configuration(problem.to_owned()))
        }
    }
}

fn connect(config: &Config, url: &str, key: &str, secret: &Secret) -> Result<Arc<dyn MediaServer>, AppError> {
    let server = LiveKitServer::new(&LiveKitOptions {
        url: url.to_owned(),
        api_key: key.to_owned(),
        api_secret: secret.clone(),
        call_timeout: config.livekit.call_timeout,
        start_call_timeout: config.start_call_timeout(),
        calls_in_flight: config.livekit.calls_in_flight,
        starts_in_flight: config.livekit.starts_in_flight,
        signals_in_flight: config.livekit.signals_in_flight,
    })?;
    Ok(Arc::new(server))
}

/// The secret in this file; made at the first time, readable by its owner only.
fn kept_secret(path: &Path) -> std::io::Result<Secret> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let made = u128::from_le_bytes(SystemEntropy.draw());
    let secret = format!("{made:032x}");
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match opened {
        Ok(mut file) => {
            file.write_all(secret.as_bytes())?;
            Ok(Secret::new(secret))
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Ok(Secret::new(std::fs::read_to_string(path)?.trim()))
        }
        Err(error) => Err(error),
    }
}
