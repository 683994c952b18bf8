//! Shared-access tokens: `SharedAccessSignature sr={resource}&sig={signature}&se={expiry}[&skn={policy}]`.
//!
//! What is signed is the text of `sr` and `se` exactly as it was sent. Clients encode `sr` in
//! different ways, or not at all, so it is decoded for comparing only.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Secret, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use thiserror::Error;

/// The longest token read, in bytes.
pub const TOKEN_BYTES_MAX: usize = 4096;

const SCHEME: &str = "SharedAccessSignature ";
/// What stays as it is when a token is written: the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a text is not a shared-access token.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenMalformed {
    /// Longer than [`TOKEN_BYTES_MAX`].
    #[error("a token of {bytes} bytes, at most {TOKEN_BYTES_MAX} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It does not begin with `SharedAccessSignature `.
    #[error("the token does not begin with SharedAccessSignature")]
    Scheme,
    /// A part that is not one of the four fields.
    #[error("part {index} of the token is no field of a token")]
    Field {
        /// Its place, counted from 1.
        index: usize,
    },
    /// The same field twice.
    #[error("the token has the field {field} twice")]
    Repeated {
        /// Which.
        field: &'static str,
    },
    /// A field that must be there.
    #[error("the token has no {field}")]
    Missing {
        /// Which.
        field: &'static str,
    },
    /// `sr` does not decode to a host and path.
    #[error("the token's resource is not readable")]
    Resource,
    /// `sig` is not base64.
    #[error("the token's signature is not base64")]
    Signature,
    /// `se` is not a number of seconds.
    #[error("the token's expiry is no number of seconds")]
    Expiry,
}

impl TokenMalformed {
    /// A stable name for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "token_too_long",
            Self::Scheme => "token_scheme",
            Self::Field { .. } => "token_field",
            Self::Repeated { .. } => "token_field_repeated",
            Self::Missing { .. } => "token_field_missing",
            Self::Resource => "token_resource",
            Self::Signature => "token_signature_encoding",
            Self::Expiry => "token_expiry_encoding",
        }
    }
}

/// A token as read; nothing is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedAccessToken<'a> {
    resource_text: &'a str,
    expiry_text: &'a str,
    signature: Vec<u8>,
    host: String,
    segments: Vec<String>,
    expires: Timestamp,
    policy: Option<String>,
}

impl<'a> SharedAccessToken<'a> {
    /// Reads a token.
    ///
    /// # Errors
    /// [`TokenMalformed`] naming the first fault.
    pub fn parse(text: &'a str) -> Result<Self, TokenMalformed> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(TokenMalformed::TooLong { bytes: text.len() });
        }
        let fields = Fields::split(text)?;
        let resource_text = fields.resource.ok_or(TokenMalformed::Missing { field: "sr" })?;
        let signature_text = fields.signature.ok_or(TokenMalformed::Missing { field: "sig" })?;
        let expiry_text = fields.expiry.ok_or(TokenMalformed::Missing { field: "se" })?;
        let (host, segments) = read_resource(resource_text)?;
        Ok(Self {
            resource_text,
            expiry_text,
            signature: read_signature(signature_text)?,
            host,
            segments,
            expires: read_expiry(expiry_text)?,
            policy: read_policy(fields.policy)?,
        })
    }

    /// Whether the token was signed with `key`, compared in constant time.
    pub fn is_signed_with(&self, key: &Secret) -> bool {
        // An empty key is no secret.
        !key.expose().is_empty() && {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
            let message = string_to_sign(self.resource_text, self.expiry_text);
            hmac::verify(&key, message.as_bytes(), &self.signature).is_ok()
        }
    }

    /// The host it speaks of, as written but decoded; it may carry a port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path it speaks of, decoded; empty for the whole hub.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// Whether its path is `path` or lies above it, segment by segment.
    pub fn covers<S: AsRef<str>>(&self, path: &[S]) -> bool {
        self.segments.len() <= path.len() && self.segments.iter().zip(path).all(|(own, other)| own == other.as_ref())
    }

    /// When it ends, as written.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// The policy whose key signed it; the identity's own key did when there is none.
    pub fn policy(&self) -> Option<&str> {
        self.policy.as_deref()
    }
}

/// Signs a token for `resource`, a host and path such as `localhost/devices/dev1`, with the key
/// of `policy` or, without one, of the identity that `resource` names.
pub fn sign(resource: &str, key: &Secret, expires: Timestamp, policy: Option<&str>) -> String {
    let resource = utf8_percent_encode(resource, ENCODED).to_string();
    let expiry = expires.as_seconds().to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
    let signature = STANDARD.encode(hmac::sign(&key, string_to_sign(&resource, &expiry).as_bytes()));
    let signature = utf8_percent_encode(&signature, ENCODED);
    let policy = policy.map(|name| format!("&skn={}", utf8_percent_encode(name, ENCODED))).unwrap_or_default();
    format!("{SCHEME}sr={resource}&sig={signature}&se={expiry}{policy}")
}

fn string_to_sign(resource: &str, expiry: &str) -> String {
    format!("{resource}\n{expiry}")
}

#[derive(Default)]
struct Fields<'a> {
    resource: Option<&'a str>,
    signature: Option<&'a str>,
    expiry: Option<&'a str>,
    policy: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn split(text: &'a str) -> Result<Self, TokenMalformed> {
        let fields_text = text.strip_prefix(SCHEME).ok_or(TokenMalformed::Scheme)?;
        let mut fields = Self::default();
        for (index, part) in fields_text.split('&').enumerate() {
            let unknown = TokenMalformed::Field { index: index + 1 };
            let (name, value) = part.split_once('=').ok_or(unknown.clone())?;
            let (field, slot) = match name {
                "sr" => ("sr", &mut fields.resource),
                "sig" => ("sig", &mut fields.signature),
                "se" => ("se", &mut fields.expiry),
                "skn" => ("skn", &mut fields.policy),
                _ => return Err(unknown),
            };
            if slot.replace(value).is_some() {
                return Err(TokenMalformed::Repeated { field });
            }
        }
        Ok(fields)
    }
}

/// The host and the path below it. Very old tools end the path in `api-version=…`.
fn read_resource(text: &str) -> Result<(String, Vec<String>), TokenMalformed> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| TokenMalformed::Resource)?;
    let mut segments = decoded.split('/').map(str::to_owned);
    let host = segments.next().filter(|host| !host.is_empty()).ok_or(TokenMalformed::Resource)?;
    let mut segments: Vec<String> = segments.collect();
    if segments.last().is_some_and(|last| last.is_empty() || last.starts_with("api-version=")) {
        segments.pop();
    }
    Ok((host, segments))
}

/// A bare `+` or `/` stands for itself: this is not a form, `+` is never a space.
fn read_signature(text: &str) -> Result<Vec<u8>, TokenMalformed> {
    let decoded: Vec<u8> = percent_decode_str(text).collect();
    STANDARD.decode(decoded).map_err(|_| TokenMalformed::Signature)
}

fn read_expiry(text: &str) -> Result<Timestamp, TokenMalformed> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse::<i64>().ok().filter(|_| digits).ok_or(TokenMalformed::Expiry)?;
    Ok(Timestamp::from_milliseconds(seconds.saturating_mul(1000)))
}

/// No policy has an empty name, so an empty field is none.
fn read_policy(text: Option<&str>) -> Result<Option<String>, TokenMalformed> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let name = percent_decode_str(text).decode_utf8().map_err(|_| TokenMalformed::Field { index: 4 })?;
    Ok(Some(name.into_owned()))
}

#[cfg(test)]
mod tests;
