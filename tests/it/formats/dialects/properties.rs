//! What holds of every dialect, whatever it is fed.

use captionwire::dialect::{Decoded, Framing, VendorFormat};
use proptest::prelude::*;

use super::screen::{Screen, check};
use super::{options, sample};

fn feed(format: VendorFormat, frames: &[Vec<u8>]) -> Screen {
    let mut dialect = format.open(options());
    let mut screen = Screen::new();
    for frame in frames {
        screen.decode(&mut *dialect, frame);
    }
    screen.end(&mut *dialect);
    screen
}

/// Frames of a sample, with some of their bytes replaced, left out or doubled, in some other order.
fn mutated(format: VendorFormat) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let frames = sample(format);
    let change = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4u8, any::<u8>(), 1..20usize);
    prop::collection::vec(change, 0..12).prop_map(move |changes| {
        let mut frames = frames.clone();
        for (which, place, kind, byte, length) in changes {
            let which = which.index(frames.len());
            let frame = &mut frames[which];
            let at = place.index(frame.len() + 1);
            let end = frame.len().min(at + length);
            match kind {
                0 if at < frame.len() => frame[at] = byte,
                1 => drop(frame.drain(at..end)),
                2 => {
                    let again = frame[at..end].to_vec();
                    frame.splice(at..at, again);
                }
                _ => {
                    let other = place.index(frames.len());
                    frames.swap(which, other);
                }
            }
        }
        frames
    })
}

fn any_format() -> impl Strategy<Value = VendorFormat> {
    prop::sample::select(&VendorFormat::ALL[..])
}

fn streams() -> impl Strategy<Value = VendorFormat> {
    any_format().prop_filter("a stream", |format| format.framing() != Framing::Json)
}

proptest! {
    #[test]
    fn any_bytes_in(format in any_format(), frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8)) {
        feed(format, &frames);
    }

    #[test]
    fn samples_with_a_few_bytes_changed((format, frames) in any_format().prop_flat_map(|format| (Just(format), mutated(format)))) {
        feed(format, &frames);
    }

    /// A stream means the same wherever its frames end, also within a character.
    #[test]
    fn streams_may_be_cut_anywhere(
        format in streams(),
        text in "([a-zé]{1,5}|>>|>>>| |\n|\n|\u{8}|: |2021-06-16T16:30:41\\.000\n|12 15 |A:|\\.){0,60}",
        bad in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut bytes = text.into_bytes();
        for (place, byte) in bad {
            let at = place.index(bytes.len() + 1);
            bytes.insert(at, byte);
        }
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        let pieces: Vec<Vec<u8>> = places.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect();
        prop_assert_eq!(feed(format, &pieces).lines(), feed(format, &[bytes]).lines());
    }

    /// Whatever any of them makes of another's frames, it is something that the server takes.
    #[test]
    fn other_vendors_frames(format in any_format(), other in any_format()) {
        let mut dialect = format.open(options());
        for frame in sample(other) {
            let mut out = Decoded::default();
            dialect.decode(&frame, &mut out);
            out.says.iter().for_each(check);
        }
    }
}

/// Read twice, the same is said.
#[test]
fn decoding_has_no_whims() {
    for format in VendorFormat::ALL {
        let frames = sample(format);
        assert_eq!(feed(format, &frames).turns(), feed(format, &frames).turns());
    }
}
