//! What becomes of a response when a newer connect comes before it is written.

use std::time::Duration;

use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    broker::Take,
    server::{
        body::tests::{overtake, session_with},
        listen::{Deadlines, HeadClock},
    },
};

#[tokio::test]
async fn what_the_socket_takes_at_once_is_written_though_a_newer_connect_has_come() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let hour = Duration::from_secs(3600);
    let deadlines = Deadlines { header_timeout: hour, write_timeout: hour };
    let mut stream = Timed::new(stream, deadlines, HeadClock::default().into());
    let (session, generation) = session_with(3);
    let body = Body::messages(&[], session.take(generation, Take::ALL), b"", None);
    let mut bytes = encode(Response::new(body), true).unwrap();
    overtake(&session);
    write_all(&mut stream, &mut bytes).await.unwrap();
    drop((stream, bytes));
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    let array =
        r#"[{"channel":"/a","data":0},{"channel":"/a","data":1},{"channel":"/a","data":2}]"#;
    assert!(text.ends_with(array), "{text}");
    assert_eq!(session.queued(), 0, "nothing returns");
}
