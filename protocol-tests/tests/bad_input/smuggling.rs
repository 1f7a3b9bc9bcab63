//! T10: requests on whose end two readers might disagree.
//!
//! A request that is followed by another, hidden one has to be refused together with all that follows
//! on its connection, or be understood in the one way in which the standard understands it. Behind
//! proxies: `tests/proxies/smuggling.rs`.

use protocol_tests::{
    http::Connection,
    smuggling::{
        Fate::{Read, ReadLast, Refused},
        cases,
    },
};
use tokio::time::Duration;

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
        let mut statuses = Vec::new();
        while let Some(response) = connection.response_within(Duration::from_millis(150)).await {
            statuses.push(response.status);
        }
        let is_closed = connection.ended_within(Duration::from_millis(150)).await;
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
