//! `--version`.

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::failure::Done;

/// Version of the wire protocol that this program speaks.
const PROTOCOL: u32 = 1;

/// Prints the version; with `-v` also how it was built.
pub(crate) fn print(cx: &Context) -> Done {
    let version = env!("CARGO_PKG_VERSION");
    let program = cx.brand.program();
    let features: Vec<&str> =
        [("cli", cfg!(feature = "cli")), ("bundled-sqlite", cfg!(feature = "bundled-sqlite"))]
            .into_iter()
            .filter_map(|(name, built)| built.then_some(name))
            .collect();
    if cx.out.json {
        let document =
            json!({"name": program, "version": version, "protocol_version": PROTOCOL, "features": features});
        cx.out.document(&document)?;
        return Ok(0);
    }
    cx.out.line(&format!("{program} {version}"))?;
    if cx.out.verbose {
        cx.out.line(&format!("protocol: {PROTOCOL}"))?;
        cx.out.line(&format!("features: {}", features.join(" ")))?;
        cx.out.line(&format!("target: {}-{}", std::env::consts::ARCH, std::env::consts::OS))?;
    }
    Ok(0)
}
