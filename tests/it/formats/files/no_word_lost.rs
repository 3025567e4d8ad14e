//! Whatever is odd about a transcript in JSON: a word of it that is in no line is told, or the file is refused.

use captionwire::format::{FormatError, read};
use serde_json::{Value, json};

/// Files of each reader of JSON, as rows; whatever is spoken in them is `w1q`, `w2q`, …
fn files() -> Vec<(&'static str, Vec<Value>)> {
    let word = |at: u32, text: &str| json!({"word": text, "start": at, "end": at + 1, "speaker": "A"});
    let item = |at: u32, text: &str| {
        json!({"type": "word", "start_time": at, "end_time": at + 1,
            "alternatives": [{"content": text, "speaker": "S1", "language": "en"}]})
    };
    let pronounced = |at: u32, text: &str| {
        json!({"type": "pronunciation", "start_time": at.to_string(), "end_time": (at + 1).to_string(),
            "speaker_label": "spk_0", "alternatives": [{"content": text, "confidence": "1.0"}]})
    };
    let element = |at: u32, text: &str| json!({"type": "text", "value": text, "ts": at, "end_ts": at + 1});
    let blank = json!({"type": "punct", "value": " "});
    let paragraph = |at: u32, text: &str| {
        json!({"type": "paragraph", "attrs": {"timestamps": [{"s": at, "e": at + 1}]},
            "content": [{"type": "text", "text": text}]})
    };
    let sentence = |at: u32, text: &str| {
        json!({"start_time": at, "end_time": at + 1, "text": text, "speaker_index": 1, "speaker_name": "Ann",
            "words": [{"text": text, "start_time": at, "end_time": at + 1}]})
    };
    let segment = |at: u32, text: &str| json!({"id": at, "start": at, "end": at + 1, "text": text, "speaker": "A", "words": [word(at, text)]});
    let chunk = |at: u32, text: &str| json!({"timestamp": [at, at + 1], "text": text});
    let timestamps = json!({"from": "00:00:00,000", "to": "00:00:01,000"});
    let vexa = |at: u32, text: &str| json!({"segment_id": at.to_string(), "speaker": "Ann", "text": text, "start": at, "end": at + 1, "completed": true});
    let line = |at: u32, text: &str| {
        json!({"source": "main", "id": at.to_string(), "rev": 0, "sort": "", "start_ms": at, "end_ms": at + 1, "speaker": "a",
            "text": text, "status": "final", "marks": [], "received_at": "2026-01-01T00:00:00.000Z"})
    };
    vec![
        (
            "whisper",
            vec![json!({"text": "w1q w2q", "segments": [segment(0, "w1q"), segment(1, "w2q")], "language": "en"})],
        ),
        ("openai words", vec![json!({"text": "W1q, w2q.", "words": [word(0, "w1q"), word(1, "w2q")], "duration": 2})]),
        (
            "whisper.cpp",
            vec![json!({"transcription": [
                {"timestamps": timestamps, "offsets": {"from": 0, "to": 1000}, "text": "w1q"},
                {"timestamps": timestamps, "offsets": {"from": 1, "to": 1000}, "text": "w2q"}]})],
        ),
        ("chunks", vec![json!({"text": "w1q w2q", "chunks": [chunk(0, "w1q"), chunk(1, "w2q")]})]),
        (
            "insanely-fast-whisper",
            vec![json!({"text": "w1q w2q", "chunks": [chunk(0, "w1q"), chunk(1, "w2q")],
                "speakers": [{"speaker": "A", "timestamp": [0, 1], "text": "w1q"}, chunk(1, "w2q")]})],
        ),
        ("segments in a list", vec![json!([segment(0, "w1q"), segment(1, "w2q")])]),
        (
            "rev-json",
            vec![json!({"monologues": [{"speaker": 0, "elements": [element(0, "w1q"), blank, element(1, "w2q")]},
                {"speaker": 1, "speaker_info": {"display_name": "Ann"}, "elements": [element(2, "w3q")]}]})],
        ),
        (
            "rev-editor",
            vec![json!({"type": "doc", "content": [
                {"type": "monologue", "attrs": {"speakerId": 0}, "content": [paragraph(0, "w1q"), paragraph(1, "w2q")]},
                {"type": "monologue", "attrs": {"speakerId": 1}, "content": [paragraph(2, "w3q")]}]})],
        ),
        ("speechmatics", vec![json!({"format": "2.9", "results": [item(0, "w1q"), item(1, "w2q")]})]),
        (
            "speechmatics, live",
            vec![
                json!({"message": "RecognitionStarted"}),
                json!({"message": "AddTranscript", "results": [item(0, "w1q")]}),
                json!({"message": "AddPartialTranscript", "results": [item(1, "w2q")]}),
            ],
        ),
        (
            "aws",
            vec![json!({"jobName": "x", "results": {"transcripts": [{"transcript": "w1q w2q"}],
                "items": [pronounced(0, "w1q"), pronounced(1, "w2q")]}})],
        ),
        ("cdp", vec![json!({"sentences": [sentence(0, "w1q"), sentence(1, "w2q")]})]),
        ("vexa", vec![json!({"type": "transcript", "segments": [vexa(0, "w1q"), vexa(1, "w2q")]})]),
        (
            "vexa, live",
            vec![
                json!({"type": "transcription", "confirmed": [vexa(0, "w1q")], "pending": []}),
                json!({"message": {"type": "transcript", "speaker": "A", "confirmed": [], "pending": [vexa(1, "w2q")]}}),
            ],
        ),
        (
            "podcast",
            vec![json!({"version": "1.0.0", "segments": [{"startTime": 0, "endTime": 1, "body": "w1q"},
                {"startTime": 1, "endTime": 2, "speaker": "Ann", "body": "w2q"}]})],
        ),
        (
            "ours",
            vec![
                json!({"feed": "x", "speakers": [], "turns": [{"lines": [line(0, "w1q")]}, {"lines": [line(1, "w2q")]}]}),
            ],
        ),
        ("rows", vec![json!({"start_ms": 0, "text": "w1q"}), json!({"start_ms": 1, "speaker": "Ann", "text": "w2q"})]),
    ]
}

/// The words that a text says.
fn words_in(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    words.filter(|word| word.starts_with('w') && word.ends_with('q')).collect()
}

/// All values with one of their fields, items or values changed.
fn changed(value: &Value) -> Vec<(String, Value)> {
    let replaced = [Value::Null, json!(7), json!("x"), json!([]), json!({}), json!([[]]), json!({"x": "w9q"})];
    let mut all: Vec<_> = replaced.into_iter().map(|other| (format!("= {other}"), other)).collect();
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let mut with = |what: String, other: Option<(String, Value)>| {
                    let mut fields = fields.clone();
                    fields.remove(name);
                    fields.extend(other);
                    all.push((what, Value::Object(fields)));
                };
                with(format!("without {name}"), None);
                with(format!("x_{name}"), Some((format!("x_{name}"), inner.clone())));
                for (what, other) in changed(inner) {
                    with(format!("{name} {what}"), Some((name.clone(), other)));
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                for (what, other) in changed(item) {
                    let mut items = items.clone();
                    items[index] = other;
                    all.push((format!("{index} {what}"), Value::Array(items)));
                }
            }
        }
        _ => {}
    }
    all
}

#[test]
fn a_word_that_is_in_no_line_is_told() {
    let (mut lost, mut count) = (Vec::new(), 0);
    for (name, rows) in files() {
        for (index, row) in rows.iter().enumerate() {
            for (what, other) in changed(row) {
                // Where the text is another one, its words are no longer said; and of several sources one is on air.
                if ["text = \"x\"", "content = \"x\"", "source = \"x\""].iter().any(|other| what.ends_with(other)) {
                    continue;
                }
                let mut rows = rows.clone();
                rows[index] = other;
                let file: String = rows.iter().map(|row| format!("{row}\n")).collect();
                // A value in the place of speech says nothing.
                let said: Vec<_> = words_in(&file).into_iter().filter(|word| word != "w9q").collect();
                count += 1;
                let found = match read(file.as_bytes(), None) {
                    Err(FormatError::NoLines) if !said.is_empty() => "no lines".to_owned(),
                    Err(_) => continue,
                    Ok(reading) if !reading.problems.is_empty() || !reading.losses.is_empty() => continue,
                    Ok(reading) => reading.lines.iter().map(|line| format!("{} ", line.content.text)).collect(),
                };
                if said.iter().any(|word| !found.to_lowercase().contains(word)) {
                    lost.push(format!("{name}: {what}: {found}\n{file}"));
                }
            }
        }
    }
    assert!(count > 3_000, "{count}");
    assert!(lost.is_empty(), "{} lost:\n{}", lost.len(), lost.join("\n"));
}
