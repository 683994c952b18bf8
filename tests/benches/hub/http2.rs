//! HTTP/2 as far as a load needs it: one POST at a time, answers of one header block. Requests are
//! far smaller than the windows a server must give back, so nothing here counts them.

use anyhow::{Context, bail, ensure};
use bytes::{Buf as _, BufMut as _, BytesMut};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// Why a stream is reset that has been answered (RFC 9113, section 8.1).
const NO_ERROR: [u8; 4] = [0; 4];
/// `:status: 204` in HPACK's static table (RFC 7541, appendix A).
const STATUS_204: u8 = 0x89;

/// A connection's requests, all of them the same.
pub(crate) struct Conversation {
    /// HPACK without the dynamic table, so that it can be sent again and again.
    head: Vec<u8>,
    body: Vec<u8>,
    /// Of the next request.
    stream: u32,
}

impl Conversation {
    /// Will POST `body` to `path`; says what opens a connection to `outgoing`.
    ///
    /// # Errors
    /// When the path is longer than a load has any use for.
    pub(crate) fn open(path: &str, body: &[u8], outgoing: &mut Vec<u8>) -> anyhow::Result<Self> {
        outgoing.put_slice(PREFACE);
        frame(outgoing, SETTINGS, 0, 0, &[]);
        // Indexed: POST, https. Literals by the index of their name: path, authority, length.
        let mut head = vec![0x83, 0x87];
        literal(&mut head, &[0x04], path)?;
        literal(&mut head, &[0x01], "localhost")?;
        literal(&mut head, &[0x0f, 0x0d], &body.len().to_string())?;
        Ok(Self { head, body: body.to_vec(), stream: 1 })
    }

    /// Sends the next request.
    pub(crate) fn ask(&mut self, outgoing: &mut Vec<u8>) {
        frame(outgoing, HEADERS, END_HEADERS, self.stream, &self.head);
        frame(outgoing, DATA, END_STREAM, self.stream, &self.body);
        self.stream += 2;
    }

    /// Takes in what is there of `received`; true once a 204 is complete.
    ///
    /// # Errors
    /// When the server refuses, or says what a load does not expect.
    pub(crate) fn take_answer(received: &mut BytesMut, outgoing: &mut Vec<u8>) -> anyhow::Result<bool> {
        let mut answered = false;
        while let Some(head) = received.first_chunk::<FRAME_HEAD_BYTES>() {
            let [high, middle, low, kind, flags, ..] = *head;
            let length = u32::from_be_bytes([0, high, middle, low]) as usize;
            let Some(payload) = received.get(FRAME_HEAD_BYTES..FRAME_HEAD_BYTES + length) else { break };
            match kind {
                SETTINGS if flags & ACK == 0 => frame(outgoing, SETTINGS, ACK, 0, &[]),
                PING if flags & ACK == 0 => frame(outgoing, PING, ACK, 0, payload),
                SETTINGS | PING | WINDOW_UPDATE => {}
                HEADERS => ensure!(payload.first() == Some(&STATUS_204), "an answer other than 204: {payload:02x?}"),
                // nginx has no use for a body that comes after its answer, and says so.
                RESET => ensure!(payload == NO_ERROR, "the server reset a stream: {payload:02x?}"),
                DATA => ensure!(payload.is_empty(), "an answer with a body"),
                other => bail!("the server sent a frame of type {other}: {payload:02x?}"),
            }
            answered |= matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0;
            received.advance(FRAME_HEAD_BYTES + length);
        }
        Ok(answered)
    }
}

fn frame(outgoing: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    // 24 bits of length; what a load sends is shorter by far.
    outgoing.put_uint(payload.len() as u64, 3);
    outgoing.put_slice(&[kind, flags]);
    outgoing.put_u32(stream);
    outgoing.put_slice(payload);
}

/// A literal that no table remembers, its name given by index.
fn literal(head: &mut Vec<u8>, name: &[u8], value: &str) -> anyhow::Result<()> {
    let length = u8::try_from(value.len()).ok().filter(|length| *length < 127).context("a header too long for a load")?;
    head.put_slice(name);
    head.put_u8(length);
    head.put_slice(value.as_bytes());
    Ok(())
}
