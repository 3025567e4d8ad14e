//! TCP ports of a test's own, at which a server can be started again.
//!
//! A port that the system gives is anybody's once its server has ended: connections that others open get their own ports
//! from the same range. So these are below that range (32768 and up on Linux, 49152 and up by RFC 6335), and a UDP socket of
//! the same number, which nothing else here uses, says to other tests that a port is taken.

use std::net::{TcpListener, UdpSocket};

/// The ports that tests take.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// A port that is kept for as long as this is held.
#[derive(Debug)]
pub struct ReservedPort {
    number: u16,
    _held: UdpSocket,
}

impl ReservedPort {
    /// One that nobody listens at.
    pub fn take() -> Self {
        let first = getrandom::u32().expect("there is chance");
        let count = u32::from(PORTS.end - PORTS.start);
        let numbers =
            (0..count).map(|step| PORTS.start + ((u64::from(first) + u64::from(step)) % u64::from(count)) as u16);
        let free = numbers.filter_map(|number| {
            let held = UdpSocket::bind(("127.0.0.1", number)).ok()?;
            TcpListener::bind(("127.0.0.1", number)).ok()?;
            Some(Self { number, _held: held })
        });
        { free }.next().expect("there are free ports")
    }

    pub fn number(&self) -> u16 {
        self.number
    }

    /// To listen at and to connect to.
    pub fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.number)
    }
}
