//! The decoder interface of one connection, for every vendor.

use crate::dialect::core::decoded::Decoded;
use crate::dialect::core::earlier_speech::EarlierSpeech;
use crate::transcript::MediaMs;

/// Decodes the frames of one connection to a vendor's engine.
pub trait Dialect: Send {
    /// Decodes one frame, which may contain any bytes, and adds its events to `out`.
    fn decode(&mut self, frame: &[u8], out: &mut Decoded);

    /// Ends the stream: settled text becomes final. Unsettled text stays interim.
    fn end(&mut self, out: &mut Decoded);

    /// Sets what the source sent on earlier connections, if no offset was given: if the engine started over, its times
    /// are counted from the feed's present time.
    fn stand_behind(&mut self, _earlier: Box<dyn EarlierSpeech>) {}

    /// Sets the time since this connection began, in milliseconds: an engine session that begins within the connection
    /// starts at that time. Without it, the session starts after the last line.
    fn elapsed(&mut self, _elapsed_ms: MediaMs) {}

    /// Returns the time, on the clock of [`Self::elapsed`], at which [`Self::rest`] has to be called unless another
    /// frame comes first: settled text becomes final then. `None` if nothing waits. Call it after each frame.
    fn due_ms(&mut self) -> Option<MediaMs> {
        None
    }

    /// Reports that no frame came until `elapsed_ms`: settled text that was due becomes final. Some engines send
    /// nothing during silence.
    fn rest(&mut self, _elapsed_ms: MediaMs, _out: &mut Decoded) {}

    /// Ends the engine's session: like [`Self::end`], but unsettled text is kept as it was last shown, because no
    /// better version will come. Later frames belong to another session.
    fn close_session(&mut self, out: &mut Decoded) {
        self.end(out);
    }

    /// Reports a reconnect to the engine, `elapsed_ms` after the first connection: its session is closed, and the next
    /// one begins.
    fn reconnect(&mut self, _elapsed_ms: MediaMs, out: &mut Decoded) {
        self.close_session(out);
    }
}
