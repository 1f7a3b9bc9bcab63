//! What a service is told, how it is bounded, and why one cannot be used.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    auth::WeakSecret,
    bayeux::{ChannelName, InvalidName},
    broker::Sid,
    config::{self, ServiceReply},
};

/// A message that a client sent to a service channel.
#[derive(Debug, Clone)]
pub struct Call {
    sid: Sid,
    user: Option<Arc<str>>,
    channel: ChannelName,
    data: Box<RawValue>,
    id: Option<Box<str>>,
}

/// How a service is bounded, and the form of its replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceOptions {
    /// The form of what goes back to the caller.
    pub reply: ServiceReply,
    /// Time for a call.
    pub timeout: Duration,
    /// Most calls in flight at a time; further ones are refused, not queued.
    pub max_in_flight: usize,
    /// Bytes of a reply.
    pub max_reply: usize,
}

/// Why a service does not do what it was asked for, in words for the caller: as `data` of the reply,
/// `{"class":…,"message":…}`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub struct ServiceError {
    class: String,
    message: String,
}

/// A service that cannot be used. The operator is at fault, or the embedding program.
#[derive(Debug, thiserror::Error)]
pub enum BadService {
    /// Not a channel or pattern.
    #[error("services: channel \"{channel}\": {error}")]
    Name {
        /// As it was given.
        channel: String,
        /// What is wrong.
        error: InvalidName,
    },
    /// Not below `/service/`.
    #[error("services: \"{0}\" is no service channel; these begin with /service/")]
    Kind(ChannelName),
    /// Two services of one channel or pattern.
    #[error("services: \"{0}\" is served twice")]
    Twice(ChannelName),
    /// The `url` is none.
    #[error("services: url \"{0}\" is not http://host[:port][/path]")]
    Url(String),
    /// An entry of `headers` is no header line.
    #[error("services: \"{0}\" is no header line")]
    Header(String),
    /// The file with the secret cannot be read.
    #[error("services: cannot read {path}: {error}", path = path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file holds no usable secret.
    #[error("services: {path}: {error}", path = path.display())]
    Weak {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        error: WeakSecret,
    },
}

impl Call {
    pub(super) fn new(
        sid: Sid,
        channel: ChannelName,
        data: Box<RawValue>,
        id: Option<&str>,
    ) -> Self {
        // Nobody has a name before there is authentication of sessions.
        Self { sid, user: None, channel, data, id: id.map(Into::into) }
    }

    /// The public name of the session: the same for all its calls, of no use for taking it over.
    #[must_use]
    pub const fn sid(&self) -> Sid {
        self.sid
    }

    /// Who the session belongs to; `None`: anonymous.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The channel that the message was sent to.
    #[must_use]
    pub const fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// The content, as the client wrote it.
    #[must_use]
    pub fn data(&self) -> &RawValue {
        &self.data
    }

    /// The id of the message: unique among the messages of one page, no further.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// What a back-end gets: `{"sid":…,"user":…,"channel":…,"data":…,"id":…}`.
    pub(super) fn json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Post<'a> {
            sid: String,
            user: Option<&'a str>,
            channel: &'a str,
            data: &'a RawValue,
            #[serde(skip_serializing_if = "Option::is_none")]
            id: Option<&'a str>,
        }
        let post = Post {
            sid: self.sid.to_string(),
            user: self.user(),
            channel: self.channel.as_str(),
            data: &self.data,
            id: self.id(),
        };
        // Texts and raw JSON: nothing that could fail to be written.
        serde_json::to_vec(&post).unwrap_or_default()
    }
}

impl ServiceError {
    /// Makes an error of a short name for programs (`NoSuchSymbol`) and a sentence for people.
    pub fn new(class: impl Into<String>, message: impl Into<String>) -> Self {
        Self { class: class.into(), message: message.into() }
    }

    /// The name for programs.
    #[must_use]
    pub fn class(&self) -> &str {
        &self.class
    }

    /// The sentence for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl Default for ServiceOptions {
    /// The defaults of `[[services]]`.
    fn default() -> Self {
        Self::from(&config::Service::default())
    }
}
