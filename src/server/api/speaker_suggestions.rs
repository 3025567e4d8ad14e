//! Suggestions of speakers whose id or name is similar to an unknown one.

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::transcript::Speaker;

/// Suggestions per response: people do not read more.
const SUGGESTED_MAX: usize = 3;

/// Returns the speakers most similar to `wanted`, best first: the id of each, with its name if that differs. Comparison
/// ignores case, spacing and Unicode normalization; part of a name matches, and so does a name with a few wrong
/// letters.
pub(crate) fn suggest_speakers(speakers: &[Speaker], wanted: &str) -> Vec<String> {
    let wanted = comparable(wanted);
    let distance = |speaker: &Speaker| {
        // An engine's label follows its session in the id.
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

/// Normalizes a text: lower case, NFKC, single blanks between words.
fn comparable(text: &str) -> String {
    let composed = ComposingNormalizerBorrowed::new_nfkc().normalize(text).to_lowercase();
    // Lower-casing may decompose characters again.
    let composed = ComposingNormalizerBorrowed::new_nfkc().normalize(&composed);
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the distance between two names; `None` if they are too different.
fn distance(wanted: &str, called: &str) -> Option<usize> {
    if wanted.is_empty() || called.is_empty() {
        return None;
    }
    let (length, other) = (wanted.chars().count(), called.chars().count());
    // A third of the letters may be wrong, and two in a short name.
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
    // Ranked after names with the most typing errors allowed.
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
