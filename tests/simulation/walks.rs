//! Publishers on their way through the subscribers, a few steps at a time.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Waker},
};

use bayeuxd::broker::Progress;

use crate::world::World;

impl World {
    /// Takes a random walk one step further.
    pub(crate) fn step_walk(&mut self) {
        if self.walks.is_empty() {
            return;
        }
        let index = self.random.index(self.walks.len());
        let walk = &mut self.walks[index];
        let pushes = 1 + self.random.index(4);
        let progress = walk.delivery.step_by(pushes, &mut walk.wakes);
        if self.random.once_in(2) {
            self.walks[index].wakes.fire();
        }
        if progress != Progress::More {
            let own = self.walks[index].own;
            self.ledger.delivered(own);
        }
        if progress == Progress::Done {
            drop(self.walks.swap_remove(index));
        }
        self.hear_deliveries();
    }

    /// A publisher is cancelled in the middle of its walk.
    pub(crate) fn drop_walk(&mut self) {
        if self.walks.is_empty() {
            return;
        }
        let index = self.random.index(self.walks.len());
        self.saw("walks dropped");
        let walk = self.walks.swap_remove(index);
        let own = walk.own;
        drop(walk);
        self.ledger.delivered(own);
        self.hear_deliveries();
    }

    /// Runs the publishers that wait for others and were woken.
    fn hear_deliveries(&mut self) {
        let ledger = &mut self.ledger;
        self.behind.retain_mut(|behind| {
            if !behind.bell.has_rung() {
                return true;
            }
            behind.bell.quiet();
            let waker = Waker::from(Arc::clone(&behind.bell));
            let done =
                Pin::new(&mut behind.delivered).poll(&mut Context::from_waker(&waker)).is_ready();
            if done {
                ledger.delivered(behind.own);
            }
            !done
        });
    }
}
