//! HTTP/1.1 as far as a load needs it: requests with a body, answers with a length or without one.

use anyhow::{Context, bail, ensure};
use bytes::{Buf as _, BytesMut};

const HEAD_END: &[u8] = b"\r\n\r\n";
/// No answer that is expected has a longer head.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// A POST of `body` to `path`; `headers` are whole lines.
pub(crate) fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Takes an answer off the front of `received` if it is there to its end; gives its status.
///
/// # Errors
/// When it is none, or its end cannot be told.
pub(crate) fn take_answer(received: &mut BytesMut) -> anyhow::Result<Option<u16>> {
    let Some(head_bytes) = received.windows(HEAD_END.len()).position(|window| window == HEAD_END) else {
        ensure!(received.len() <= HEAD_BYTES_MAX, "an answer whose head has no end");
        return Ok(None);
    };
    let head = str::from_utf8(received.get(..head_bytes).unwrap_or_default())?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse::<u16>().ok());
    let status = status.with_context(|| format!("no status in {head}"))?;
    let length = lines.find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("content-length")));
    let length = match length {
        Some((_, length)) => length.parse::<usize>()?,
        None if status == 204 => 0,
        None => bail!("an answer whose end cannot be told: {head}"),
    };
    let end = head_bytes + HEAD_END.len() + length;
    if received.len() < end {
        return Ok(None);
    }
    received.advance(end);
    Ok(Some(status))
}
