//! Captions as posted to Zoom, one per request: here an object with `seq` and `lang`, and the body as `text`.
//!
//! `seq` rises by one per caption; a recent number with the same text is a retry and changes nothing. A number that
//! falls back comes from a restarted program: it counts in a run of its own, so that nothing is overwritten, and the
//! captions just before it that seemed to be retries were the first words of that run. A number that was missing is a
//! late caption: it belongs before the one that overtook it.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded, DecodedEvent};
use crate::dialect::core::json::JsonNode;
use crate::dialect::core::lines::{LineFacts, LineInProgress, Lines};
use crate::dialect::core::message_shape::{OF_LINES, foreign_text, has, only};
use crate::dialect::core::options::Options;
use crate::dialect::core::session::EngineSession;
use crate::dialect::core::session_sign::SessionSign;
use crate::dialect::core::token::whole;
use crate::dialect::core::vendor_format::VendorFormat;
use crate::transcript::Status;

pub(crate) struct Zoom {
    options: Options,
    run: u64,
    last: Option<u64>,
    /// The latest captions of this run, to recognize retries.
    recent: VecDeque<Caption>,
    /// The latest captions treated as retries, with consecutive numbers before the last of the run.
    again: Vec<Caption>,
    /// The latest numbers of this run that were skipped.
    missing: VecDeque<u64>,
}

/// A caption as posted.
#[derive(Debug, Clone)]
struct Caption {
    seq: u64,
    text: String,
    lang: Option<Arc<str>>,
}

/// Most numbers by which a caption may be late.
const LATE_MAX: u64 = 16;

impl Zoom {
    fn take(&mut self, post: JsonNode<'_>, out: &mut Decoded) {
        let Some(text) = post.text(&["text"], out) else {
            out.fault(DecodeFaultKind::BadField, "text is missing: this is no caption");
            return;
        };
        // The body of a post is text: an engine's message in it is no caption.
        if let Some(why) = text.trim_start().starts_with('{').then(|| foreign_text(text)).flatten() {
            out.fault(DecodeFaultKind::UnknownType, why);
            return;
        }
        let seq = match (post.get(&["seq"]), &self.last) {
            (Some(_), _) => match post.number(&["seq"], out) {
                Some(seq) => seq,
                None => return,
            },
            (None, last) => last.map_or(0, |seq| seq.saturating_add(1)),
        };
        let lang = post.text(&["lang"], out).map(|lang| self.options.lang_of(lang));
        let lang = lang.or_else(|| self.options.lang.clone());
        let caption = Caption { seq, text: text.to_owned(), lang };
        if self.recent.iter().any(|known| known.seq == seq && known.text == text) {
            if self.last.is_some_and(|last| seq < last) {
                if self.again.last().is_none_or(|before| before.seq + 1 != seq) {
                    self.again.clear();
                }
                self.again.push(caption);
            }
            return;
        }
        let again = std::mem::take(&mut self.again);
        let mut captions = vec![caption];
        let mut next = None;
        match self.last {
            Some(last) if self.missing.contains(&seq) => {
                self.missing.retain(|missing| *missing != seq);
                next = self.recent.iter().map(|known| known.seq).filter(|known| *known > seq).min();
                let message =
                    "it belongs before that one; where the place of that one is not known it stands where it came";
                out.fault(DecodeFaultKind::Odd, format!("seq {seq} came late, behind {last}: {message}"));
            }
            Some(last) if seq <= last => {
                self.run += 1;
                self.missing.clear();
                self.recent.clear();
                self.last = Some(seq);
                let mut message = format!("seq fell from {last} to {seq}: numbers count anew from here on");
                if again.last().is_some_and(|before| before.seq + 1 == seq) {
                    let were = if again.len() == 1 { "caption before it was" } else { "captions before it were" };
                    message = format!("{message}. {} {were} taken for retries, and said now", again.len());
                    captions.splice(0..0, again);
                }
                out.fault(DecodeFaultKind::Odd, message);
            }
            Some(last) => {
                if seq - last > 1 {
                    out.fault(
                        DecodeFaultKind::Odd,
                        format!("seq {seq} follows {last}: what was posted between them did not come here"),
                    );
                }
                self.missing.extend((last + 1).max(seq.saturating_sub(LATE_MAX))..seq);
                self.missing.retain(|missing| seq - missing <= LATE_MAX);
                self.last = Some(seq);
            }
            None => self.last = Some(seq),
        }
        for caption in captions {
            self.say(caption, next, out);
        }
    }

    /// Emits a caption; `next` is the number of the caption before which it belongs if that came first.
    fn say(&mut self, caption: Caption, next: Option<u64>, out: &mut Decoded) {
        if self.recent.len() as u64 > LATE_MAX {
            self.recent.pop_front();
        }
        let run = if self.run == 1 { String::new() } else { format!(".{}", self.run) };
        let id = |seq: u64| -> Arc<str> { format!("{}{run}-{seq}", self.options.tag).into() };
        let facts = LineFacts { lang: caption.lang.clone(), break_before: None };
        let (mut saying, before) = (LineInProgress::default(), out.says.len());
        let mut lines = Lines::new(id(caption.seq));
        lines.say(&whole(&caption.text, &[]), Status::Final, &facts, &self.options, &mut saying);
        saying.finish(out);
        if let (Some(next), Some(DecodedEvent::Lines(lines))) = (next, out.says.get(before)) {
            out.late.extend(lines.iter().map(|line| (line.id.clone(), id(next))));
        }
        self.recent.push_back(caption);
    }
}

impl EngineSession for Zoom {
    const FORMAT: VendorFormat = VendorFormat::Zoom;
    type Message = Value;

    fn is_known(value: &Value) -> bool {
        // Posts to Zoom never name a speaker or a time; a message with those is another vendor's.
        value.get("text").is_some_and(Value::is_string)
            && (only(value, &["seq", "lang", "text"]) || has(value, &["seq"]) && !has(value, &OF_LINES))
    }

    fn new(options: Options) -> Self {
        Self { options, run: 1, last: None, recent: VecDeque::new(), again: Vec::new(), missing: VecDeque::new() }
    }

    fn sign<'a>(&self, _: &'a Value) -> SessionSign<'a> {
        // A number that falls back begins a run of its own, and there are no times.
        SessionSign { says: true, ..SessionSign::default() }
    }

    fn read(&mut self, message: &Value, out: &mut Decoded) {
        self.take(JsonNode::top(message), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the texts of numbered captions, and the number of faults.
    fn said(posts: &[(u64, &str)]) -> (Vec<String>, usize) {
        let (mut dialect, mut out) = (VendorFormat::Zoom.open(Options::new("t")), Decoded::default());
        for (seq, text) in posts {
            dialect.decode(serde_json::json!({"seq": seq, "text": text}).to_string().as_bytes(), &mut out);
        }
        let texts = out.says.into_iter().flat_map(|said| match said {
            DecodedEvent::Lines(lines) => lines,
            DecodedEvent::Retract { .. } | DecodedEvent::Clock { .. } => Vec::new(),
        });
        (texts.map(|line| format!("{} {}", line.id, line.content.text)).collect(), out.faults.len())
    }

    #[test]
    fn numbers_as_a_table() {
        for (what, posts, expected, faults) in [
            (
                "retries",
                &[(1, "a"), (2, "b"), (3, "c"), (2, "b"), (3, "c"), (4, "d")][..],
                &["t-1 a", "t-2 b", "t-3 c", "t-4 d"][..],
                0,
            ),
            ("a late one", &[(1, "a"), (3, "c"), (2, "b"), (2, "b")], &["t-1 a", "t-3 c", "t-2 b"], 2),
            ("another text", &[(1, "a"), (2, "b"), (1, "x"), (2, "b")], &["t-1 a", "t-2 b", "t.2-1 x", "t.2-2 b"], 1),
            (
                "the same first words",
                &[(1, "a"), (2, "b"), (3, "c"), (1, "a"), (2, "b"), (3, "x"), (1, "a"), (4, "d")],
                &["t-1 a", "t-2 b", "t-3 c", "t.2-1 a", "t.2-2 b", "t.2-3 x", "t.2-4 d"],
                1,
            ),
            (
                "a retry, and then another text elsewhere",
                &[(1, "a"), (2, "b"), (3, "c"), (4, "d"), (1, "a"), (3, "x")],
                &["t-1 a", "t-2 b", "t-3 c", "t-4 d", "t.2-3 x"],
                1,
            ),
        ] {
            let (texts, told) = said(posts);
            assert_eq!((texts, told), (expected.iter().map(ToString::to_string).collect(), faults), "{what}");
        }
        // A retry is recognized as long as a number may be late.
        let mut posts: Vec<(u64, String)> = (1..=18).map(|seq| (seq, format!("text {seq}"))).collect();
        posts.extend([posts[1].clone(), posts[0].clone()]);
        let posts: Vec<(u64, &str)> = posts.iter().map(|(seq, text)| (*seq, text.as_str())).collect();
        assert_eq!(said(&posts).0.last().map(String::as_str), Some("t.2-1 text 1"));
        assert_eq!(said(&posts).0.len(), 19);
        // A late caption belongs before the one that overtook it, with all its lines.
        let (mut dialect, mut out) =
            (VendorFormat::Zoom.open(Options { text_bytes_max: 8, ..Options::new("t") }), Decoded::default());
        for (seq, text) in [(1, "one"), (4, "four"), (5, "five"), (2, "two and more")] {
            dialect.decode(serde_json::json!({"seq": seq, "text": text}).to_string().as_bytes(), &mut out);
        }
        let late: Vec<_> = out.late.iter().map(|(line, next)| format!("{line} < {next}")).collect();
        assert_eq!(late, ["t-2 < t-4", "t-2.2 < t-4"]);
    }
}
