//! Who was to get which message, and what became of it: the promises P1 to P3, P7 and P8 of
//! reliability.md, checked as messages arrive and once more at the end. A client that is moved from one
//! session to another goes on with its account.

use std::collections::{BTreeMap, HashMap};

use bayeuxd::bayeux::ChannelName;

/// Number of a message: messages of a channel rise in the order in which they were published.
pub(crate) type Number = usize;

/// What is known about one message for one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Subscribed from its publication to its delivery: it has to arrive.
    Must,
    /// Subscribed for a part of that time: it may arrive.
    May,
    /// It waits for a subscription that the client had before it was moved; `must`: it has to arrive
    /// if the client renews it.
    Parked {
        must: bool,
    },
    Arrived,
    /// Written into a connection that died.
    LostInFlight,
}

struct Publication {
    channel: ChannelName,
    lossy: bool,
    delivered: bool,
    /// The log of the publisher that does not hear itself.
    except: Option<usize>,
}

#[derive(Default)]
struct Reader {
    patterns: Vec<ChannelName>,
    /// Subscriptions of the session before that are not renewed.
    parked: Vec<ChannelName>,
    /// What carriers of the sessions before have in hand, and how many of them.
    in_flight: HashMap<Number, usize>,
    fates: BTreeMap<Number, Fate>,
    /// It was moved, and nothing was given up since.
    moved: bool,
    /// Last arrival on each channel.
    last: HashMap<ChannelName, Number>,
    ended: bool,
}

/// See the module documentation. Sessions are numbered in the order of their handshakes.
#[derive(Default)]
pub(crate) struct Ledger {
    publications: Vec<Publication>,
    readers: Vec<Reader>,
    /// Messages for one session alone.
    pub(crate) direct: usize,
}

impl Ledger {
    /// Opens the account of a new session.
    pub(crate) fn open(&mut self) -> usize {
        self.readers.push(Reader::default());
        self.readers.len() - 1
    }

    /// Nothing new is due to a session that has ended.
    pub(crate) fn end(&mut self, reader: usize) {
        self.readers[reader].ended = true;
    }

    /// The number of the next message.
    pub(crate) const fn next(&self) -> Number {
        self.publications.len()
    }

    /// Messages published so far that have not reached every mailbox.
    pub(crate) fn on_the_way(&self) -> usize {
        self.publications.iter().filter(|publication| !publication.delivered).count()
    }

    /// A message was accepted; whoever is subscribed has to get it.
    pub(crate) fn publish(&mut self, channel: &ChannelName, lossy: bool, except: Option<usize>) {
        let number = self.publications.len();
        let channel = channel.clone();
        for (index, reader) in self.readers.iter_mut().enumerate() {
            if !reader.ended && except != Some(index) {
                let fate = reader.fate_of(&channel);
                reader.fates.extend(fate.map(|fate| (number, fate)));
            }
        }
        self.publications.push(Publication { channel, lossy, delivered: false, except });
    }

    /// A message went into one session's queue, whatever it subscribed to; it may wait for the first
    /// connect. `None`: there was no room.
    pub(crate) fn deliver(&mut self, channel: &ChannelName, to: Option<(usize, bool)>) {
        let number = self.next();
        self.direct += 1;
        self.publications.push(Publication {
            channel: channel.clone(),
            lossy: false,
            delivered: true,
            except: None,
        });
        if let Some((reader, waits)) = to {
            let parked = waits && self.direct_are_parked(reader);
            let fate = if parked { Fate::Parked { must: true } } else { Fate::Must };
            self.readers[reader].fates.insert(number, fate);
        }
    }

    /// Whether messages for a session alone wait for its first connect, so that others wait behind them.
    fn direct_are_parked(&self, reader: usize) -> bool {
        let reader = &self.readers[reader];
        reader.fates.iter().any(|(number, fate)| {
            matches!(fate, Fate::Parked { .. })
                && !reader.in_flight.contains_key(number)
                && self.publications[*number].is_direct()
        })
    }

    /// The message is in every mailbox that it is for: its publisher may be told.
    pub(crate) fn delivered(&mut self, number: Number) {
        self.publications[number].delivered = true;
    }

    /// Whether [`Self::delivered`] was said of a message.
    pub(crate) fn is_delivered(&self, number: Number) -> bool {
        self.publications[number].delivered
    }

    /// From now on messages are due; one that is on its way may come (P7).
    pub(crate) fn subscribe(&mut self, reader: usize, pattern: &ChannelName) {
        let number = reader;
        let reader = &mut self.readers[reader];
        reader.parked.retain(|known| known != pattern);
        if !reader.patterns.contains(pattern) {
            reader.patterns.push(pattern.clone());
        }
        for (number, fate) in &mut reader.fates {
            let publication = &self.publications[*number];
            if pattern.matches(&publication.channel) && !publication.is_direct() {
                fate.release();
            }
        }
        for (index, publication) in self.publications.iter().enumerate() {
            let heard = publication.except != Some(number) && reader.wants(&publication.channel);
            if !publication.delivered && heard {
                reader.fates.entry(index).or_insert(Fate::May);
            }
        }
    }

    /// From now on nothing new may come; what is on its way may.
    pub(crate) fn unsubscribe(&mut self, reader: usize, pattern: &ChannelName) {
        let reader = &mut self.readers[reader];
        reader.patterns.retain(|known| known != pattern);
        if reader.parked.contains(pattern) {
            reader.parked.retain(|known| known != pattern);
            // What no other name may claim joins the queue.
            for (number, fate) in &mut reader.fates {
                let publication = &self.publications[*number];
                let waits = reader.parked.iter().any(|name| name.matches(&publication.channel));
                if matches!(fate, Fate::Parked { .. }) && !waits && !publication.is_direct() {
                    *fate = Fate::May;
                }
            }
        }
        for (index, publication) in self.publications.iter().enumerate() {
            if !publication.delivered && !reader.wants(&publication.channel) {
                reader.fates.entry(index).and_modify(|fate| {
                    if *fate == Fate::Must {
                        *fate = Fate::May;
                    }
                });
            }
        }
    }

    /// A message arrived at its client.
    pub(crate) fn arrived(&mut self, reader: usize, number: Number) {
        let publication = self.publications.get(number);
        let channel = &publication.expect("phantom: a message that nobody published").channel;
        let reader = &mut self.readers[reader];
        let Some(fate) = reader.fates.get_mut(&number) else {
            panic!("leak: message {number} on {channel} was not for this session");
        };
        let parked = matches!(fate, Fate::Parked { .. }) && !reader.in_flight.contains_key(&number);
        assert!(!parked, "early: message {number} on {channel} came before its subscription");
        assert_ne!(*fate, Fate::Arrived, "dup: message {number} on {channel} came twice");
        assert_ne!(*fate, Fate::LostInFlight, "dup: message {number} was written twice");
        *fate = Fate::Arrived;
        let last = reader.last.insert(channel.clone(), number);
        assert!(last < Some(number), "reorder on {channel}: {last:?} before {number}");
    }

    /// A message arrived that may come several times, until it is acknowledged (P4). True if it has
    /// come before.
    pub(crate) fn arrived_unacknowledged(&mut self, reader: usize, number: Number) -> bool {
        let again = self.readers[reader].fates.get(&number) == Some(&Fate::Arrived);
        if !again {
            self.arrived(reader, number);
        }
        again
    }

    /// A message was written into a connection that died; only acknowledgements would help (P3).
    pub(crate) fn lost_in_flight(&mut self, reader: usize, number: Number) {
        let reader = &mut self.readers[reader];
        let fate = reader.fates.insert(number, Fate::LostInFlight);
        let parked =
            matches!(fate, Some(Fate::Parked { .. })) && reader.in_flight.contains_key(&number);
        assert!(
            parked || matches!(fate, Some(Fate::Must | Fate::May)),
            "{number} was {fate:?}, then written"
        );
    }

    // What a move does.

    /// A client goes on in another session, which waits for it to subscribe again.
    pub(crate) fn moves(&mut self, reader: usize, in_flight: impl Iterator<Item = Number>) {
        let reader = &mut self.readers[reader];
        reader.moved = true;
        reader.parked.append(&mut reader.patterns);
        reader.in_flight.clear();
        in_flight.for_each(|number| *reader.in_flight.entry(number).or_default() += 1);
        for (number, fate) in &mut reader.fates {
            let publication = &self.publications[*number];
            let waits = publication.delivered
                || reader.parked.iter().any(|name| name.matches(&publication.channel));
            *fate = match *fate {
                Fate::Must if waits => Fate::Parked { must: true },
                Fate::May if waits => Fate::Parked { must: false },
                // Nothing keeps back what is still on its way.
                Fate::Must | Fate::May => Fate::May,
                other => other,
            };
        }
    }

    /// A carrier of a session before this one is done with a message; `unwritten`: it comes back.
    pub(crate) fn settled_late(&mut self, reader: usize, number: Number, unwritten: bool) {
        let direct_are_parked = self.direct_are_parked(reader);
        let publication = &self.publications[number];
        let reader = &mut self.readers[reader];
        if let Some(hands) = reader.in_flight.get_mut(&number) {
            *hands -= 1;
            if *hands == 0 {
                reader.in_flight.remove(&number);
            }
        }
        if unwritten && publication.is_direct() && !direct_are_parked {
            reader.fates.insert(number, Fate::Must);
        } else if unwritten && !publication.is_direct() {
            let fate = reader.fate_of(&publication.channel).unwrap_or(Fate::May);
            // It may have to go before a newer one that was claimed when it came.
            let precedes = |(other, fate): (&Number, &Fate)| {
                matches!(fate, Fate::Must | Fate::May)
                    && self.publications[*other].channel == publication.channel
            };
            let queued = fate != Fate::Must && reader.fates.range(number + 1..).any(precedes);
            reader.fates.insert(number, if queued { Fate::May } else { fate });
        }
    }

    /// The first connect of a session: messages for it alone need not wait.
    pub(crate) fn connects_first(&mut self, reader: usize) {
        let fates = &mut self.readers[reader].fates;
        for (_, fate) in fates.iter_mut().filter(|(it, _)| self.publications[**it].is_direct()) {
            fate.release();
        }
    }

    /// What was not renewed is given up: returns how many subscriptions, and how many messages at
    /// least, those were.
    pub(crate) fn gives_up(&mut self, reader: usize) -> (usize, usize) {
        let reader = &mut self.readers[reader];
        reader.moved = false;
        let subscriptions = std::mem::take(&mut reader.parked).len();
        let mut messages = 0;
        reader.fates.retain(|number, fate| {
            let Fate::Parked { must } = *fate else { return true };
            let publication = &self.publications[*number];
            if !publication.delivered || reader.in_flight.contains_key(number) {
                *fate = Fate::May;
                return true;
            }
            messages += usize::from(must && !publication.lossy);
            false
        });
        (subscriptions, messages)
    }

    /// Whether something may still be parked.
    pub(crate) fn may_be_parked(&self, reader: usize) -> bool {
        self.readers[reader].moved
    }

    /// Subscriptions that a client has not renewed.
    pub(crate) fn parked(&self, reader: usize) -> Vec<ChannelName> {
        self.readers[reader].parked.clone()
    }

    /// How many subscriptions a session has.
    pub(crate) fn subscriptions(&self, reader: usize) -> usize {
        self.readers[reader].patterns.len() + self.readers[reader].parked.len()
    }

    /// How many messages arrived, and how many were lost in flight.
    pub(crate) fn arrivals(&self) -> (u64, u64) {
        let count = |wanted| {
            let fates = self.readers.iter().flat_map(|reader| reader.fates.values());
            fates.filter(|fate| **fate == wanted).count() as u64
        };
        (count(Fate::Arrived), count(Fate::LostInFlight))
    }

    /// After a time without faults: everything due to a live session has arrived.
    pub(crate) fn assert_nothing_lost(&self) {
        for (index, reader) in self.readers.iter().enumerate().filter(|(_, reader)| !reader.ended) {
            for (number, fate) in &reader.fates {
                let publication = &self.publications[*number];
                let lost = *fate == Fate::Must && !publication.lossy;
                let channel = &publication.channel;
                assert!(!lost, "lost: message {number} on {channel} never came to session {index}");
            }
        }
    }
}

impl Reader {
    fn wants(&self, channel: &ChannelName) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(channel))
    }

    /// What becomes of a message that comes now.
    fn fate_of(&self, channel: &ChannelName) -> Option<Fate> {
        let parked = || self.parked.iter().any(|name| name.matches(channel));
        match self.wants(channel) {
            true => Some(Fate::Must),
            false => parked().then_some(Fate::Parked { must: true }),
        }
    }
}

impl Fate {
    /// What it waited for has come.
    const fn release(&mut self) {
        if let Self::Parked { must } = *self {
            *self = if must { Self::Must } else { Self::May };
        }
    }
}

impl Publication {
    /// Whether it is for one session alone.
    fn is_direct(&self) -> bool {
        self.channel.as_str().starts_with("/service/")
    }
}
