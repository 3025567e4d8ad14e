//! Reasons why no connection to a server was made, for requests and WebSockets alike.

use http::uri::Authority;

/// Reason why no connection to a server was made. The server was asked nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The server cannot be reached at the moment.
    #[error("cannot connect to {address}: {cause}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// The reason.
        cause: String,
    },
    /// The server answered, but TLS failed: it did not prove its identity, or does not speak TLS.
    #[error("no secure connection to {address}: {cause}")]
    NotSecure {
        /// Host and port.
        address: String,
        /// The reason and the remedy.
        cause: String,
    },
    /// The proxy cannot be reached, or refused to connect to the server.
    #[error("cannot connect to {address}: {cause}")]
    Proxy {
        /// Host and port of the server.
        address: String,
        /// The proxy, the variable that names it, the reason and the remedy.
        cause: String,
        /// True if a new attempt, with nothing changed, may succeed.
        is_temporary: bool,
    },
}

impl ConnectError {
    /// Returns true if a new attempt, with nothing changed, may succeed.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::NotSecure { .. } => false,
            Self::Proxy { is_temporary, .. } => *is_temporary,
        }
    }

    pub(super) fn unreachable(server: &Authority, cause: impl ToString) -> Self {
        Self::Unreachable { address: server.to_string(), cause: cause.to_string() }
    }

    pub(super) fn not_secure(server: &Authority, cause: impl Into<String>) -> Self {
        Self::NotSecure { address: server.to_string(), cause: cause.into() }
    }

    pub(super) fn proxy(server: &Authority, cause: String, is_temporary: bool) -> Self {
        Self::Proxy { address: server.to_string(), cause, is_temporary }
    }
}
