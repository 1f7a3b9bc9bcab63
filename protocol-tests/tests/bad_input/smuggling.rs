//! T10: requests on whose end two readers might disagree.
//!
//! A request that is followed by another, hidden one has to be refused together with all that follows
//! on its connection, or be understood in the one way in which the standard understands it. Behind
//! proxies: `tests/proxies/smuggling.rs`.

use protocol_tests::{
    deadline::QUIET,
    http::Connection,
    smuggling::{
        Fate::{Read, ReadLast, Refused},
        cases,
    },
};

use crate::siege::Siege;

#[tokio::test]
async fn one_request_gets_one_response_or_the_connection_ends() {
    let siege = Siege::begin(&[]).await;
    let cases = cases();
    println!("{} cases", cases.len());
    let mut wrong = Vec::new();
    for (name, bytes, fate) in cases {
        let mut connection = Connection::open(siege.address()).await;
        connection.send_even_if_closed(&bytes).await;
        // What has to come is waited for: the responses, or the end of the connection.
        let due = match fate {
            Read(expected) => expected.len(),
            ReadLast(_) | Refused => usize::MAX,
        };
        let mut statuses = Vec::new();
        let mut is_closed = false;
        while statuses.len() < due && !is_closed {
            match connection.response_or_end().await {
                Some(response) => statuses.push(response.status),
                None => is_closed = true,
            }
        }
        if !is_closed && let Some(response) = connection.response_within(QUIET).await {
            statuses.push(response.status);
        }
        let is_right = match fate {
            Read(expected) => statuses == expected,
            ReadLast(expected) => is_closed && statuses == [expected],
            Refused => {
                is_closed
                    && statuses.iter().all(|status| *status == 400 || *status == 431)
                    && statuses.len() <= 1
            }
        };
        if !is_right {
            wrong.push(format!("{name}: {fate:?}, but {statuses:?}, closed: {is_closed}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    siege.end("T10 smuggling", 8).await;
}
