//! Networks, such as `10.0.0.0/8`.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::Deserialize;

/// Error for a text that names no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a network is written like 10.0.0.0/8 or fd00::/8, one address like 127.0.0.1")]
pub struct BadNetwork;

/// Network (CIDR, RFC 4632), or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network(IpNet);

impl Network {
    /// Returns true if `ip` is in the network. An IPv4 address in IPv6 notation (`::ffff:10.0.0.1`) counts as IPv4.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.0.contains(&ip.to_canonical())
    }

    /// Returns true if the network contains every address.
    pub(super) fn is_everything(self) -> bool {
        self.0.prefix_len() == 0
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for Network {
    type Error = BadNetwork;

    fn try_from(text: String) -> Result<Self, BadNetwork> {
        text.parse()
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(Self).map_err(|_| BadNetwork)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_as_a_table() {
        for (network, inside, outside) in [
            ("127.0.0.1/32", "127.0.0.1", "127.0.0.2"),
            ("127.0.0.1", "::ffff:127.0.0.1", "::1"),
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.1.2.3/8", "10.255.0.1", "11.0.0.1"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("::1", "::1", "127.0.0.1"),
        ] {
            let read = Network::try_from(network.to_owned()).expect(network);
            let contains = |ip: &str| read.contains(ip.parse().expect("an address"));
            assert!(contains(inside) && !contains(outside), "{network}");
        }
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "localhost", "10.0.0.1:80", "*"] {
            assert!(Network::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
