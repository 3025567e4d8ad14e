//! Captions as they are posted to Zoom, one a request: here an object with `seq`, `lang` and `text`, the body.
//!
//! `seq` rises by one with each; the same again with the same text is a retry, and says nothing new. A number that falls
//! back is that of a program that was started anew: it counts in a run of its own, so that nothing is overwritten; but one
//! that was missing so far is that caption, late.

use std::collections::VecDeque;

use serde_json::Value;

use super::json::Node;
use super::lines::{Facts, Lines, Saying};
use super::session::{Engine, SessionSign};
use super::shape::foreign_text;
use super::token::whole;
use super::{Decoded, FaultKind, Format, Options};
use crate::transcript::Status;

pub(super) struct Zoom {
    options: Options,
    run: u64,
    last: Option<(u64, String)>,
    /// Numbers of this run that were passed over, the last ones.
    missing: VecDeque<u64>,
}

/// Numbers that a caption may come late by.
const LATE_MAX: u64 = 16;

impl Zoom {
    fn take(&mut self, post: Node<'_>, out: &mut Decoded) {
        let Some(text) = post.text(&["text"], out) else {
            out.fault(FaultKind::BadField, "text is missing: this is no caption");
            return;
        };
        // The body of a post is a text: an engine's message in it is no caption.
        if let Some(why) = text.trim_start().starts_with('{').then(|| foreign_text(text)).flatten() {
            out.fault(FaultKind::UnknownType, why);
            return;
        }
        let seq = match (post.get(&["seq"]), &self.last) {
            (Some(_), _) => match post.number(&["seq"], out) {
                Some(seq) => seq,
                None => return,
            },
            (None, last) => last.as_ref().map_or(0, |(seq, _)| seq.saturating_add(1)),
        };
        match &self.last {
            Some((last, said)) if *last == seq && said == text => return,
            Some(_) if self.missing.contains(&seq) => self.missing.retain(|missing| *missing != seq),
            Some((last, _)) if seq <= *last => {
                self.run += 1;
                self.missing.clear();
                self.last = Some((seq, text.to_owned()));
            }
            Some((last, _)) => {
                if seq - last > 1 {
                    out.fault(
                        FaultKind::Odd,
                        format!("seq {seq} follows {last}: what was posted between them did not come here"),
                    );
                }
                self.missing.extend((last + 1).max(seq.saturating_sub(LATE_MAX))..seq);
                self.missing.retain(|missing| seq - missing <= LATE_MAX);
                self.last = Some((seq, text.to_owned()));
            }
            None => self.last = Some((seq, text.to_owned())),
        }
        let run = if self.run == 1 { String::new() } else { format!(".{}", self.run) };
        let lang = post.text(&["lang"], out).map(|lang| self.options.lang_of(lang));
        let facts = Facts { lang: lang.or_else(|| self.options.lang.clone()), break_before: None };
        let mut saying = Saying::default();
        let mut lines = Lines::new(format!("{}{run}-{seq}", self.options.tag).into());
        lines.say(&whole(text, &[]), Status::Final, &facts, &self.options, &mut saying);
        saying.finish(out);
    }
}

impl Engine for Zoom {
    const FORMAT: Format = Format::Zoom;
    type Message = Value;

    fn new(options: Options) -> Self {
        Self { options, run: 1, last: None, missing: VecDeque::new() }
    }

    fn sign<'a>(&self, _: &'a Value) -> SessionSign<'a> {
        // A number that falls back begins a run of its own, and there are no times.
        SessionSign { says: true, ..SessionSign::default() }
    }

    fn read(&mut self, message: &Value, out: &mut Decoded) {
        self.take(Node::top(message), out);
    }
}
