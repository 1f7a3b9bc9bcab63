//! Turns an event into one line of text or JSON.
//!
//! Fields of enclosing spans come first, those of the event replace equal names. Whatever a value
//! holds, no byte of it can end the line or steer a terminal.

use std::{
    fmt::{self, Write as _},
    io::Write as _,
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    fmt::{
        MakeWriter,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    layer::Context,
    registry::LookupSpan,
};

/// Writes a line per event.
pub(super) struct Lines<W> {
    json: bool,
    writer: W,
}

impl<W> Lines<W> {
    /// Writes to what `writer` makes, JSON or text.
    pub(super) fn new(json: bool, writer: W) -> Self {
        Self { json, writer }
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(outer) = span.extensions().get::<Fields>() {
                outer.0.iter().for_each(|(name, value)| fields.set(name, value.clone()));
            }
        }
        event.record(&mut fields);
        let (level, target) = (event.metadata().level(), event.metadata().target());
        let line = if self.json {
            json(&now(), *level, target, &fields)
        } else {
            text(&now(), *level, target, &fields)
        };
        // One write per line: lines of several threads do not mix. A log that cannot be written
        // has nowhere to say so.
        let _ = self.writer.make_writer().write_all(line.as_bytes());
    }
}

/// The fields of a span or event, in the order they were given.
#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

/// A value as it is printed.
#[derive(Clone)]
enum Value {
    /// A number or boolean, the same in both formats.
    Plain(String),
    /// Text of whatever origin, not yet escaped.
    Text(String),
}

impl Fields {
    fn set(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(other, _)| *other == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    fn message(&self) -> Option<&Value> {
        self.0.iter().find(|(name, _)| *name == MESSAGE).map(|(_, value)| value)
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field.name(), Value::Text(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), Value::Text(value.into()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), Value::Plain(value.to_string()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), Value::Plain(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), Value::Plain(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinity and no NaN.
        let text = value.to_string();
        let value = if value.is_finite() { Value::Plain(text) } else { Value::Text(text) };
        self.set(field.name(), value);
    }
}

/// `{"ts":"…","level":"info","target":"…","message":"…","sid":"…"}` and a line end.
fn json(time: &str, level: Level, target: &str, fields: &Fields) -> String {
    let level = level.as_str().to_ascii_lowercase();
    let mut line = format!("{{\"ts\":\"{time}\",\"level\":\"{level}\",\"target\":");
    quote(&mut line, target);
    for (name, value) in &fields.0 {
        line.push(',');
        quote(&mut line, name);
        line.push(':');
        match value {
            Value::Plain(text) => line.push_str(text),
            Value::Text(text) => quote(&mut line, text),
        }
    }
    line.push_str("}\n");
    line
}

/// `… INFO bayeuxd::server message sid=… channel=/a` and a line end.
fn text(time: &str, level: Level, target: &str, fields: &Fields) -> String {
    let mut line = format!("{time} {level:>5} {target}");
    if let Some(Value::Plain(message) | Value::Text(message)) = fields.message() {
        line.push(' ');
        escape(&mut line, message);
    }
    for (name, value) in fields.0.iter().filter(|(name, _)| *name != MESSAGE) {
        let _ = write!(line, " {name}=");
        match value {
            Value::Plain(text) => line.push_str(text),
            Value::Text(text) if is_word(text) => line.push_str(text),
            Value::Text(text) => quote(&mut line, text),
        }
    }
    line.push('\n');
    line
}

/// Text that is readable without quotes.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && !"\"\\=".contains(c))
}

/// Appends a JSON string.
fn quote(line: &mut String, text: &str) {
    line.push('"');
    escape(line, text);
    line.push('"');
}

/// Appends text with JSON's escapes for all that could end the line, steer a terminal or turn the
/// reading direction (`U+202E` hides what follows); cuts what is too long.
fn escape(line: &mut String, text: &str) {
    for (index, c) in text.chars().enumerate() {
        if index == VALUE_MAX {
            line.push('…');
            return;
        }
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => {
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c if c.is_control() => {
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
}

/// The wall clock as RFC 3339: for readers, never for decisions.
fn now() -> String {
    let mut text = String::new();
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

/// The name under which tracing hands over the text of an event.
const MESSAGE: &str = "message";
/// Characters of a value that are written; a backtrace fits.
const VALUE_MAX: usize = 16_384;

#[cfg(test)]
mod tests;
