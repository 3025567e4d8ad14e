//! A player of sliding playlists, as RFC 8216 describes one (sections 6.3.3 and 6.3.4), and a world for it: lines that come
//! when they do, and the server's upkeep in silence, in simulated time.

use std::collections::BTreeMap;

use captionwire::format::hls::{ListedSegments, SegmentCut, Timeline};
use captionwire::position::Offset;
use captionwire::transcript::{FoldView, Op, Record, Timestamp, Transcript};
use proptest::prelude::*;

use super::reader::{Cue, Playlist, check_segments, number_of, read_segment};
use super::{opening, said};

const CUT: SegmentCut = SegmentCut { segment_ms: 2_000, hold_back_ms: 3_000 };
/// The least that may be configured: what is listed has to be seen nevertheless.
const WINDOW: u64 = 3;
/// When the world begins.
const BEGINNING: i64 = 1_700_000_000_000;
/// A quarter of a segment of silence, and the server looks five times in each.
const TICK_MS: std::ops::RangeInclusive<i64> = 500..=900;

/// A player, from when it opens the playlist.
#[derive(Debug, Default)]
struct Player {
    polls_at: i64,
    /// The segments it was told of, with the lines of the playlist that are theirs, and their bytes.
    seen: BTreeMap<u64, (String, String)>,
    /// The first and the next number of the last playlist.
    listed: Option<(u64, u64)>,
    is_over: bool,
}

impl Player {
    fn opening_at(polls_at: i64) -> Self {
        Self { polls_at, ..Self::default() }
    }

    /// Reads the playlist, and whatever is in it.
    fn poll(&mut self, now: i64, timeline: &Timeline) {
        let text = timeline.playlist(ListedSegments::Last(WINDOW), u64::MAX, None, "");
        let playlist = Playlist::read(&text);
        assert_eq!((playlist.target_s, playlist.is_event), (2, false));
        let next = playlist.first + playlist.segments.len() as u64;
        let mut is_new = true;
        if let Some((first, last_next)) = self.listed {
            assert!(playlist.first >= first && next >= last_next, "{text} is behind one from {first} to {last_next}");
            assert!(playlist.first <= last_next, "{text} leaves out what is between {last_next} and it");
            // Section 6.2.2: what is left lasts for three target durations.
            assert!(playlist.first == first || next - playlist.first >= 3, "{text}");
            assert!(!self.is_over || (next, playlist.is_over) == (last_next, true), "{text} goes on after its end");
            is_new = next > last_next;
        }
        let whole: Vec<&str> = text.split_inclusive(".vtt\n").collect();
        for (number, (name, said)) in (playlist.first..).zip(playlist.segments.iter().zip(whole)) {
            let said =
                said.rsplit_once("SEQUENCE:").and_then(|(_, said)| said.split_once('\n')).map_or(said, |it| it.1);
            let bytes = timeline.segment(name, 0).expect("what is listed is there");
            let segment = (said.to_owned(), bytes);
            assert_eq!(self.seen.entry(number).or_insert_with(|| segment.clone()), &segment, "it was another one");
        }
        (self.listed, self.is_over) = (Some((playlist.first, next)), playlist.is_over);
        // Section 6.3.4: after the target duration, or half of it if nothing was new.
        self.polls_at = now + if is_new { CUT.segment_ms } else { CUT.segment_ms / 2 };
    }

    /// The cues of all that it saw.
    fn cues(&self) -> BTreeMap<String, Cue> {
        let mut all = BTreeMap::new();
        for (_, bytes) in self.seen.values() {
            all.extend(read_segment(bytes).1.into_iter().map(|cue| (cue.id.clone(), cue)));
        }
        all
    }
}

/// What happens to a feed while players look at it.
struct World {
    now: i64,
    timeline: Timeline,
    transcript: Transcript,
    players: Vec<Player>,
    /// When a playlist with more segments was there.
    published_at: Vec<i64>,
    segments: usize,
}

impl World {
    fn new(players: &[i64]) -> Self {
        let mut world = Self {
            now: BEGINNING,
            timeline: Timeline::new(CUT),
            transcript: Transcript::new(FoldView::Interim),
            players: players.iter().map(|after| Player::opening_at(BEGINNING + after)).collect(),
            published_at: Vec::new(),
            segments: 0,
        };
        [opening(), Op::Resume].into_iter().for_each(|op| world.take(op));
        world
    }

    fn take(&mut self, op: Op) {
        let offset: Offset = self.timeline.next_offset();
        let record = Record::new(Timestamp(self.now), op);
        self.transcript.apply(offset, record.clone());
        self.timeline.apply(offset, record);
        let playlist = Playlist::read(&self.timeline.playlist(ListedSegments::All, u64::MAX, None, ""));
        let segments = if playlist.is_event { playlist.segments.len() } else { 0 };
        if segments > self.segments {
            self.published_at.push(self.now);
        }
        self.segments = segments;
    }

    /// Lets time go by, with what the server does by itself, and the players.
    fn wait(&mut self, until: i64, tick_ms: i64) {
        let mut tick_at = self.now + tick_ms;
        loop {
            let next = self.players.iter().map(|player| player.polls_at).chain([tick_at]).min().expect("a tick");
            if next > until {
                break;
            }
            self.now = next.max(self.now);
            if self.now == tick_at {
                tick_at += tick_ms;
                if let Some(clock) = self.transcript.clock() {
                    self.take(Op::Clock { source: "main".into(), media_ms: clock.media_ms });
                }
            }
            let due = self.players.iter_mut().filter(|player| player.polls_at <= next);
            due.for_each(|player| player.poll(next, &self.timeline));
        }
        self.now = until;
    }
}

/// A line: how long after the one before it is sent, for how long it was said, how long it took to write it.
#[derive(Debug, Clone)]
struct Said {
    id: u8,
    after_ms: i64,
    length_ms: i64,
    lag_ms: i64,
    text: u8,
    has_end: bool,
}

fn lines(lag: impl Strategy<Value = i64>, has_end: impl Strategy<Value = bool>) -> impl Strategy<Value = Vec<Said>> {
    let line = (0..40_u8, 0..9_000_i64, 1..8_000_i64, lag, 0..3_u8, has_end);
    let line = line.prop_map(|(id, after_ms, length_ms, lag_ms, text, has_end)| Said {
        id,
        after_ms,
        length_ms,
        lag_ms,
        text,
        has_end,
    });
    proptest::collection::vec(line, 1..60)
}

/// The feed goes on with these lines, is silent for a while, and ends.
fn run(lines: &[Said], tick_ms: i64, players: &[i64]) -> World {
    let mut world = World::new(players);
    // Nobody writes what was said before it began.
    world.wait(world.now + 12_000, tick_ms);
    for line in lines {
        world.wait(world.now + line.after_ms, tick_ms);
        let start = (world.now - BEGINNING - line.lag_ms - line.length_ms).max(0);
        world.take(said(line.id, start, line.has_end.then_some(line.length_ms), line.text));
    }
    world.wait(world.now + 30_000, tick_ms);
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Whatever comes, and however far it jumps: a player that asks as often as it should sees all that is published since
    /// it began, each segment as it stays, and with the first one each cue.
    #[test]
    fn a_player_of_a_sliding_playlist_sees_every_cue(
        lines in lines(prop_oneof![8 => 0..12_000_i64, 1 => -200_000..0_i64], any::<bool>()),
        tick_ms in TICK_MS,
        joins in 0..42_000_i64,
    ) {
        let mut world = run(&lines, tick_ms, &[0, joins]);
        world.take(Op::End);
        world.wait(world.now + 3 * CUT.segment_ms, tick_ms);
        let all = Playlist::read(&world.timeline.playlist(ListedSegments::All, u64::MAX, None, ""));
        let begin = number_of(&all.segments[0]);
        let all: Vec<_> = all.segments.iter().map(|name| world.timeline.segment(name, 0).expect("it is there")).collect();
        for player in &world.players {
            prop_assert!(player.is_over);
            let first = *player.seen.keys().next().expect("one at least");
            let numbers: Vec<u64> = player.seen.keys().copied().collect();
            prop_assert_eq!(numbers, (first..=all.len() as u64).collect::<Vec<_>>());
            // The first number is that of the lead-in.
            let seen = player.seen.iter().filter(|(number, _)| **number > 0).map(|(_, (_, bytes))| bytes);
            prop_assert!(seen.eq(&all[usize::try_from(first.max(1)).expect("few") - 1..]));
        }
        let whole: Vec<Vec<Cue>> = all.iter().map(|bytes| read_segment(bytes).1).collect();
        let cues = check_segments(begin, &whole, CUT.segment_ms);
        prop_assert_eq!(&world.players[0].cues(), &cues);
        for line in world.transcript.assembled().flat_map(|(_, lines)| lines) {
            let text = format!("<v Clerk>{}", line.text);
            prop_assert!(cues.values().any(|cue| cue.payload == text), "{text} in {cues:#?}");
        }
    }

    /// RFC 8216, section 6.2.2: a new segment comes no sooner than half the target duration after the last one, and no later
    /// than one and a half. It needs a source that is always as far behind what is said, whatever is said and corrected.
    #[test]
    fn a_playlist_is_never_old(
        lines in lines(Just(2_500), Just(true)),
        tick_ms in TICK_MS,
    ) {
        let world = run(&lines, tick_ms, &[0]);
        let half = CUT.segment_ms / 2;
        // What was said before anybody listened is published at once.
        let regular = world.published_at.iter().skip(1).zip(world.published_at.iter().skip(2));
        for (last, next) in regular.chain(world.published_at.last().map(|last| (last, &world.now))) {
            let age = next - last;
            prop_assert!(age <= 3 * half && (age >= half || next == &world.now), "{age} in {:?}", world.published_at);
        }
        prop_assert!(world.published_at.len() > 10);
    }
}
