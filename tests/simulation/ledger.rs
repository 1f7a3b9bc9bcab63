//! Who was to get which message, and what became of it: the promises P1 to P3, P7 and P8 of
//! reliability.md, checked as messages arrive and once more at the end.

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
    fates: BTreeMap<Number, Fate>,
    /// Last arrival on each channel.
    last: HashMap<ChannelName, Number>,
    ended: bool,
}

/// See the module documentation. Sessions are numbered in the order of their handshakes.
#[derive(Default)]
pub(crate) struct Ledger {
    publications: Vec<Publication>,
    readers: Vec<Reader>,
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
            if !reader.ended && except != Some(index) && reader.wants(&channel) {
                reader.fates.insert(number, Fate::Must);
            }
        }
        self.publications.push(Publication { channel, lossy, delivered: false, except });
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
        if !reader.patterns.contains(pattern) {
            reader.patterns.push(pattern.clone());
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
        let fate = self.readers[reader].fates.insert(number, Fate::LostInFlight);
        assert!(
            matches!(fate, Some(Fate::Must | Fate::May)),
            "{number} was {fate:?}, then written"
        );
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
}
