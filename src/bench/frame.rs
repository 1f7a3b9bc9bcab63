//! WebSocket framing from the client's side: masked text out, server frames in.
//!
//! Separate from `bayeuxd::ws`, which is the server's side; a tool that shared the broker's decoder
//! would share its mistakes. Source: RFC 6455 5.

/// A frame as the server sent it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ServerFrame<'a> {
    /// RFC 6455 11.8: 0 continuation, 1 text, 2 binary, 8 close, 9 ping, 10 pong.
    pub(crate) opcode: u8,
    /// Whether it is the last frame of its message.
    pub(crate) last: bool,
    /// Whether its message is compressed; told by the first frame (RFC 7692 6).
    pub(crate) compressed: bool,
    /// Its content.
    pub(crate) payload: &'a [u8],
}

/// Takes the frame at the start of `bytes`: it and its length, or `None` while it is incomplete.
///
/// # Errors
///
/// A masked frame, a reserved bit that no `deflate` allows, or a length over [`FRAME_BYTES_MAX`]: the
/// server is at fault.
pub(crate) fn next(
    bytes: &[u8],
    deflate: bool,
) -> Result<Option<(ServerFrame<'_>, usize)>, &'static str> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    let compressed = first & 0x40 != 0;
    if first & 0x30 != 0 || (compressed && !deflate) {
        return Err("the server set a reserved bit of a WebSocket frame");
    }
    if second & 0x80 != 0 {
        return Err("the server masked a WebSocket frame");
    }
    let (length, header) = match second & 0x7f {
        126 => match rest.first_chunk::<2>() {
            Some(length) => (u64::from(u16::from_be_bytes(*length)), 4),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(length) => (u64::from_be_bytes(*length), 10),
            None => return Ok(None),
        },
        short => (u64::from(short), 2),
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX {
        return Err("the server sent a WebSocket frame of more than 16 MiB");
    }
    let end = header + length;
    let frame = bytes.get(header..end).map(|payload| {
        let (opcode, last) = (first & 0x0f, first & 0x80 != 0);
        (ServerFrame { opcode, last, compressed, payload }, end)
    });
    Ok(frame)
}

/// Appends `payload` as one masked frame. The key need not be random here: it protects proxies
/// from pages, and a load tool is no page (RFC 6455 10.3).
pub(super) fn write(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    write_masked(opcode, payload, MASK, out);
}

/// Appends `payload` as one frame that is masked with `mask`.
pub(crate) fn write_masked(opcode: u8, payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    out.push(0x80 | opcode);
    match payload.len() {
        short @ 0..=125 => out.push(0x80 | u8::try_from(short).unwrap_or_default()),
        length => match u16::try_from(length) {
            Ok(length) => {
                out.push(0x80 | 126);
                out.extend_from_slice(&length.to_be_bytes());
            }
            Err(_) => {
                out.push(0x80 | 127);
                out.extend_from_slice(&(length as u64).to_be_bytes());
            }
        },
    }
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// Opcode of a text message.
pub(crate) const TEXT: u8 = 1;
/// Opcode of a close.
pub(crate) const CLOSE: u8 = 8;
/// Opcode of a ping.
pub(crate) const PING: u8 = 9;
/// Opcode of a pong.
pub(crate) const PONG: u8 = 10;

/// Bounds what a broken server can make the tool collect.
pub(crate) const FRAME_BYTES_MAX: usize = 16 << 20;
/// Not zero, so that the server does its work.
const MASK: [u8; 4] = [0x5a, 0x17, 0xc3, 0x88];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_all_lengths_are_read_once_complete() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let mut bytes = vec![0x81];
            match length {
                0..=125 => bytes.push(u8::try_from(length).unwrap()),
                126..=65_535 => {
                    bytes.push(126);
                    bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
                }
                _ => {
                    bytes.push(127);
                    bytes.extend((length as u64).to_be_bytes());
                }
            }
            bytes.extend(vec![b'x'; length]);
            for cut in [1, 2, bytes.len() - 1] {
                let part = &bytes[..cut.min(bytes.len() - 1)];
                assert_eq!(next(part, false), Ok(None), "{length}, {cut}");
            }
            bytes.push(0x89);
            let (frame, end) = next(&bytes, false).unwrap().unwrap();
            assert_eq!((frame.opcode, frame.last, frame.payload.len()), (TEXT, true, length));
            assert_eq!(end, bytes.len() - 1);
        }
    }

    #[test]
    fn what_a_server_must_not_send_is_refused() {
        for bytes in [[0xc1, 0], [0x81, 0x80]] {
            assert!(next(&bytes, false).is_err(), "{bytes:?}");
        }
        assert!(next(&[0xa1, 0], true).is_err());
        assert!(next(&[0xc1, 0], true).unwrap().unwrap().0.compressed);
        let mut huge = vec![0x82, 127];
        huge.extend((FRAME_BYTES_MAX as u64 + 1).to_be_bytes());
        assert!(next(&huge, false).is_err());
    }

    #[test]
    fn what_is_written_is_masked_and_whole() {
        let mut out = Vec::new();
        write(TEXT, b"hello", &mut out);
        assert_eq!(out[..2], [0x81, 0x85]);
        let plain: Vec<u8> = out[6..].iter().zip(MASK.iter().cycle()).map(|(b, k)| b ^ k).collect();
        assert_eq!(plain, b"hello");
        let mut long = Vec::new();
        write(TEXT, &[0; 70_000], &mut long);
        assert_eq!((long[1], long.len()), (0xff, 70_000 + 14));
    }
}
