//! The mailbox against a model that says the same in the plainest way.

use proptest::prelude::*;

use super::{super::aside::SEARCHED_MAX, *};

/// Channels by number; the policy belongs to the channel, as in a configuration.
const CHANNELS: [(&str, QueuePolicy); 6] = [
    ("/a", QueuePolicy::Disconnect),
    ("/old/a", QueuePolicy::DropOldest),
    ("/old/b", QueuePolicy::DropOldest),
    ("/new/a", QueuePolicy::Latest),
    ("/new/b", QueuePolicy::Latest),
    ("/new/c", QueuePolicy::Latest),
];

/// Of a queue that is full before it is long, and of one that is long before it is full.
const BOUNDS: [QueueBounds; 2] = [
    QueueBounds { messages_max: 6, bytes_max: 400 },
    QueueBounds { messages_max: SEARCHED_MAX + 20, bytes_max: (SEARCHED_MAX + 12) * 70 },
];

#[derive(Debug, Clone)]
enum Step {
    Push { channel: usize, size: usize },
    Burst { channel: usize, count: usize },
    Take { frames_max: usize, bytes_max: usize },
    Settle { written: usize },
    Claim,
    Request,
    End,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        16 => (0..CHANNELS.len(), 0..60_usize)
            .prop_map(|(channel, size)| Step::Push { channel, size }),
        // A burst, or long queues were rare.
        1 => (0..CHANNELS.len(), SEARCHED_MAX / 2..SEARCHED_MAX)
            .prop_map(|(channel, count)| Step::Burst { channel, count }),
        4 => (1..40_usize, 50..3000_usize)
            .prop_map(|(frames_max, bytes_max)| Step::Take { frames_max, bytes_max }),
        4 => (0..40_usize).prop_map(|written| Step::Settle { written }),
        2 => Just(Step::Claim),
        1 => Just(Step::Request),
    ]
}

/// A message as the model knows it: its frame, for identity and size, and its channel's number.
type Known = (Frame, usize);

struct Model {
    bounds: QueueBounds,
    queue: Vec<Known>,
    out: Vec<Known>,
    ended: bool,
    entered: usize,
    written: usize,
    dropped: usize,
    discarded: usize,
}

impl Model {
    fn new(bounds: QueueBounds) -> Self {
        let (queue, out) = (Vec::new(), Vec::new());
        let (entered, written, dropped, discarded) = (0, 0, 0, 0);
        Self { bounds, queue, out, ended: false, entered, written, dropped, discarded }
    }

    fn policy((_, channel): &Known) -> QueuePolicy {
        CHANNELS[*channel].1
    }

    fn fits<'a>(&self, kept: impl Iterator<Item = &'a Known>, frame: &Frame) -> bool {
        let out = self.out.iter().map(|(frame, _)| frame.bytes());
        let sizes: Vec<usize> =
            kept.map(|(frame, _)| frame.bytes()).chain(out).chain([frame.bytes()]).collect();
        let bytes: usize = sizes.iter().sum();
        sizes.len() <= self.bounds.messages_max && bytes <= self.bounds.bytes_max
    }

    fn drop_where(&mut self, at_most: usize, gone: impl Fn(&Known) -> bool) {
        let mut left = at_most;
        self.queue.retain(|known| {
            let drop = left > 0 && gone(known);
            left -= usize::from(drop);
            !drop
        });
        self.dropped += at_most - left;
    }

    /// True if the session has to end.
    fn push(&mut self, frame: &Frame, channel: usize) -> bool {
        if self.ended {
            return false;
        }
        let lossy = |known: &Known| Self::policy(known) != QueuePolicy::Disconnect;
        if CHANNELS[channel].1 == QueuePolicy::Latest {
            self.drop_where(usize::MAX, |known| known.1 == channel);
        }
        if self.fits(self.queue.iter().filter(|known| !lossy(known)), frame) {
            while !self.fits(self.queue.iter(), frame) {
                self.drop_where(1, lossy);
            }
        }
        let fits = self.fits(self.queue.iter(), frame);
        let lossless = CHANNELS[channel].1 == QueuePolicy::Disconnect;
        self.entered += usize::from(fits || !lossless);
        self.dropped += usize::from(!fits && !lossless);
        if fits {
            self.queue.push((frame.clone(), channel));
        }
        !fits && lossless
    }

    fn take(&mut self, take: Take) -> usize {
        if !self.out.is_empty() || self.ended {
            return 0;
        }
        let mut bytes = 0;
        let count = self.queue.iter().take(take.frames_max).take_while(|(frame, _)| {
            let first = bytes == 0;
            bytes += frame.bytes();
            first || bytes <= take.bytes_max
        });
        let count = count.count();
        self.out = self.queue.drain(..count).collect();
        count
    }

    fn settle(&mut self, written: usize) {
        self.written += written;
        let back = self.out.split_off(written);
        self.out.clear();
        if self.ended {
            self.discarded += back.len();
            return;
        }
        let count = back.len();
        let back: Vec<Known> = back
            .into_iter()
            .filter(|known| {
                let replaced = self.queue.iter().any(|(_, channel)| *channel == known.1);
                Self::policy(known) != QueuePolicy::Latest || !replaced
            })
            .collect();
        self.dropped += count - back.len();
        self.queue.splice(0..0, back);
    }
}

/// The mailbox and its model, and what the steps so far did to the mailbox.
struct Pair {
    mailbox: Mailbox,
    owner: Generation,
    out: Option<Vec<Frame>>,
    entered: usize,
    dropped: usize,
    discarded: usize,
    model: Model,
    pushed: usize,
}

impl Pair {
    fn new(bounds: QueueBounds) -> Self {
        let (mailbox, owner) = mailbox(Carrier::Poll, []);
        let (entered, dropped, discarded, pushed) = (0, 0, 0, 0);
        let model = Model::new(bounds);
        Self { mailbox, owner, out: None, entered, dropped, discarded, model, pushed }
    }

    fn push(&mut self, channel: usize, size: usize) -> Result<(), TestCaseError> {
        let (name, policy) = CHANNELS[channel];
        let frame = frame_of(name, self.pushed, size, policy);
        self.pushed += 1;
        let before = self.mailbox.len();
        let pushed = self.mailbox.push(&frame, self.model.bounds);
        prop_assert_eq!(pushed.overflow, self.model.push(&frame, channel));
        prop_assert!(pushed.looked <= 2 * before, "each is looked at and dropped once");
        self.entered += usize::from(pushed.entered);
        self.dropped += pushed.dropped.oldest + pushed.dropped.latest;
        Ok(())
    }

    fn take(&mut self, owner: Option<Generation>, take: Take) -> Result<(), TestCaseError> {
        let taken = self.mailbox.take(owner, take);
        prop_assert_eq!(taken.as_ref().map_or(0, Vec::len), self.model.take(take));
        self.out = self.out.take().or(taken);
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Push { channel, size } => self.push(channel, size)?,
            Step::Burst { channel, count } => {
                (0..count).try_for_each(|_| self.push(channel, 0))?;
            }
            Step::Take { frames_max, bytes_max } => {
                self.take(Some(self.owner), Take { frames_max, bytes_max })?;
            }
            Step::Settle { written } => {
                if let Some(mut frames) = self.out.take() {
                    let written = written.min(frames.len());
                    let settled = self.mailbox.settle(frames.split_off(written));
                    self.model.settle(written);
                    self.dropped += settled.dropped.latest;
                    self.discarded += settled.discarded;
                }
            }
            Step::Claim => self.owner = self.mailbox.claim(Carrier::Poll, 0).0,
            Step::Request => self.take(None, Take::ALL)?,
            Step::End => {
                self.discarded += self.mailbox.close(Cause::Client).1.discarded;
                self.model.ended = true;
                self.model.discarded += std::mem::take(&mut self.model.queue).len();
            }
        }
        Ok(())
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        let Self { mailbox, model, .. } = self;
        let queue: Vec<Frame> = model.queue.iter().map(|(frame, _)| frame.clone()).collect();
        prop_assert_eq!(waiting(mailbox), numbers(&queue));
        prop_assert_eq!(mailbox.frames().count(), mailbox.len());
        let live = model.queue.iter().chain(&model.out).map(|(frame, _)| frame.bytes());
        prop_assert_eq!(mailbox.bytes(), live.sum::<usize>());
        prop_assert!(mailbox.bytes() <= model.bounds.bytes_max);
        prop_assert_eq!(
            (self.entered, self.dropped, self.discarded),
            (model.entered, model.dropped, model.discarded)
        );
        let live = model.queue.len() + model.out.len();
        let gone = model.written + self.dropped + self.discarded;
        prop_assert_eq!(self.entered, live + gone);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_mailbox_does_what_the_model_does(
        bounds in prop::sample::select(&BOUNDS),
        steps in prop::collection::vec(step(), 1..120),
        ends in any::<bool>(),
    ) {
        let mut pair = Pair::new(bounds);
        let end = ends.then_some(Step::End);
        let settle = Step::Settle { written: 1 };
        for step in steps.into_iter().chain(end).chain([settle]) {
            pair.step(step)?;
            pair.compare()?;
        }
    }
}
