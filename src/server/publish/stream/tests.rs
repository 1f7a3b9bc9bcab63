//! When results are told.

use std::{net::Ipv4Addr, sync::Arc};

use super::*;
use crate::{
    auth::Principal,
    broker::Broker,
    config::{Config, Role},
    server::{app::App, clock, publish::Caller},
};

#[tokio::test]
async fn results_that_are_due_are_told_amid_a_chunk() {
    let config = Config::default();
    let broker = Broker::new(&config, clock::now());
    let app = Arc::new(App::new(config, broker, true).unwrap());
    let principal = Principal::new("all", Role::Admin, Vec::new());
    let caller = Caller { app, address: Ipv4Addr::LOCALHOST.into(), key: None, parent: None };
    let (results, mut chunks) = mpsc::channel(CHUNKS_MAX);
    let mut stream = Stream {
        publisher: Publisher { caller, principal },
        results,
        unread: Vec::new(),
        unsent: Vec::new(),
        unsent_results: 0,
        flush_at: None,
        line: 0,
    };
    let line = b"{\"channel\":\"/a\",\"data\":1}";
    let mut wakes = Wakes::default();
    assert!(stream.publish(line, &mut wakes).await.is_ok());
    // As if that had taken all the time that a result may wait.
    stream.flush_at = Some(Instant::now());
    assert!(stream.publish(line, &mut wakes).await.is_ok());
    let chunk = chunks.try_recv().expect("results that are due");
    assert_eq!(chunk.iter().filter(|byte| **byte == b'\n').count(), 2);
    assert_eq!((stream.unsent_results, stream.flush_at), (0, None));
}
