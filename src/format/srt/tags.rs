//! Tags in texts of cues: `<i>`, `</font>`, `{\an8}`, and the voices of WebVTT.

use crate::format::webvtt;

/// Adds a blank behind the first character of each tag in `text`, so that it is no tag.
pub(super) fn no_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '{']) {
        out.push_str(&rest[..=at]);
        out.push_str(tag_length(&rest[at..]).map_or("", |_| " "));
        rest = &rest[at + 1..];
    }
    out + rest
}

/// Splits the text of a cue into the texts of its voices, which WebVTT tags name. Without such tags all of it has no
/// speaker. A dash before a tag is dropped.
pub(super) fn by_voices(text: &str) -> Vec<(Option<String>, String)> {
    let mut all: Vec<(Option<String>, String)> = vec![(None, String::new())];
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let length = tag_length(&rest[at..]);
        let tag = &rest[at..at + length.unwrap_or(1)];
        let voice = webvtt::voice_of(tag).filter(|_| length.is_some());
        let is_end = tag == "</v>" && all.last().is_some_and(|(voice, _)| voice.is_some());
        if let Some((_, said)) = all.last_mut() {
            said.push_str(&rest[..at]);
            if voice.is_some() {
                let dash = said.trim_end().strip_suffix(['-', '\u{2013}', '\u{2014}']);
                let dash =
                    dash.filter(|before| before.trim_end_matches([' ', '\t']).is_empty() || before.ends_with('\n'));
                said.truncate(dash.map_or(said.len(), str::len));
            }
            if voice.is_none() && !is_end {
                said.push_str(tag);
            }
        }
        if voice.is_some() || is_end {
            all.push((voice, String::new()));
        }
        rest = &rest[at + tag.len()..];
    }
    if let Some((_, said)) = all.last_mut() {
        said.push_str(rest);
    }
    if all.len() > 1 {
        all.retain(|(_, said)| !said.trim().is_empty());
    }
    all
}

/// Removes `<i>`, `</font>`, `{\an8}` and similar tags from a text, and counts them. Other `<` and `{` stay.
pub(super) fn without_tags(text: &str) -> (String, usize) {
    let mut out = String::with_capacity(text.len());
    let mut count = 0;
    let mut rest = text;
    while let Some(at) = rest.find(['<', '{']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match tag_length(rest) {
            Some(length) => {
                count += 1;
                rest = &rest[length..];
            }
            None => {
                out.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    (out, count)
}

fn tag_length(text: &str) -> Option<usize> {
    /// The longest tag. The limit also keeps a stray `<` from making each search scan the whole text.
    const TAG_MAX: usize = 200;
    let head = text.as_bytes();
    let close = if head[0] == b'{' { b'}' } else { b'>' };
    let end = head.iter().take(TAG_MAX).position(|byte| *byte == close)?;
    let inner = &text[1..end];
    let is_tag = if head[0] == b'{' {
        inner.starts_with('\\')
    } else {
        let name = inner.trim_start_matches('/').split([' ', '\t', '\n', '=']).next().unwrap_or_default();
        is_tag_name(name) || name.starts_with("v.")
    };
    is_tag.then_some(end + 1)
}

pub(super) fn is_tag_name(name: &str) -> bool {
    ["b", "i", "u", "s", "font", "v"].iter().any(|known| known.eq_ignore_ascii_case(name))
}
