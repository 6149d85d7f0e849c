//! `webhooks`: outgoing webhooks that wait or were given up: shows them, sends them again, drops them.
//!
//! Owns what is printed. Asks a running service over its API, so that a webhook is changed where it is delivered.

use std::io::{self, Write};
use std::time::Duration;

use reelkeeper_actors::ports::outbox::LetterState;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Url};
use serde::Deserialize;
use serde_json::Value;

use super::Failure;

/// Until the service's answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// As many as the service shows at once.
const PAGE: &str = "100";
/// Where the API key is looked for.
const KEYS: [&str; 2] = ["REELKEEPER_API_KEY", "MEET_INITIAL_API_KEY"];
/// The route.
const WEBHOOKS: &str = "internal-api/v1/webhooks";

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum WebhooksCommand {
    /// Show them, oldest first, one line each: id, state, event, tries, last error
    List(ListArgs),
    /// Try some that were given up again, from the beginning
    Replay(SomeArgs),
    /// Give some up for good: nobody is told
    Drop(SomeArgs),
}

/// Where the service is.
#[derive(Debug, Clone, clap::Args)]
pub struct WhomArgs {
    /// Where the running service is, with its base path
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:6080/meet")]
    pub service: Url,
}

/// Which to show.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// `waiting`, `delivered` or `dead`, which were given up
    #[arg(long, default_value = "dead", value_parser = LetterState::ALL.map(LetterState::name))]
    pub state: String,
    /// Print them as JSON, an object on each line
    #[arg(long)]
    pub json: bool,
    /// Whom to ask
    #[command(flatten)]
    pub service: WhomArgs,
}

/// Which to change.
#[derive(Debug, clap::Args)]
pub struct SomeArgs {
    /// The ids that `list` shows
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub ids: Vec<String>,
    /// All that were given up
    #[arg(long)]
    pub all: bool,
    /// Whom to ask
    #[command(flatten)]
    pub service: WhomArgs,
}

/// One of them, as the service shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: String,
    event: String,
    state: String,
    tries: u32,
    #[serde(default)]
    last_error: String,
}

impl WebhooksCommand {
    /// Asks the service and prints its answers.
    ///
    /// # Errors
    /// When there is no API key, or the service cannot be asked or refuses; that some could not be changed, after all
    /// were tried.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(args) => list(args).await,
            Self::Replay(args) => change(args, Method::POST, "replay", "is sent again").await,
            Self::Drop(args) => change(args, Method::DELETE, "", "is dropped").await,
        }
    }
}

async fn list(args: ListArgs) -> Result<(), Failure> {
    let service = Asked::new(args.service)?;
    let mut out = io::stdout().lock();
    let mut after = None;
    loop {
        let page = service.page(&args.state, after.as_deref()).await?;
        for webhook in &page.webhooks {
            if args.json {
                writeln!(out, "{webhook}")?;
                continue;
            }
            let Shown { id, event, state, tries, last_error } = Shown::deserialize(webhook)?;
            writeln!(out, "{id}  {state}  {event}  {tries} tries  {last_error}")?;
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

async fn change(args: SomeArgs, method: Method, verb: &str, done: &str) -> Result<(), Failure> {
    let service = Asked::new(args.service)?;
    let ids = if args.all { service.all_dead().await? } else { args.ids };
    let mut out = io::stdout().lock();
    let mut failed = 0_usize;
    for id in &ids {
        let path = [Some(id.as_str()), Some(verb).filter(|verb| !verb.is_empty())];
        match service.ask(method.clone(), path.into_iter().flatten(), &[]).await {
            Ok(_) => writeln!(out, "{id} {done}")?,
            Err(why) => {
                failed += 1;
                writeln!(out, "{id} FAILED: {why}")?;
            }
        }
    }
    match failed {
        0 => Ok(()),
        failed => Err(format!("{failed} of {} could not be changed", ids.len()).into()),
    }
}

#[derive(Deserialize)]
struct Page {
    webhooks: Vec<Value>,
    next: Option<String>,
}

/// A running service.
struct Asked {
    client: Client,
    url: Url,
    key: String,
}

impl Asked {
    fn new(args: WhomArgs) -> Result<Self, Failure> {
        let key = KEYS.iter().find_map(|name| std::env::var(name).ok().filter(|key| !key.is_empty()));
        let key = key.ok_or_else(|| format!("no API key: set {} to one of the service's", KEYS[0]))?;
        // The key goes to the service that was named and to nobody else.
        let client = Client::builder().timeout(TIMEOUT).redirect(Policy::none()).no_proxy().build()?;
        Ok(Self { client, url: args.service, key })
    }

    async fn ask(
        &self,
        method: Method,
        path: impl IntoIterator<Item = &str>,
        query: &[(&str, &str)],
    ) -> Result<Value, Failure> {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .map_err(|()| format!("{} is no address of a service", self.url))?
            .pop_if_empty()
            .extend(WEBHOOKS.split('/'))
            .extend(path);
        url.query_pairs_mut().extend_pairs(query);
        let answer = self.client.request(method, url).header("x-api-key", &self.key).send().await;
        let answer = answer.map_err(|error| format!("{} cannot be asked: {error}", self.url))?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        if status.is_success() {
            return Ok(body);
        }
        let elsewhere = if status.is_redirection() {
            "it sends elsewhere, name that address"
        } else {
            "this is no Reelkeeper, or its base path is another"
        };
        let why = body["message"].as_str().unwrap_or(elsewhere);
        Err(format!("{} answered {}: {why}", self.url, status.as_u16()).into())
    }

    async fn page(&self, state: &str, after: Option<&str>) -> Result<Page, Failure> {
        let mut query = vec![("state", state), ("maxItems", PAGE)];
        query.extend(after.map(|after| ("after", after)));
        Ok(Page::deserialize(self.ask(Method::GET, [], &query).await?)?)
    }

    async fn all_dead(&self) -> Result<Vec<String>, Failure> {
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let page = self.page(LetterState::Dead.name(), after.as_deref()).await?;
            for webhook in page.webhooks {
                ids.push(Shown::deserialize(webhook)?.id);
            }
            after = page.next;
            if after.is_none() {
                return Ok(ids);
            }
        }
    }
}
