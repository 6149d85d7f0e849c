//! `doctor`: whether everything that the service needs is there and works, and what to do if not.
//!
//! Owns what is printed, and the exit code. What is tried is `crate::doctor`'s.

use std::io::{self, Write};

use super::Failure;
use crate::app::{self, checkup};
use crate::config::{Config, Flags, process_env};
use crate::doctor::{Finding, Outcome, Probe};
use crate::telemetry;

/// What to look at, and how to say it.
#[derive(Debug, Clone, clap::Args)]
pub struct DoctorArgs {
    /// Also make a room in LiveKit, see whether its webhook reaches the running service, and begin and stop an egress
    #[arg(long)]
    pub probe: bool,
    /// Where the running service is, for --probe; else its own port on this machine
    #[arg(long, value_name = "URL")]
    pub service: Option<String>,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
    /// The options of the service that is looked at
    #[command(flatten)]
    pub flags: Flags,
}

/// Looks at everything and prints a line for each check.
///
/// # Errors
/// All faults of the configuration at once; that something failed, after all of it was printed.
pub async fn run(args: DoctorArgs) -> Result<(), Failure> {
    let (config, warnings) = Config::load(&args.flags, process_env())?;
    telemetry::init(&config.log.filter, config.log.format, &app::new_node())?;
    let mut findings: Vec<_> = warnings
        .into_iter()
        .map(|warning| Finding::of("configuration", Outcome::Warning, warning.to_string(), ""))
        .collect();
    let looked = Box::pin(checkup::checkup(&config)).await?;
    findings.extend(looked.findings);
    match looked.media_server {
        Some(media_server) if args.probe => {
            let usual = || format!("http://127.0.0.1:{}", config.listen.port());
            let origin = args.service.clone().unwrap_or_else(usual).trim_end_matches('/').to_owned();
            findings.extend(Probe { config: &config, media_server: &*media_server, origin }.run().await);
        }
        Some(_) => {
            let seen = "whether webhooks arrive and an egress worker is there cannot be known from here";
            findings.push(Finding::of(
                "worker",
                Outcome::Unknown,
                seen,
                "run it with --probe beside the service",
            ));
        }
        None => {}
    }
    let form = if args.json { Form::Json } else { Form::Lines };
    write(&mut io::stdout().lock(), &findings, form)?;
    match findings.iter().filter(|finding| finding.outcome == Outcome::Failed).count() {
        0 => Ok(()),
        1 => Err("one check failed".into()),
        failed => Err(format!("{failed} checks failed").into()),
    }
}

/// How findings are printed.
#[derive(Clone, Copy)]
enum Form {
    Lines,
    Json,
}

fn write(out: &mut impl Write, findings: &[Finding], form: Form) -> io::Result<()> {
    if matches!(form, Form::Json) {
        serde_json::to_writer_pretty(&mut *out, findings)?;
        return writeln!(out);
    }
    for Finding { check, outcome, seen, advice, took_ms } in findings {
        let outcome = match outcome {
            Outcome::Ok => "ok",
            Outcome::Warning => "warning",
            Outcome::Failed => "FAILED",
            Outcome::Unknown => "unknown",
        };
        let took = if *took_ms > 0 { format!(" ({took_ms} ms)") } else { String::new() };
        let advice = if advice.is_empty() { String::new() } else { format!("; {advice}") };
        writeln!(out, "{outcome:8} {check:14} {seen}{took}{advice}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_is_a_line_with_what_to_do() {
        let findings = [
            Finding { took_ms: 3, ..Finding::of("store", Outcome::Ok, "mongodb://db: wrote a row", "") },
            Finding::of("blobs", Outcome::Failed, "s3://films: no such bucket", "mend it"),
        ];
        let mut out = Vec::new();
        write(&mut out, &findings, Form::Lines).unwrap();
        let expected = "ok       store          mongodb://db: wrote a row (3 ms)\n\
                        FAILED   blobs          s3://films: no such bucket; mend it\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let mut out = Vec::new();
        write(&mut out, &findings, Form::Json).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(read[1]["outcome"], "failed");
        assert_eq!(read[0]["tookMs"], 3);
    }
}
