//! Speakers whose id or name is near to what somebody typed, for the answer to one who means a speaker that is not there.

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::transcript::Speaker;

/// Suggestions in an answer: more are read by nobody.
const SUGGESTED_MAX: usize = 3;

/// The ids of the speakers nearest to `wanted`, the nearest first, each with its name if that is another one. Letters are
/// compared without their case, in one Unicode normalisation, and however words are spaced; a part of a name is near, and so is
/// one with a few letters wrong.
pub(crate) fn suggest_speakers(speakers: &[Speaker], wanted: &str) -> Vec<String> {
    let wanted = comparable(wanted);
    let distance = |speaker: &Speaker| {
        // An engine's label stands behind the session that it is of.
        let label = speaker.id.rsplit_once(':').map_or("", |(_, label)| label);
        let called = [&*speaker.id, &*speaker.name, label];
        called.into_iter().filter_map(|called| distance(&wanted, &comparable(called))).min()
    };
    let mut near: Vec<_> = speakers.iter().filter_map(|speaker| Some((distance(speaker)?, speaker))).collect();
    near.sort_by_key(|(distance, _)| *distance);
    let told = |speaker: &Speaker| match &speaker.name {
        name if *name == speaker.id => format!("{:?}", speaker.id),
        name => format!("{:?} (called {name:?})", speaker.id),
    };
    near.into_iter().take(SUGGESTED_MAX).map(|(_, speaker)| told(speaker)).collect()
}

/// Lower case, compatibility-composed (NFKC), words with one blank between them.
fn comparable(text: &str) -> String {
    let composed = ComposingNormalizerBorrowed::new_nfkc().normalize(text).to_lowercase();
    // Lower case may come apart again.
    let composed = ComposingNormalizerBorrowed::new_nfkc().normalize(&composed);
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How far apart two names are; none if one is not meant by the other.
fn distance(wanted: &str, called: &str) -> Option<usize> {
    if wanted.is_empty() || called.is_empty() {
        return None;
    }
    let (length, other) = (wanted.chars().count(), called.chars().count());
    // A third of the letters may be wrong, and two of a short name.
    let max = (length.max(other) / 3).max(2).min(length.max(other) - 1);
    let typed_wrong = || {
        let distance = strsim::osa_distance(wanted, called);
        (distance <= max).then_some(distance)
    };
    let near = if length.abs_diff(other) <= max { typed_wrong() } else { None };
    let is_part = || {
        let words: Vec<&str> = called.split(' ').collect();
        wanted.split(' ').all(|word| words.contains(&word))
    };
    // Behind those that are typed wrong by so much.
    near.or_else(|| is_part().then_some(max + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speaker(id: &str, name: &str) -> Speaker {
        Speaker { id: id.into(), name: name.into(), kind: None, into: None }
    }

    #[test]
    fn near_names_are_found_as_a_table() {
        let speakers = [
            speaker("Ines Marlow", "Ines Marlow"),
            speaker("Speaker 5", "Woman in the third row"),
            speaker("Speaker 6", "Speaker 6"),
            speaker("José Núñez", "José Núñez"),
            speaker("main.k3f9q2:S1", "S1"),
            speaker("Clerk", "Clerk"),
        ];
        let first = |wanted: &str| suggest_speakers(&speakers, wanted).first().cloned();
        for (wanted, found) in [
            ("ines marlow", Some(r#""Ines Marlow""#)),
            ("Ines  Marlow ", Some(r#""Ines Marlow""#)),
            ("Inse Marlow", Some(r#""Ines Marlow""#)),
            ("Marlow", Some(r#""Ines Marlow""#)),
            ("Jose\u{301} Nu\u{301}n\u{303}ez", Some(r#""José Núñez""#)),
            ("Jose Nunez", Some(r#""José Núñez""#)),
            ("JOSÉ NÚÑEZ", Some(r#""José Núñez""#)),
            ("woman in the third row", Some(r#""Speaker 5" (called "Woman in the third row")"#)),
            ("ｃｌｅｒｋ", Some(r#""Clerk""#)),
            ("s1", Some(r#""main.k3f9q2:S1" (called "S1")"#)),
            ("Chairman of the board", None),
            ("", None),
        ] {
            assert_eq!(first(wanted).as_deref(), found, "{wanted:?}");
        }
        assert_eq!(suggest_speakers(&speakers, "Speaker 7").len(), 2);
        let many: Vec<_> = (0..20).map(|n| speaker(&format!("Speaker {n}"), &format!("Speaker {n}"))).collect();
        assert_eq!(suggest_speakers(&many, "speaker 1"), ["\"Speaker 1\"", "\"Speaker 0\"", "\"Speaker 2\""]);
    }
}
