//! `config check` and `config default`: what is set, from where, and what is wrong with it.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::config::{self, DEFAULT_TOML, Examined, Flags};

/// Looks at the configuration without starting anything.
#[derive(Debug, clap::Subcommand)]
pub enum ConfigCommand {
    /// Print every option in effect with its source, then faults and warnings; exit 1 if there are faults
    Check(Box<Flags>),
    /// Print all options with their defaults, as a file to start from
    Default,
}

impl ConfigCommand {
    /// Carries it out with this environment, on standard output.
    #[must_use]
    pub fn run(&self, env: impl IntoIterator<Item = (String, String)>) -> ExitCode {
        let mut out = io::stdout().lock();
        let written = match self {
            Self::Check(flags) => write_check(&mut out, &config::examine(flags, env)),
            Self::Default => out.write_all(DEFAULT_TOML.as_bytes()).map(|()| ExitCode::SUCCESS),
        };
        // A reader that went away, such as `head`, has seen what it wanted.
        written.unwrap_or(ExitCode::FAILURE)
    }
}

fn write_check(out: &mut impl Write, examined: &Examined) -> io::Result<ExitCode> {
    for setting in &examined.settings {
        writeln!(out, "{setting}")?;
    }
    match &examined.outcome {
        Ok((_, warnings)) => {
            for warning in warnings {
                writeln!(out, "warning: {warning}")?;
            }
            writeln!(out, "the configuration is good")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(faults) => {
            writeln!(out, "{faults}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(env: &[(&str, &str)]) -> String {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut out = Vec::new();
        write_check(&mut out, &config::examine(&Flags::default(), env)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_check_shows_every_option_and_hides_secrets() {
        let text = check(&[
            ("REELKEEPER_LIVEKIT", "ws://livekit:7880"),
            ("LIVEKIT_API_SECRET", "hush-hush"),
            ("REELKEEPER_INITIAL_API_KEY", "hush-hush"),
        ]);
        insta::assert_snapshot!(text);
        assert!(!text.contains("hush-hush"));
    }

    #[test]
    fn a_check_shows_all_faults_below_the_options() {
        let text = check(&[("REELKEEPER_STOP_TIMEOUT", "soon"), ("REELKEEPER_LISTEN", "6080")]);
        let faults = text.split_once("the configuration has 3 faults\n").unwrap().1;
        insta::assert_snapshot!(faults);
    }
}
