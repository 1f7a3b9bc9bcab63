//! Writes that come through in pieces, stall or fail, and what is counted as written.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::{io::AsyncReadExt as _, net::TcpListener};

use super::*;
use crate::{
    bayeux::{ChannelName, Meter, NameLimits, QueuePolicy},
    ws::deflate::{inflate_message, negotiate},
};

/// A stream that accepts `step` bytes a write until `room` is used up, then none or an error.
struct Trickle {
    input: Vec<u8>,
    output: Vec<u8>,
    writes: usize,
    step: usize,
    room: usize,
    fails: bool,
}

impl Trickle {
    fn new(step: usize) -> Self {
        Self {
            input: Vec::new(),
            output: Vec::new(),
            writes: 0,
            step,
            room: usize::MAX,
            fails: false,
        }
    }
}

impl AsyncRead for Trickle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = self.step.min(self.input.len());
        buffer.put_slice(&self.input[..length]);
        self.input.drain(..length);
        Poll::Ready(Ok(()))
    }
}

/// Leaves everything to `poll_write_vectored`.
impl Direct for Trickle {
    fn write_now(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl AsyncWrite for Trickle {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        assert!(slices.len() <= 64, "{} slices", slices.len());
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let length = bytes.len().min(self.step).min(self.room);
        if length == 0 && self.fails {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if length == 0 {
            return Poll::Pending;
        }
        self.output.extend_from_slice(&bytes[..length]);
        self.room -= length;
        self.writes += 1;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn socket(stream: Trickle, deflate: Option<&str>) -> Socket<Trickle> {
    let options = SocketOptions {
        limits: DecodeLimits { message_bytes: 1 << 20, fragments: 4, excess_factor: 0 },
        deflate: deflate.map(|offer| negotiate(&[offer]).unwrap()),
        write_timeout: Duration::from_millis(20),
    };
    Socket::new(stream, b"", &options)
}

fn frames(count: usize, data: &str) -> Vec<Frame> {
    let name = ChannelName::parse("/a", NameLimits { bytes: 255, segments: 16 }).unwrap();
    let data = RawValue::from_string(data.to_owned()).unwrap();
    let meter = Arc::new(Meter::new());
    let frame = || Frame::encode(&name, &data, None, &[], QueuePolicy::Disconnect, &meter);
    std::iter::repeat_with(frame).take(count).collect()
}

fn wires(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(|frame| frame.wire().iter().copied()).collect()
}

#[tokio::test]
async fn a_batch_goes_out_in_one_write() {
    let mut socket = socket(Trickle::new(usize::MAX), None);
    let batch = frames(64, "1");
    let mut written = 0;
    socket.send_frames(&batch, &mut written, 0).await.unwrap();
    assert_eq!(written, 64);
    assert_eq!(socket.stream.writes, 1);
    assert_eq!(socket.stream.output, wires(&batch));
}

#[tokio::test]
async fn partial_writes_lose_and_repeat_nothing() {
    let batch = frames(100, "\"some text\"");
    for step in [1, 7, batch[0].bytes(), batch[0].bytes() + 1, 1000] {
        let mut socket = socket(Trickle::new(step), None);
        let mut written = 0;
        socket.send_frames(&batch, &mut written, 0).await.unwrap();
        assert_eq!(written, 100);
        assert_eq!(socket.stream.output, wires(&batch), "step {step}");
    }
}

/// A socket with a small buffer, and its other end.
async fn pair() -> (Socket<TcpStream>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    SockRef::from(&stream).set_send_buffer_size(8 << 10).unwrap();
    let (peer, _) = listener.accept().await.unwrap();
    let options = SocketOptions {
        limits: DecodeLimits { message_bytes: 10, fragments: 1, excess_factor: 0 },
        deflate: None,
        write_timeout: Duration::from_secs(5),
    };
    (Socket::new(stream, b"", &options), peer)
}

#[tokio::test]
async fn deliveries_and_the_text_behind_them_go_out_in_one_call() {
    let (socket, _peer) = pair().await;
    for count in [0, 1, 63] {
        let mut written = 0;
        let sent = socket.send_now_with(&frames(count, "1"), &mut written, b"text").unwrap();
        assert_eq!((written, sent), (count, (0, Some(Vec::new()))));
    }
    let mut written = 0;
    let sent = socket.send_now_with(&frames(64, "1"), &mut written, b"text").unwrap();
    assert_eq!((written, sent), (0, (0, None)), "too many for one call");
}

#[tokio::test]
async fn of_deliveries_and_a_text_what_fits_goes_out_and_the_rest_follows() {
    let large = "x".repeat(256 << 10);
    let (small, text) = (frames(2, "1"), large.as_bytes());
    for (batch, text) in [(&small, text), (&frames(4, &format!("\"{large}\"")), b"text")] {
        let (mut socket, mut peer) = pair().await;
        let mut written = 0;
        let (offset, rest) = socket.send_now_with(batch, &mut written, text).unwrap();
        assert_eq!(rest.is_some(), written == batch.len());
        assert!(rest.as_ref().is_none_or(|rest| !rest.is_empty()), "256 KiB fit");
        let rest = async {
            socket.send_frames(batch, &mut written, offset).await.unwrap();
            match rest {
                Some(rest) => socket.send_bytes(&rest).await.unwrap(),
                None => socket.send_text(text).await.unwrap(),
            }
            drop(socket);
        };
        let mut received = Vec::new();
        let (_, read) = tokio::join!(rest, peer.read_to_end(&mut received));
        read.unwrap();
        let header = encode::header(Opcode::Text, false, text.len());
        let expected = [&wires(batch), &*header, text].concat();
        assert!(received == expected, "{} bytes of {}", received.len(), expected.len());
    }
}

#[tokio::test]
async fn a_direct_write_takes_what_fits_and_the_rest_follows() {
    let (mut socket, mut peer) = pair().await;
    let batch = frames(64, &format!("\"{}\"", "x".repeat(30 << 10)));
    let mut written = 0;
    let offset = socket.send_now(&batch, &mut written).unwrap();
    assert!(written < 64 && offset < batch[0].bytes(), "{written} and {offset} bytes");

    let rest = async {
        socket.send_frames(&batch, &mut written, offset).await.unwrap();
        drop(socket);
    };
    let mut received = Vec::new();
    let (_, read) = tokio::join!(rest, peer.read_to_end(&mut received));
    read.unwrap();
    assert_eq!(written, 64);
    assert!(received == wires(&batch), "{} bytes", received.len());
}

#[tokio::test]
async fn a_direct_write_without_room_is_not_an_error() {
    let socket = socket(Trickle::new(usize::MAX), None);
    let mut written = 0;
    assert_eq!(socket.send_now(&frames(2, "1"), &mut written).unwrap(), 0);
    assert_eq!(socket.send_now_with(&frames(2, "1"), &mut written, b"t").unwrap(), (0, None));
    assert_eq!(written, 0);
}

#[tokio::test]
async fn a_stalled_client_is_noticed_and_whole_frames_are_counted() {
    let batch = frames(10, "1");
    let mut stream = Trickle::new(usize::MAX);
    stream.room = 3 * batch[0].bytes() + 1;
    let mut socket = socket(stream, None);
    let mut written = 0;
    let outcome = socket.send_frames(&batch, &mut written, 0).await;
    assert!(matches!(outcome, Err(SendError::Stalled)), "{outcome:?}");
    assert_eq!(written, 3);
}

#[tokio::test]
async fn a_lost_connection_leaves_the_count_of_whole_frames() {
    let batch = frames(10, "1");
    let mut stream = Trickle::new(usize::MAX);
    stream.room = 4 * batch[0].bytes();
    stream.fails = true;
    let mut socket = socket(stream, None);
    let mut written = 0;
    let outcome = socket.send_frames(&batch, &mut written, 0).await;
    assert!(matches!(outcome, Err(SendError::Closed(_))), "{outcome:?}");
    assert_eq!(written, 4);
}

#[tokio::test]
async fn deliveries_are_deflated_where_agreed() {
    let batch = frames(2, &format!("\"{}\"", "again ".repeat(200)));
    let mut socket = socket(Trickle::new(usize::MAX), Some("permessage-deflate"));
    socket.send_frames(&batch, &mut 0, 0).await.unwrap();
    let deflated: Vec<u8> =
        batch.iter().flat_map(|frame| frame.deflated().unwrap().to_vec()).collect();
    assert_eq!(socket.stream.output, deflated);
}

#[tokio::test]
async fn what_exceeds_the_clients_window_is_not_deflated() {
    let offer = "permessage-deflate; server_max_window_bits=10";
    let batch = frames(1, &format!("\"{}\"", "again ".repeat(200)));
    let mut socket = socket(Trickle::new(usize::MAX), Some(offer));
    socket.send_frames(&batch, &mut 0, 0).await.unwrap();
    assert_eq!(socket.stream.output, wires(&batch));

    socket.stream.output.clear();
    socket.send_text(&[b'a'; 1024]).await.unwrap();
    let [0xc1, length, body @ ..] = &socket.stream.output[..] else {
        panic!("not a short deflated text: {:02x?}", socket.stream.output);
    };
    assert_eq!(usize::from(*length), body.len());
    assert_eq!(inflate_message(body, 1024), Ok(vec![b'a'; 1024]));
}

#[tokio::test]
async fn events_come_from_read_ahead_and_stream() {
    let mut stream = Trickle::new(3);
    // The rest of a mask of zeros, the payload, an empty ping.
    stream.input = vec![0, 0, 0, b'h', b'i', 0x89, 0x80, 0, 0, 0, 0];
    let options = SocketOptions {
        limits: DecodeLimits { message_bytes: 10, fragments: 1, excess_factor: 0 },
        deflate: None,
        write_timeout: Duration::from_secs(1),
    };
    let mut socket = Socket::new(stream, &[0x81, 0x82, 0], &options);
    assert_eq!(socket.recv().await.unwrap(), Event::Text(b"hi".to_vec()));
    assert_eq!(socket.recv().await.unwrap(), Event::Ping(Bytes::new()));
    let end = socket.recv().await;
    assert!(matches!(end, Err(RecvError::Closed(_))), "{end:?}");
}

#[tokio::test]
async fn a_violation_is_reported_as_such() {
    let mut stream = Trickle::new(64);
    stream.input = b"\x81\x01a".to_vec();
    let outcome = socket(stream, None).recv().await;
    assert!(matches!(outcome, Err(RecvError::Violation(Violation { code: 1002, .. }))));
}

#[tokio::test]
async fn control_frames_and_long_texts_are_written_whole() {
    let mut socket = socket(Trickle::new(5), None);
    socket.send_ping().await.unwrap();
    socket.send_pong(b"x").await.unwrap();
    socket.send_text(&[b'a'; 200]).await.unwrap();
    socket.send_text(b"").await.unwrap();
    socket.send_close(Some(1000), "").await.unwrap();
    let expected = [
        &[0x89, 0, 0x8a, 1, b'x', 0x81, 126, 0, 200][..],
        &[b'a'; 200],
        &[0x81, 0, 0x88, 2, 0x03, 0xe8],
    ];
    assert_eq!(socket.stream.output, expected.concat());
}
