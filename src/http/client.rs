//! One request through `ureq`, in this process.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::http::{HeaderName, HeaderValue, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::address::{check, origin};
use super::redirect::{resolve, same_origin};
use super::{HttpError, MAX_REDIRECTS, Reply, Request, Trouble};

/// Where distributions keep the certificates that they trust.
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
];
/// A larger file of certificates is none.
const MAX_BUNDLE: u64 = 16 << 20;

pub(super) fn request(request: &Request) -> Result<Reply, HttpError> {
    check(&request.url)?;
    let until = Instant::now() + request.timeout;
    let signature = request.secret.as_ref().map(|secret| {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        let tag = ring::hmac::sign(&key, request.body.as_deref().unwrap_or_default().as_bytes());
        let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256={hex}")
    });
    let mut url = request.url.clone();
    let mut body = request.body.as_deref();
    for _ in 0..=MAX_REDIRECTS {
        let ours = same_origin(&url, &request.url);
        let mut headers = vec![("user-agent", concat!("mozart/", env!("CARGO_PKG_VERSION")))];
        if body.is_some() {
            headers.push(("content-type", "application/json"));
            headers.extend(signature.as_deref().map(|text| ("x-mozart-signature", text)));
        }
        if ours {
            headers.extend(request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        }
        let mut answer = send(&url, &headers, body, until)?;
        let status = answer.status().as_u16();
        let header =
            |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if let (301 | 302 | 303 | 307 | 308, Some(location)) = (status, header("location")) {
            let to = resolve(&url, &location).ok_or_else(|| {
                let text = format!("{} redirects to an address that is not http or https", origin(&url));
                HttpError::new(Trouble::Protocol, text)
            })?;
            if url.to_ascii_lowercase().starts_with("https:")
                && !to.to_ascii_lowercase().starts_with("https:")
            {
                let text = format!("{} redirects from https to http, which is not followed", origin(&url));
                return Err(HttpError::new(Trouble::Protocol, text));
            }
            // As every client does: only 307 and 308 keep the method.
            if !matches!(status, 307 | 308) {
                body = None;
            }
            url = to;
            continue;
        }
        let retry_after = header("retry-after");
        let (text, cut) = read(answer.body_mut(), request.limit).map_err(|error| explain(&url, &error))?;
        return Ok(Reply { status, retry_after, body: text, cut });
    }
    let text = format!("{} redirects more than {MAX_REDIRECTS} times", origin(&request.url));
    Err(HttpError::new(Trouble::Protocol, text))
}

fn send(
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
    until: Instant,
) -> Result<ureq::http::Response<Body>, HttpError> {
    let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let uri: Uri = url.parse().map_err(|_| {
        HttpError::new(Trouble::Address, format!("the address at {} is not valid", origin(url)))
    })?;
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(left));
    if uri.scheme_str() == Some("https") {
        config = config.tls_config(TlsConfig::builder().root_certs(roots()?).build());
    }
    let agent: Agent = config.build().into();
    let mut parts = ureq::http::Request::builder().uri(uri);
    for (name, value) in headers {
        let bad =
            || HttpError::new(Trouble::Address, format!("header `{}` cannot be sent", name.escape_debug()));
        let name: HeaderName = name.parse().map_err(|_| bad())?;
        let value: HeaderValue = value.parse().map_err(|_| bad())?;
        // What the caller says takes the place of ours.
        if let Some(all) = parts.headers_mut() {
            all.insert(name, value);
        }
    }
    let broken = |_| HttpError::new(Trouble::Address, format!("the request to {} is not valid", origin(url)));
    let answer = match body {
        Some(body) => agent.run(parts.method("POST").body(body.to_owned()).map_err(broken)?),
        None => agent.run(parts.method("GET").body(()).map_err(broken)?),
    };
    answer.map_err(|error| explain(url, &error))
}

/// Reads up to the limit; an answer that ends too early is what came of it.
fn read(body: &mut Body, limit: usize) -> Result<(String, bool), ureq::Error> {
    let mut bytes = Vec::new();
    let reader = body.as_reader();
    match reader.take(limit as u64 + 1).read_to_end(&mut bytes) {
        Ok(_) => (),
        Err(error) => return Err(ureq::Error::from(error)),
    }
    let cut = bytes.len() > limit;
    bytes.truncate(limit);
    Ok((String::from_utf8_lossy(&bytes).into_owned(), cut))
}

fn explain(url: &str, error: &ureq::Error) -> HttpError {
    use std::io::ErrorKind;
    let to = origin(url);
    let (trouble, why) = match error {
        ureq::Error::Timeout(_) => (Trouble::Timeout, format!("{to} did not answer in time")),
        ureq::Error::HostNotFound => (Trouble::Name, format!("the host of {to} is not known")),
        ureq::Error::Io(io) => match io.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => {
                (Trouble::Timeout, format!("{to} did not answer in time"))
            }
            ErrorKind::InvalidData => (Trouble::Tls, format!("no secure connection to {to}: {io}")),
            _ if is_lookup(io) => (Trouble::Name, format!("the host of {to} is not known: {io}")),
            _ => (Trouble::Connection, format!("no connection to {to}: {io}")),
        },
        ureq::Error::ConnectionFailed => (Trouble::Connection, format!("no connection to {to}")),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
            (Trouble::Address, format!("the request to {to} is not valid"))
        }
        ureq::Error::Tls(_) | ureq::Error::Pem(_) | ureq::Error::Rustls(_) => {
            (Trouble::Tls, format!("no secure connection to {to}: {error}"))
        }
        ureq::Error::InvalidProxyUrl => {
            (Trouble::Address, "the proxy of the environment is not a valid address".to_owned())
        }
        _ => (Trouble::Protocol, format!("{to} does not speak HTTP as expected")),
    };
    HttpError::new(trouble, why)
}

/// The standard library has no kind for a failed look-up.
fn is_lookup(error: &std::io::Error) -> bool {
    error.to_string().contains("lookup address")
}

/// Whom to trust: `SSL_CERT_FILE`, else the system, else what was compiled in.
fn roots() -> Result<RootCerts, HttpError> {
    if let Some(path) = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()) {
        let shown = path.to_string_lossy().into_owned();
        return bundle(path.as_ref()).map(specific).ok_or_else(|| {
            let text = format!("SSL_CERT_FILE ({shown}) holds no certificates that can be read");
            HttpError::new(Trouble::Tls, text)
        });
    }
    let found = BUNDLES.iter().find_map(|path| bundle(path.as_ref()));
    Ok(found.map_or(RootCerts::WebPki, specific))
}

fn specific(certificates: Vec<Certificate<'static>>) -> RootCerts {
    RootCerts::Specific(Arc::new(certificates))
}

/// The certificates of a file; `None` when there are none.
fn bundle(path: &std::path::Path) -> Option<Vec<Certificate<'static>>> {
    let pem = crate::file::read(path, MAX_BUNDLE).ok()?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            Ok(_) | Err(_) => None,
        })
        .collect();
    (!certificates.is_empty()).then_some(certificates)
}
