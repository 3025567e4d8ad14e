//! The decoder of one connection, whatever the vendor.

use crate::dialect::core::decoded::Decoded;
use crate::dialect::core::earlier_speech::EarlierSpeech;
use crate::transcript::MediaMs;

/// Reads what one connection of a vendor's engine says.
pub trait Dialect: Send {
    /// Takes one frame, whatever bytes it holds, and adds what it says to `out`.
    fn decode(&mut self, frame: &[u8], out: &mut Decoded);

    /// Nothing follows: what is settled and was not final becomes so. A guess stays one.
    fn end(&mut self, out: &mut Decoded);

    /// What its source said before this connection, which nobody said how to place: where the engine began anew, its times
    /// are counted from the feed's present time.
    fn stand_behind(&mut self, _earlier: Box<dyn EarlierSpeech>) {}

    /// So much time has passed since this connection began: where a session of the engine begins within it, its times go on
    /// from there. Without it they go on behind what was said last.
    fn elapsed(&mut self, _elapsed_ms: MediaMs) {}

    /// When, by the time that [`Self::elapsed`] counts, [`Self::rest`] has to be called unless another frame comes first:
    /// what the vendor settled is final then. `None` where nothing waits. Asked after each frame.
    fn due_ms(&mut self) -> Option<MediaMs> {
        None
    }

    /// Nothing was said until `elapsed_ms`: what was due by then becomes final. Some engines send nothing in a silence.
    fn rest(&mut self, _elapsed_ms: MediaMs, _out: &mut Decoded) {}

    /// The engine's session is over: as [`Self::end`], and a guess stands as it was shown last, for nobody will say it
    /// better. What follows is another session.
    fn close_session(&mut self, out: &mut Decoded) {
        self.end(out);
    }

    /// The engine was connected to anew, `elapsed_ms` after the first time: its session is closed, and the next one begins.
    fn reconnect(&mut self, _elapsed_ms: MediaMs, out: &mut Decoded) {
        self.close_session(out);
    }
}
