//! What happened, in order, for people and for comparing two runs.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, Once};

use reelkeeper_actors::ports::clock::Clock;
use reelkeeper_actors::recording::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

use crate::lock;

thread_local! {
    static TOLD_HERE: RefCell<Option<Arc<Timeline>>> = const { RefCell::new(None) };
}

/// What happened, in order. Costs next to nothing unless it is to be shown.
pub struct Timeline {
    clock: Arc<dyn Clock>,
    began: Timestamp,
    shown: bool,
    lines: Mutex<Vec<String>>,
    falls: Mutex<Vec<String>>,
}

impl Timeline {
    /// An empty one, which also takes down what the product logs on this thread.
    pub fn begin(clock: Arc<dyn Clock>, shown: bool) -> Arc<Self> {
        let began = clock.now();
        let (lines, falls) = (Mutex::default(), Mutex::default());
        let timeline = Arc::new(Self { clock, began, shown, lines, falls });
        TOLD_HERE.set(Some(timeline.clone()));
        listen();
        timeline
    }

    /// Whether anybody will read it.
    pub fn is_shown(&self) -> bool {
        self.shown
    }

    /// Takes down what happens now.
    pub fn tell(&self, what: impl FnOnce() -> String) {
        if self.shown {
            let ms = self.clock.now().since(self.began).as_millis();
            let line = format!("{:>9}.{:03} {}", ms / 1_000, ms % 1_000, what());
            lock(&self.lines).push(line);
        }
    }

    /// Something of ours failed: a bug, whatever else holds.
    pub fn fell(&self, how: &str) {
        self.tell(|| format!("FELL: {how}"));
        lock(&self.falls).push(how.to_owned());
    }

    /// Everything so far.
    pub fn lines(&self) -> Vec<String> {
        lock(&self.lines).clone()
    }

    /// What of ours failed.
    pub fn falls(&self) -> Vec<String> {
        lock(&self.falls).clone()
    }
}

fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing::subscriber::set_global_default(Log).expect("nobody else listens in this process");
    });
}

/// Takes the product's log into the timeline of the thread.
struct Log;

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("reelkeeper") && *metadata.level() <= Level::INFO
    }

    fn event(&self, event: &Event<'_>) {
        TOLD_HERE.with_borrow(|told| {
            let Some(told) = told else { return };
            let failed = *event.metadata().level() == Level::ERROR;
            if !failed && !told.shown {
                return;
            }
            let mut line = Line(String::new());
            event.record(&mut line);
            if failed {
                lock(&told.falls).push(line.0.clone());
            }
            told.tell(|| format!("    {} {}", event.metadata().level(), line.0));
        });
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?} "),
            name => write!(self.0, "{name}={value:?} "),
        };
    }
}
