//! The mailbox against a model that says the same in the plainest way.

use proptest::prelude::*;

use super::*;

/// Channels by number; the policy belongs to the channel, as in a configuration.
const CHANNELS: [(&str, QueuePolicy); 4] = [
    ("/a", QueuePolicy::Disconnect),
    ("/old", QueuePolicy::DropOldest),
    ("/new/a", QueuePolicy::Latest),
    ("/new/b", QueuePolicy::Latest),
];

const BOUNDS: QueueBounds = QueueBounds { messages_max: 6, bytes_max: 400 };

#[derive(Debug, Clone)]
enum Step {
    Push { channel: usize, size: usize },
    Take { frames_max: usize, bytes_max: usize },
    Settle { written: usize },
    Claim,
    Request,
    End,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..4_usize, 0..60_usize).prop_map(|(channel, size)| Step::Push { channel, size }),
        4 => (1..5_usize, 50..300_usize)
            .prop_map(|(frames_max, bytes_max)| Step::Take { frames_max, bytes_max }),
        4 => (0..5_usize).prop_map(|written| Step::Settle { written }),
        2 => Just(Step::Claim),
        1 => Just(Step::Request),
        1 => Just(Step::End),
    ]
}

/// A message as the model knows it: its frame, for identity and size, and its channel's number.
type Known = (Frame, usize);

#[derive(Default)]
struct Model {
    queue: Vec<Known>,
    out: Vec<Known>,
    ended: bool,
    entered: usize,
    written: usize,
    dropped: usize,
    discarded: usize,
}

impl Model {
    fn policy((_, channel): &Known) -> QueuePolicy {
        CHANNELS[*channel].1
    }

    fn fits<'a>(&self, kept: impl Iterator<Item = &'a Known>, frame: &Frame) -> bool {
        let out = self.out.iter().map(|(frame, _)| frame.bytes());
        let sizes: Vec<usize> =
            kept.map(|(frame, _)| frame.bytes()).chain(out).chain([frame.bytes()]).collect();
        sizes.len() <= BOUNDS.messages_max && sizes.iter().sum::<usize>() <= BOUNDS.bytes_max
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

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_mailbox_does_what_the_model_does(steps in prop::collection::vec(step(), 1..80)) {
        let (mut mailbox, mut owner) = mailbox(Carrier::Poll, []);
        let (mut model, mut out) = (Model::default(), None::<Vec<Frame>>);
        let (mut entered, mut dropped, mut discarded) = (0, 0, 0);
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Push { channel, size } => {
                    let (name, policy) = CHANNELS[channel];
                    let frame = frame_of(name, number, size, policy);
                    let pushed = mailbox.push(&frame, BOUNDS);
                    prop_assert_eq!(pushed.overflow, model.push(&frame, channel));
                    entered += usize::from(pushed.entered);
                    dropped += pushed.dropped.oldest + pushed.dropped.latest;
                }
                Step::Take { frames_max, bytes_max } => {
                    let take = Take { frames_max, bytes_max };
                    let taken = mailbox.take(Some(owner), take);
                    prop_assert_eq!(taken.as_ref().map_or(0, Vec::len), model.take(take));
                    out = out.or(taken);
                }
                Step::Settle { written } => if let Some(mut frames) = out.take() {
                    let written = written.min(frames.len());
                    let settled = mailbox.settle(frames.split_off(written));
                    model.settle(written);
                    dropped += settled.dropped.latest;
                    discarded += settled.discarded;
                },
                Step::Claim => owner = mailbox.claim(Carrier::Poll, 0).0,
                Step::Request => {
                    let taken = mailbox.take(None, Take::ALL);
                    prop_assert_eq!(taken.as_ref().map_or(0, Vec::len), model.take(Take::ALL));
                    out = out.or(taken);
                }
                Step::End => {
                    discarded += mailbox.close(Cause::Client).1.discarded;
                    model.ended = true;
                    model.discarded += std::mem::take(&mut model.queue).len();
                }
            }
            let queue: Vec<Frame> = model.queue.iter().map(|(frame, _)| frame.clone()).collect();
            prop_assert_eq!(waiting(&mailbox), numbers(&queue));
            let live = model.queue.iter().chain(&model.out).map(|(frame, _)| frame.bytes());
            prop_assert_eq!(mailbox.bytes(), live.sum::<usize>());
            prop_assert!(mailbox.bytes() <= BOUNDS.bytes_max);
            prop_assert_eq!(
                (entered, dropped, discarded),
                (model.entered, model.dropped, model.discarded)
            );
            let live = model.queue.len() + model.out.len();
            prop_assert_eq!(entered, live + model.written + dropped + discarded);
        }
    }
}
