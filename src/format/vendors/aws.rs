//! Reader of Amazon Transcribe's output of a batch job: items, and the segments that name their speakers. If the job
//! identifies channels, each channel is one microphone.
//!
//! <https://docs.aws.amazon.com/transcribe/latest/dg/how-input.html>

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::error::FormatError;
use crate::format::core::json_spans::{Fields, JsonSpans, Seconds, whole};
use crate::format::core::kinds::FileKind;
use crate::format::core::reading::ParsedTranscript;
use crate::format::core::word_lines::{WordToken, channel_speaker, read_by_channel};
use crate::format::text::text_lines::tidy;
use crate::transcript::Content;

#[derive(Deserialize)]
struct AwsItem<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(default)]
    start_time: Seconds,
    #[serde(default)]
    end_time: Seconds,
    #[serde(borrow, default)]
    speaker_label: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    channel_label: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    alternatives: Vec<AwsAlternative<'a>>,
}

#[derive(Deserialize)]
struct AwsAlternative<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
    #[serde(default)]
    confidence: Seconds,
}

#[derive(Deserialize)]
struct AwsSegment<'a> {
    #[serde(borrow, default)]
    items: Vec<PositionedItem<'a>>,
}

#[derive(Deserialize)]
struct PositionedItem<'a> {
    #[serde(default)]
    start_time: Seconds,
    #[serde(borrow, default)]
    speaker_label: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct WholeText<'a> {
    #[serde(borrow, default)]
    transcript: Cow<'a, str>,
}

/// A channel with its items.
#[derive(Deserialize)]
struct Channel<'a> {
    #[serde(borrow, default)]
    channel_label: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    items: Vec<&'a RawValue>,
}

/// An item and its place, with the label of its channel.
type AwsSpeech<'a> = (Option<String>, ((usize, usize), AwsItem<'a>));

pub(in super::super) fn read(text: &str, mut gather: TranscriptBuilder) -> Result<ParsedTranscript, FormatError> {
    let fields: Fields<'_> = whole(text)?;
    let places = JsonSpans::of(text);
    let results = fields.get("results").and_then(|results| places.read(results, "the results", &mut gather));
    let results: Fields<'_> = results.unwrap_or_default();
    let labels = results.get("speaker_labels").filter(|labels| labels.get() != "null");
    let labels: Option<Fields<'_>> = labels.and_then(|labels| places.read(labels, "who speaks", &mut gather));
    // Older files name the speaker of a word only in these segments, by the start of the word.
    let mut by_start: HashMap<i64, String> = HashMap::new();
    for segment in labels.map(|labels| places.list(&labels, "segments", &mut gather)).unwrap_or_default() {
        let Some(segment) = places.read::<AwsSegment<'_>>(segment, "this segment", &mut gather) else { continue };
        by_start.extend(
            segment
                .items
                .into_iter()
                .filter_map(|item| Some((item.start_time.ms()?, item.speaker_label?.into_owned()))),
        );
    }
    let items = spoken(&results, &places, &mut gather);
    read_by_channel(&items, &mut gather, |(at, item), channel, has_several, lines, gather| {
        lines.may_lack_speakers();
        let Some(best) = item.alternatives.first() else {
            gather.left_out(at.0, at.1, "this item has no content: left out");
            return;
        };
        let is_punctuation = item.kind == "punctuation";
        if !is_punctuation {
            let known = item.start_time.ms().and_then(|start| by_start.get(&start)).map(String::as_str);
            let speaker = item.speaker_label.as_deref().or(known);
            lines.speaker(channel_speaker(channel, speaker, has_several).as_deref());
        }
        let token = WordToken {
            text: (&*best.content).into(),
            start_ms: item.start_time.ms(),
            end_ms: item.end_time.ms(),
            confidence: best.confidence.0,
            is_attached: is_punctuation,
            is_punctuation,
        };
        lines.push(*at, token);
    });
    if gather.len() == 0 {
        without_items(&results, &places, &mut gather);
    }
    Ok(gather.finish(FileKind::Aws))
}

/// Reads the text of results without readable items, as lines without times.
fn without_items<'a>(results: &Fields<'a>, places: &JsonSpans<'a>, gather: &mut TranscriptBuilder) {
    for transcript in places.list(results, "transcripts", gather) {
        let at = places.place(transcript.get());
        let Some(whole) = places.read::<WholeText<'_>>(transcript, "this transcript", gather) else { continue };
        let content = Content { text: tidy(whole.transcript.trim()).into(), ..Content::default() };
        if gather.line(at, content) {
            gather.problem(at.0, at.1, "of these results no item can be read: their text is read without times");
        }
    }
}

/// Returns the items, each with its channel. Older files have the channel of an item only in the lists of each
/// channel's items.
fn spoken<'a>(results: &Fields<'a>, places: &JsonSpans<'a>, gather: &mut TranscriptBuilder) -> Vec<AwsSpeech<'a>> {
    let labels = results.get("channel_labels").filter(|labels| labels.get() != "null");
    let labels: Option<Fields<'_>> = labels.and_then(|labels| places.read(labels, "which channels there are", gather));
    let channels = labels.map(|labels| places.list(&labels, "channels", gather)).unwrap_or_default();
    let channels: Vec<Channel<'_>> =
        channels.into_iter().filter_map(|channel| places.read(channel, "this channel", gather)).collect();
    let is_labelled = |item: &RawValue| {
        serde_json::from_str::<Fields<'_>>(item.get()).is_ok_and(|item| item.contains_key("channel_label"))
    };
    let read = |item: &'a RawValue, gather: &mut TranscriptBuilder| {
        let at = places.place(item.get());
        places.read::<AwsItem<'_>>(item, "this item", gather).map(|item| (at, item))
    };
    let items = places.list(results, "items", gather);
    let listed = channels.iter().map(|channel| channel.items.len()).sum::<usize>();
    if listed > 0 && listed >= items.len() && !items.iter().any(|item| is_labelled(item)) {
        let mut all = Vec::with_capacity(listed);
        for channel in channels {
            let label = channel.channel_label.map(Cow::into_owned);
            all.extend(channel.items.into_iter().filter_map(|item| Some((label.clone(), read(item, gather)?))));
        }
        return all;
    }
    let mut all: Vec<AwsSpeech<'a>> = Vec::with_capacity(items.len());
    for (at, item) in items.into_iter().filter_map(|item| read(item, gather)) {
        let label = item.channel_label.as_deref().map(str::to_owned);
        // Punctuation belongs to the word before it.
        let before = all.last().filter(|_| item.kind == "punctuation").and_then(|(channel, _)| channel.clone());
        all.push((label.or(before), (at, item)));
    }
    if channels.len() > 1
        && let Some((_, (at, _))) = all.iter().find(|(channel, _)| channel.is_none())
    {
        gather.problem(at.0, at.1, "nothing says on which of the channels this was said: read as said by nobody known");
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: &str, at: f64, content: &str, channel: &str) -> serde_json::Value {
        let mut item = serde_json::json!({"type": kind, "alternatives": [{"content": content, "confidence": "1.0"}]});
        if kind == "pronunciation" {
            item["start_time"] = at.to_string().into();
            item["end_time"] = (at + 0.1).to_string().into();
        }
        if !channel.is_empty() {
            item["channel_label"] = channel.into();
        }
        item
    }

    fn read_lines(results: serde_json::Value) -> (Vec<(Option<String>, String)>, usize) {
        let file = serde_json::json!({"results": results}).to_string();
        let reading = read(&file, TranscriptBuilder::default()).expect("it can be read");
        let line = |line: &crate::transcript::Version| {
            (line.content.speaker.as_deref().map(str::to_owned), line.content.text.to_string())
        };
        (reading.lines.iter().map(line).collect(), reading.problems.len())
    }

    const CALL: [(f64, &str, &str); 6] = [
        (0.1, "Can", "ch_0"),
        (0.3, "you", "ch_0"),
        (0.5, "Yes", "ch_1"),
        (0.55, "hear", "ch_0"),
        (0.65, "I", "ch_1"),
        (0.7, "me", "ch_0"),
    ];

    #[test]
    fn who_speaks_at_the_same_time_on_another_channel_is_somebody_else() {
        let by = |who: &str, what: &str| (Some(who.to_owned()), what.to_owned());
        let expected = (vec![by("ch_0", "Can you hear me?"), by("ch_1", "Yes I")], 0);
        let labels = serde_json::json!({"channels": [{"channel_label": "ch_0"}, {"channel_label": "ch_1"}]});
        let items = |has_channel: bool| {
            let word = |(at, content, channel): (f64, &str, &str)| {
                item("pronunciation", at, content, if has_channel { channel } else { "" })
            };
            let mut items: Vec<_> = CALL.into_iter().map(word).collect();
            items.push(item("punctuation", 0.0, "?", ""));
            items
        };
        assert_eq!(read_lines(serde_json::json!({"channel_labels": labels, "items": items(true)})), expected);
        // Older files have it in the lists of the channels only.
        let of = |channel: &str| -> Vec<_> {
            let mut items: Vec<_> = CALL
                .into_iter()
                .filter(|(.., of)| *of == channel)
                .map(|(at, content, _)| item("pronunciation", at, content, ""))
                .collect();
            items.extend((channel == "ch_0").then(|| item("punctuation", 0.0, "?", "")));
            items
        };
        let listed = serde_json::json!({"channels": [
            {"channel_label": "ch_0", "items": of("ch_0")}, {"channel_label": "ch_1", "items": of("ch_1")}
        ]});
        assert_eq!(read_lines(serde_json::json!({"channel_labels": listed, "items": items(false)})), expected);
        // If neither has it, that is reported.
        let (lines, told) = read_lines(serde_json::json!({"channel_labels": labels, "items": items(false)}));
        assert_eq!((lines, told), (vec![(None, "Can you Yes hear I me?".to_owned())], 1));
        // The speakers of each channel are counted from 0.
        let mut both = items(true);
        both.iter_mut().for_each(|item| item["speaker_label"] = "spk_0".into());
        let expected = vec![by("ch_0 spk_0", "Can you hear me?"), by("ch_1 spk_0", "Yes I")];
        assert_eq!(read_lines(serde_json::json!({"channel_labels": labels, "items": both})), (expected, 0));
    }
}
