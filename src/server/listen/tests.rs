//! Binding, accepting, the cap on connections.

use std::time::Duration;

use super::*;

const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Everything that the other end sends until it closes.
async fn read_all(mut stream: TcpStream) -> String {
    let mut received = Vec::new();
    let read = stream.read_to_end(&mut received);
    time::timeout(Duration::from_secs(5), read).await.unwrap().unwrap();
    String::from_utf8(received).unwrap()
}

#[tokio::test]
async fn a_busy_port_and_a_foreign_address_are_explained() {
    let first = bind(LOCAL, "server.listen").unwrap();
    let busy = bind(first.local_addr().unwrap(), "server.listen").unwrap_err();
    assert!(matches!(busy, BindError::Busy { .. }), "{busy}");
    assert!(busy.to_string().contains("another port in server.listen"), "{busy}");
    // 192.0.2.0/24 is reserved for documentation (RFC 5737).
    let foreign = bind("192.0.2.1:0".parse().unwrap(), "admin.listen").unwrap_err();
    assert!(matches!(foreign, BindError::NotLocal { .. }), "{foreign}");
    assert!(foreign.to_string().contains("192.0.2.1 is no address of this machine"), "{foreign}");
}

#[tokio::test]
async fn accepted_sockets_send_at_once() {
    let listener = bind(LOCAL, "server.listen").unwrap();
    let address = listener.local_addr().unwrap();
    let mut acceptor = Acceptor::new(listener, Connections::new(1));
    let client = TcpStream::connect(address).await.unwrap();
    let accepted = acceptor.accept().await;
    assert!(accepted.stream.nodelay().unwrap());
    assert_eq!(accepted.peer, client.local_addr().unwrap());
    #[cfg(target_os = "linux")]
    {
        let timeout = SockRef::from(&accepted.stream).tcp_user_timeout().unwrap();
        assert_eq!(timeout, Some(Duration::from_secs(20)));
    }
}

#[tokio::test]
async fn connections_over_the_cap_get_503_and_others_stay() {
    let listener = bind(LOCAL, "server.listen").unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Connections::new(1);
    let mut acceptor = Acceptor::new(listener, connections.clone());
    let mut kept = TcpStream::connect(address).await.unwrap();
    let mut accepted = acceptor.accept().await;

    let accepting = tokio::spawn(async move { acceptor.accept().await });
    for _ in 0..3 {
        let mut refused = TcpStream::connect(address).await.unwrap();
        // A request that is on its way must not turn the response into a reset.
        refused.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let response = read_all(refused).await;
        assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
        assert!(response.contains("\r\nretry-after: "), "{response}");
    }
    assert_eq!((connections.open(), connections.refused()), (1, 3));

    accepted.stream.write_all(b"still here").await.unwrap();
    let mut greeting = [0; 10];
    kept.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"still here");

    drop(accepted);
    let _next = TcpStream::connect(address).await.unwrap();
    let next = time::timeout(Duration::from_secs(5), accepting).await.unwrap().unwrap();
    assert_eq!(connections.open(), 1);
    drop(next);
}

#[test]
fn only_errors_of_one_connection_are_skipped_without_a_pause() {
    use io::ErrorKind::{ConnectionAborted, InvalidInput, Other, OutOfMemory};
    let cases =
        [(ConnectionAborted, true), (OutOfMemory, false), (InvalidInput, false), (Other, false)];
    for (kind, expected) in cases {
        assert_eq!(is_about_one_connection(&io::Error::from(kind)), expected, "{kind}");
    }
    const EMFILE: i32 = 24;
    const ENFILE: i32 = 23;
    for code in [EMFILE, ENFILE] {
        assert!(!is_about_one_connection(&io::Error::from_raw_os_error(code)), "{code}");
    }
}
