//! Logs: one line per event on standard error, times in UTC, `node.id` on every line.
//!
//! Standard output belongs to the commands. `node.id` is put in by the formatter and not by a span, since
//! a span does not follow work into another task.

use std::fmt;
use std::io::IsTerminal;
use std::str::FromStr;

use reelkeeper_actors::ids::NodeId;
use tracing::field::Field;
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for a terminal, JSON for anything else.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err("must be auto, json or text".to_owned()),
        }
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("the log filter {0}")]
    Filter(String),
    /// Something else in this process logs already.
    #[error("logging is set up already")]
    Taken,
}

/// Whether a log filter can be read.
///
/// # Errors
/// The rest of a sentence about it.
pub fn check_filter(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

/// A lone word that is no level would be taken for a target, and nothing else would be logged.
fn parse(text: &str) -> Result<EnvFilter, String> {
    let directives = text.split(',').map(str::trim);
    let wanted =
        "must be a level (error, warn, info, debug, trace) or directives such as info,reelkeeper=debug";
    for directive in directives {
        let level = directive.rsplit_once('=').map_or(directive, |(_, level)| level);
        if tracing_subscriber::filter::LevelFilter::from_str(level).is_err() || level.is_empty() {
            return Err(wanted.to_owned());
        }
    }
    EnvFilter::try_new(text).map_err(|_| wanted.to_owned())
}

/// Logs from now on, for the rest of the process's life, in the name of this node.
///
/// # Errors
/// When the filter cannot be read, or logging is set up already.
pub fn init(filter: &str, format: LogFormat, node: &NodeId) -> Result<(), TelemetryError> {
    let terminal = std::io::stderr().is_terminal();
    let colours = if terminal { Colours::On } else { Colours::Off };
    let json = format == LogFormat::Json || (format == LogFormat::Auto && !terminal);
    let installed = if json {
        json_lines(filter, node, std::io::stderr)?.try_init()
    } else {
        text_lines(filter, node, colours, std::io::stderr)?.try_init()
    };
    installed.map_err(|_| TelemetryError::Taken)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colours {
    On,
    Off,
}

type Lines = Box<dyn Subscriber + Send + Sync>;

fn json_lines<W>(filter: &str, node: &NodeId, writer: W) -> Result<Lines, TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let head = format!("\"node.id\":{},", serde_json::Value::from(node.as_str()));
    let inner = format::format().json().flatten_event(true).with_current_span(false).with_span_list(true);
    Ok(Box::new(
        tracing_subscriber::fmt()
            .json()
            .with_env_filter(parse(filter).map_err(TelemetryError::Filter)?)
            .event_format(WithNode { inner, place: Place::AfterBrace, text: head })
            .with_writer(writer)
            .finish(),
    ))
}

fn text_lines<W>(filter: &str, node: &NodeId, colours: Colours, writer: W) -> Result<Lines, TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let colours = colours == Colours::On;
    Ok(Box::new(
        tracing_subscriber::fmt()
            .with_env_filter(parse(filter).map_err(TelemetryError::Filter)?)
            .with_ansi(colours)
            .fmt_fields(format::debug_fn(write_field).delimited(" "))
            .event_format(WithNode {
                inner: format::format().with_ansi(colours),
                place: Place::AtEnd,
                text: format!(" node.id={node}"),
            })
            .with_writer(writer)
            .finish(),
    ))
}

/// `field=value`. Ids come from outside: none may break its line or speak to the terminal. JSON escapes by
/// itself.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    // What comes by way of the crate `log` repeats its line's head in fields of these names.
    if field.name().starts_with("log.") {
        return Ok(());
    }
    if field.name() != "message" {
        write!(writer, "{}=", field.name())?;
    }
    for character in format!("{value:?}").chars() {
        if character.is_control() {
            write!(writer, "{}", character.escape_default())?;
        } else {
            writer.write_char(character)?;
        }
    }
    Ok(())
}

/// Where in a line the node's id goes.
enum Place {
    AfterBrace,
    AtEnd,
}

/// Another format, with the node's id in each line.
struct WithNode<F> {
    inner: F,
    place: Place,
    text: String,
}

impl<S, N, F> FormatEvent<S, N> for WithNode<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        let at = match self.place {
            Place::AfterBrace => line.find('{').map_or(0, |brace| brace + 1),
            Place::AtEnd => line.trim_end_matches('\n').len(),
        };
        write!(writer, "{}{}{}", &line[..at], self.text, &line[at..])
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Page {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        fn writer(&self) -> impl Fn() -> Self + Send + Sync + 'static {
            let page = self.clone();
            move || page.clone()
        }
    }

    fn node() -> NodeId {
        NodeId::from_trusted("node-\"1\"")
    }

    fn say_something() {
        tracing::debug!("too quiet");
        let span = tracing::info_span!("request", id = 7);
        span.in_scope(|| tracing::info!(room.id = "room-1", "recording started"));
    }

    #[test]
    fn a_json_line_has_its_fields_at_the_top() {
        let page = Page::default();
        tracing::subscriber::with_default(json_lines("info", &node(), page.writer()).unwrap(), say_something);
        let text = page.text();
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["node.id"], "node-\"1\"");
        assert_eq!(line["room.id"], "room-1");
        assert_eq!(line["message"], "recording started");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["spans"][0]["id"], 7);
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
    }

    #[test]
    fn a_text_line_ends_with_the_node() {
        let page = Page::default();
        let lines = text_lines("info", &node(), Colours::Off, page.writer()).unwrap();
        tracing::subscriber::with_default(lines, say_something);
        let text = page.text();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("recording started room.id=\"room-1\""), "{text}");
        assert!(text.ends_with(" node.id=node-\"1\"\n"), "{text}");
    }

    #[test]
    fn an_id_cannot_forge_a_line() {
        let forged = "EG_1\r\n2026-01-01T00:00:00Z  INFO forged\u{1b}[2J";
        let (text, json) = (Page::default(), Page::default());
        let both = [
            text_lines("info", &node(), Colours::Off, text.writer()).unwrap(),
            json_lines("info", &node(), json.writer()).unwrap(),
        ];
        for lines in both {
            tracing::subscriber::with_default(lines, || {
                let span = tracing::info_span!("request", recording.id = tracing::field::Empty);
                span.record("recording.id", tracing::field::display(forged));
                span.in_scope(|| tracing::info!(egress.id = %forged, error = forged, "refused {forged}"));
            });
        }
        for page in [text.text(), json.text()] {
            assert_eq!(page.lines().count(), 1, "{page:?}");
            assert!(!page.contains(['\r', '\u{1b}']), "{page:?}");
        }
    }

    #[test]
    fn a_filter_is_levels_and_directives() {
        for good in ["info", "debug", "off", "info,reelkeeper=debug", "warn,reelkeeper::http=trace", "INFO"] {
            assert_eq!(check_filter(good), Ok(()), "{good}");
        }
        for bad in ["", "loud", "info,", "reelkeeper=loud", "inf o", "=", "info,reelkeeper"] {
            assert!(check_filter(bad).is_err(), "{bad}");
        }
    }
}
