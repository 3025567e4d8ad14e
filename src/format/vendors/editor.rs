//! Reader of the files that the editor of rev.com saves: monologues of paragraphs, each with a text and the times of
//! its words.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::error::FormatError;
use crate::format::core::json_spans::{Fields, JsonSpans, Seconds, SpeakerLabelValue, whole};
use crate::format::core::kinds::FileKind;
use crate::format::core::reading::ParsedTranscript;
use crate::format::core::word_lines::{WordLines, WordToken};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct MonologueFacts {
    speaker_id: SpeakerLabelValue,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ParagraphFacts {
    timestamps: Vec<EditorTimes>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(default)]
struct EditorTimes {
    s: Seconds,
    e: Seconds,
}

#[derive(Deserialize)]
struct EditorNode<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    /// The children of a node without a text of its own, such as a link.
    #[serde(borrow, default)]
    content: Option<Vec<&'a RawValue>>,
}

/// The deepest nesting of nodes. A link in a mark in a paragraph has 3.
const NODES_DEPTH_MAX: usize = 16;

/// Nodes that separate words, under the names of the editor's library, in lower case and without underscores: some versions
/// write `bullet_list`.
const BLOCKS: [&str; 8] =
    ["paragraph", "heading", "blockquote", "bulletlist", "orderedlist", "listitem", "codeblock", "hardbreak"];

impl EditorNode<'_> {
    /// Returns true for a node at which a word ends: a block, or a node without text, such as a break or a picture.
    fn parts_words(&self) -> bool {
        let kind = self.kind.to_lowercase().replace('_', "");
        let is_empty = self.text.is_none() && self.content.is_none() && kind != "text";
        is_empty || BLOCKS.contains(&&*kind)
    }
}

/// Appends the text of sibling nodes, and of the nodes within them, to `text`. Blocks and line breaks separate words;
/// links and marks may be within them.
fn text_of<'a>(
    nodes: impl IntoIterator<Item = &'a RawValue>,
    depth: usize,
    places: &JsonSpans<'a>,
    text: &mut String,
    gather: &mut TranscriptBuilder,
) {
    for node in nodes {
        let at = places.place(node.get());
        if depth > NODES_DEPTH_MAX {
            gather.left_out(at.0, at.1, "this text stands too deep within others: left out");
            continue;
        }
        let Some(node) = places.read::<EditorNode<'_>>(node, "this text", gather) else { continue };
        if node.text.is_none() && node.kind == "text" {
            gather.left_out(at.0, at.1, "this text is missing: left out");
        }
        let around = if node.parts_words() { " " } else { "" };
        text.push_str(around);
        text.extend(node.text);
        text_of(node.content.into_iter().flatten(), depth + 1, places, text, gather);
        text.push_str(around);
    }
}

pub(in super::super) fn read(text: &str, mut gather: TranscriptBuilder) -> Result<ParsedTranscript, FormatError> {
    let fields: Fields<'_> = whole(text)?;
    let places = JsonSpans::of(text);
    let mut lines = WordLines::default();
    for monologue in places.list(&fields, "content", &mut gather) {
        let Some(fields) = places.read::<Fields<'_>>(monologue, "this monologue", &mut gather) else { continue };
        let facts =
            fields.get("attrs").and_then(|facts| places.read::<MonologueFacts>(facts, "the speaker", &mut gather));
        lines.speaker(facts.unwrap_or_default().speaker_id.0.as_deref());
        let paragraphs = places.due_list(monologue, &fields, "content", &mut gather);
        let is_text = |node: &&RawValue| {
            serde_json::from_str::<Fields<'_>>(node.get()).is_ok_and(|node| node.contains_key("text"))
        };
        // A paragraph outside of a monologue.
        let paragraphs = if paragraphs.iter().any(is_text) { vec![monologue] } else { paragraphs };
        for paragraph in paragraphs {
            let at = places.place(paragraph.get());
            let Some(fields) = places.read::<Fields<'_>>(paragraph, "this paragraph", &mut gather) else { continue };
            let facts =
                fields.get("attrs").and_then(|facts| places.read::<ParagraphFacts>(facts, "the times", &mut gather));
            let times = facts.unwrap_or_default().timestamps;
            let mut text = String::new();
            // A paragraph without a text is an empty row.
            let is_odd = |name: &Cow<'_, str>| !["type", "attrs", "content"].contains(&&**name);
            let nodes = match fields.keys().any(is_odd) {
                true => places.due_list(paragraph, &fields, "content", &mut gather),
                false => places.list(&fields, "content", &mut gather),
            };
            text_of(nodes, 1, &places, &mut text, &mut gather);
            let words: Vec<&str> = text.split_whitespace().collect();
            if !times.is_empty() && times.len() != words.len() {
                let (words, times) = (words.len(), times.len());
                gather.problem(
                    at.0,
                    at.1,
                    format!("{words} words and {times} times: the times of this paragraph's words are left out"),
                );
            }
            let fits = times.len() == words.len();
            for (index, word) in words.into_iter().enumerate() {
                // If the numbers of words and times differ, the first time still belongs to the paragraph.
                let times = times.get(index).copied().filter(|_| fits || index == 0).unwrap_or_default();
                let (text, start_ms, end_ms) = (word.to_owned().into(), times.s.ms(), times.e.ms());
                lines.push(at, WordToken { text, start_ms, end_ms, ..WordToken::default() });
            }
            lines.end_line();
        }
    }
    lines.finish(&mut gather);
    Ok(gather.finish(FileKind::RevEditor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_however_deep_it_stands() {
        let mut node = serde_json::json!({"type": "text", "text": "vote"});
        for depth in 0..20 {
            let said = serde_json::json!({"type": "text", "text": "The "});
            let paragraph = serde_json::json!({"type": "paragraph", "content": [said, node]});
            let monologue = serde_json::json!({"type": "monologue", "content": [paragraph]});
            let file = serde_json::json!({"type": "doc", "content": [monologue]}).to_string();
            let reading = read(&file, TranscriptBuilder::default()).expect("it can be read");
            let is_read = depth < NODES_DEPTH_MAX;
            assert_eq!(&*reading.lines[0].content.text, if is_read { "The vote" } else { "The" }, "{depth}");
            assert_eq!(reading.problems.is_empty(), is_read, "{depth} {:?}", reading.problems);
            node = serde_json::json!({"type": "link", "content": [node]});
        }
    }

    #[test]
    fn items_and_line_breaks_part_words() {
        use serde_json::{Value, json};
        let said = |text: &str| json!({"type": "text", "text": text});
        let of = |kind: &str, content: Vec<Value>| json!({"type": kind, "content": content});
        let paragraph = |text: &str| of("paragraph", vec![said(text)]);
        for (nodes, expected) in [
            (vec![said("one"), json!({"type": "hardBreak"}), said("two")], "one two"),
            (vec![of("listItem", vec![paragraph("a"), paragraph("b")]), of("listItem", vec![paragraph("c")])], "a b c"),
            (vec![said("see "), of("link", vec![said("this")]), said(".")], "see this."),
            (vec![said("o"), said("ne")], "one"),
            (vec![said("one"), json!({"type": "hard_break"}), said("two")], "one two"),
            (vec![said("one"), json!({"type": "HardBreak", "attrs": {}}), said("two")], "one two"),
            (vec![said("one"), json!({"type": "image", "attrs": {"src": "x"}}), said("two")], "one two"),
            (vec![of("bullet_list", vec![of("list_item", vec![said("a")]), of("LIST_ITEM", vec![said("b")])])], "a b"),
            (vec![of("link", vec![said("o")]), of("link", vec![said("n")]), of("mark", vec![]), said("e")], "one"),
        ] {
            let file = of("doc", vec![of("monologue", vec![of("paragraph", nodes)])]).to_string();
            let reading = read(&file, TranscriptBuilder::default()).expect("it can be read");
            assert_eq!(&*reading.lines[0].content.text, expected);
            assert!(reading.problems.is_empty(), "{:?}", reading.problems);
        }
    }
}
