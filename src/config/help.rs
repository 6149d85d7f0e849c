//! What the help of a command says about options: variables and defaults.
//!
//! Owns the words only: names come from the tables of options, defaults from `config/default.toml`. Clap cannot
//! do it by itself, since it would read the variables too, past files and OpenVidu Meet's names.

use clap::Command;

use super::flags;
use super::layers::Layers;
use super::meet_env;
use super::options::OPTIONS;

/// Begins the list of all options.
const HEADING: &str =
    "Every option with its variables, ours first; `reelkeeper config default` says what each means:";

/// Adds its variables and its default to each flag that sets an option. What the command presets is the default
/// of its flag, and no variable sets it.
#[must_use]
pub fn with_sources(command: Command, presets: &[(&str, &str)]) -> Command {
    let defaults = Layers::defaults();
    command.mut_args(|arg| {
        let Some(key) = flags::key_of(arg.get_id().as_str()) else { return arg };
        let preset = presets.iter().find(|(preset, _)| *preset == key).map(|(_, value)| (*value).to_owned());
        let variables = if preset.is_some() { Vec::new() } else { variables(key) };
        let default = preset.or_else(|| defaults.default_of(key)).filter(|value| !value.is_empty());
        let variables = (!variables.is_empty()).then(|| format!("[env: {}]", variables.join(", ")));
        let default = default.map(|value| format!("[default: {value}]"));
        let notes: Vec<_> = variables.into_iter().chain(default).collect();
        let meaning = arg.get_help().map(ToString::to_string).unwrap_or_default();
        arg.help(format!("{meaning} {}", notes.join(" ")))
            .long_help(format!("{meaning}\n\n{}", notes.join("\n")))
    })
}

/// Adds the list of all options to a command's long help.
#[must_use]
pub fn with_every_option(command: Command) -> Command {
    let defaults = Layers::defaults();
    let width = OPTIONS.iter().map(|option| option.key.len()).max().unwrap_or_default();
    let lines = OPTIONS.iter().map(|option| {
        let default = defaults.default_of(option.key).filter(|value| !value.is_empty());
        let default = default.map(|value| format!(" [default: {value}]")).unwrap_or_default();
        format!("  {:width$}  {}{default}", option.key, variables(option.key).join(", "))
    });
    command.after_long_help(format!("{HEADING}\n{}", lines.collect::<Vec<_>>().join("\n")))
}

/// The variables of an option, the strongest first.
fn variables(key: &str) -> Vec<&'static str> {
    let ours = OPTIONS.iter().filter(|option| option.key == key).map(|option| option.variable);
    ours.chain(meet_env::names_of(key)).collect()
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command};

    use super::*;
    use crate::config::Flags;

    fn flags() -> Command {
        Flags::augment_args(Command::new("serve").term_width(100))
    }

    fn help(presets: &[(&str, &str)]) -> String {
        with_sources(flags(), presets).render_long_help().to_string()
    }

    #[test]
    fn a_flag_shows_its_variables_and_its_default() {
        insta::assert_snapshot!(help(&[]));
    }

    #[test]
    fn the_list_shows_every_option() {
        let help = with_every_option(flags()).render_long_help().to_string();
        for option in OPTIONS {
            let line = help.lines().find(|line| line.starts_with(&format!("  {} ", option.key)));
            assert!(line.is_some_and(|line| line.contains(option.variable)), "{}: {line:?}", option.key);
        }
        assert!(help.contains("REELKEEPER_BLOBS_SUBBUCKET, MEET_S3_SUBBUCKET,"));
        assert!(help.contains("[default: openvidu-meet]\n"));
    }

    #[test]
    fn a_flag_of_which_the_command_has_its_own_default_shows_that_one() {
        let help = help(&[("listen", "127.0.0.1:6080")]);
        let listen = help.split("--listen").nth(1).unwrap().split("--store").next().unwrap();
        assert!(listen.contains("[default: 127.0.0.1:6080]"), "{listen}");
        assert!(!listen.contains("[env:"), "{listen}");
    }
}
