//! The binary: reads the command line and runs a command.

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use reelkeeper::commands::config::ConfigCommand;
use reelkeeper::commands::demo::DemoArgs;
use reelkeeper::commands::doctor::DoctorArgs;
use reelkeeper::commands::gc::GcArgs;
use reelkeeper::commands::openapi::OpenapiArgs;
use reelkeeper::commands::simulator::SimulatorArgs;
use reelkeeper::commands::webhooks::WebhooksCommand;
use reelkeeper::commands::{Failure, demo, dev, doctor, gc, serve, simulator};
use reelkeeper::config::{Flags, help, process_env};

/// Records LiveKit rooms and never loses a recording.
///
/// Options come from flags, then the environment, then --config FILE, then built-in defaults;
/// `reelkeeper config default` shows them all with their variables.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    ///
    /// LiveKit's address must be given: --livekit, REELKEEPER_LIVEKIT or LIVEKIT_URL. Ends on SIGTERM or
    /// SIGINT after what is under way is answered; recordings run on and are taken up by the next start.
    Serve(Box<Flags>),
    /// Run the service for trying it out: everything embedded in `data/`, a simulated LiveKit
    ///
    /// Listens on 127.0.0.1:6080, prepares a room with two simulated participants and an API key
    /// (MEET_INITIAL_API_KEY, else generated and kept), and prints ready-made curl lines. Decides address
    /// and backends itself: for these only flags count, not the environment.
    Dev(Box<Flags>),
    /// Record a simulated room into a file and check that it plays
    ///
    /// Runs the whole service on free ports and a fresh folder, shows each step, and exits 0 only if the
    /// file has a video track, a duration above 0 and the recorded size. A signal cuts the recording short
    /// and keeps its file; a second one gives it up.
    Demo(DemoArgs),
    /// Run the simulated LiveKit alone: rooms, egress and signed webhooks without a media server
    ///
    /// For trying things out and for tests, never for production. Faults, calls received and more are under
    /// `/control`, in JSON and without a token.
    Simulator(SimulatorArgs),
    /// Print what the janitors of a service would do now, and why: --dry-run
    ///
    /// One line for each candidate (task, verdict, room, recording, egress, reason), then a summary of each
    /// task. Changes nothing, and works beside a service that runs; give it the same options. "hand over": the
    /// room's owner would be asked to look, and decides by what it sees. What cannot be found out is kept; if
    /// LiveKit or the store is away, it says so and exits with 1.
    Gc(Box<GcArgs>),
    /// Try everything that the service needs, and say what to do about what fails
    ///
    /// Writes, reads back and removes a row, a lease, a lock and a file; shows LiveKit a token and compares clocks.
    /// Works beside a running service; give it the same options. With --probe it also makes a room in LiveKit,
    /// asks the running service whether the webhook arrived, and begins and stops an egress there. One line for
    /// each check; exits with 1 if one failed.
    Doctor(Box<DoctorArgs>),
    /// Print the OpenAPI document of the service: every route, what it takes and what it answers
    ///
    /// A service shows the same at <base path>/api/v1/openapi.json, and as a page at <base path>/api/v1/docs.
    Openapi(OpenapiArgs),
    /// Show outgoing webhooks that wait or were given up, send them again, or drop them
    ///
    /// Asks a running service; the API key comes from REELKEEPER_API_KEY, or MEET_INITIAL_API_KEY.
    #[command(subcommand)]
    Webhooks(WebhooksCommand),
    /// Look at the configuration without starting anything
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// The command line, with a help that says where each option comes from.
fn arguments() -> Arguments {
    let line = Arguments::command()
        .mut_subcommand("serve", |serve| help::with_every_option(help::with_sources(serve, &[])))
        .mut_subcommand("dev", |dev| help::with_sources(dev, dev::PRESETS))
        .mut_subcommand("gc", |gc| help::with_sources(gc, &[]))
        .mut_subcommand("doctor", |doctor| help::with_sources(doctor, &[]))
        .mut_subcommand("config", |config| {
            config.mut_subcommand("check", |check| help::with_sources(check, &[]))
        });
    Arguments::from_arg_matches(&line.get_matches()).unwrap_or_else(|error| error.exit())
}

fn main() -> ExitCode {
    let command = arguments().command;
    if let Command::Config(config) = &command {
        return config.run(process_env());
    }
    if let Command::Openapi(args) = &command {
        return args.run();
    }
    if let Command::Gc(args) = &command
        && !args.dry_run
    {
        return gc::refuse();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let ended = runtime.block_on(async {
        match command {
            Command::Serve(flags) => serve::run(*flags).await,
            Command::Dev(flags) => dev::run(*flags).await,
            Command::Demo(args) => Box::pin(demo::run(args)).await,
            Command::Simulator(args) => simulator::run(args).await,
            Command::Gc(args) => gc::run(*args).await,
            Command::Doctor(args) => doctor::run(*args).await,
            Command::Webhooks(command) => command.run().await,
            Command::Config(_) | Command::Openapi(_) => Ok(()),
        }
    });
    // A call that hangs in a blocking thread must not hold up the exit.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

#[allow(clippy::print_stderr, reason = "the last words of a command that failed")]
fn fail(error: &Failure) -> ExitCode {
    eprintln!("reelkeeper: {error}");
    ExitCode::FAILURE
}
