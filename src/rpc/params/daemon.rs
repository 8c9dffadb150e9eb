//! Parameters of the `daemon.*` methods that have any.

use super::{Fields, Params, RpcError};

/// `daemon.shutdown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// Let running sheets finish within the shutdown timeout. Default true.
    pub graceful: bool,
}

impl TryFrom<Params> for Shutdown {
    type Error = RpcError;

    fn try_from(params: Params) -> Result<Self, RpcError> {
        Ok(Self { graceful: Fields::new(params)?.flag("graceful", true)? })
    }
}

/// `daemon.clear_rate_limits`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClearRateLimits {
    /// Only limits of this instrument; `None` = of all.
    pub instrument: Option<String>,
}

impl TryFrom<Params> for ClearRateLimits {
    type Error = RpcError;

    fn try_from(params: Params) -> Result<Self, RpcError> {
        let instrument = Fields::new(params)?.text("instrument")?;
        Ok(Self { instrument: instrument.filter(|name| !name.is_empty()) })
    }
}
