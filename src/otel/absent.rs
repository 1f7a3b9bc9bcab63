//! What stands in for tracing in a build without it: types that have no value.

use std::{future::Future, sync::Arc, time::Duration};

use super::{BadOtel, Parent, Start};
use crate::{
    bayeux::Trail,
    broker::{Follower, Reach},
    config::Otel,
};

/// There is none in this build.
#[derive(Debug)]
pub enum Tracer {}

/// There is none in this build.
#[derive(Debug)]
pub enum Publishing {}

impl Tracer {
    /// Never a tracer.
    ///
    /// # Errors
    /// [`BadOtel::Absent`], if one is wanted.
    pub fn new(settings: &Otel) -> Result<Option<Self>, BadOtel> {
        if settings.is_on() { Err(BadOtel::Absent) } else { Ok(None) }
    }

    /// Cannot be called.
    #[must_use]
    pub fn wants(&self, _: Option<&Parent>, _: Duration) -> bool {
        match *self {}
    }

    /// Cannot be called.
    #[must_use]
    pub fn begin(&self, _: &Start<'_>) -> Option<Publishing> {
        match *self {}
    }

    /// Cannot be called.
    #[must_use]
    pub fn follower(&self) -> Arc<dyn Follower> {
        match *self {}
    }

    /// Cannot be called.
    pub async fn export(&self, _: impl Future<Output = ()>) {
        match *self {}
    }

    /// Cannot be called.
    #[must_use]
    pub fn waiting(&self) -> usize {
        match *self {}
    }

    /// Cannot be called.
    #[must_use]
    pub fn exported(&self) -> u64 {
        match *self {}
    }

    /// Cannot be called.
    #[must_use]
    pub fn lost(&self) -> Vec<u64> {
        match *self {}
    }

    /// Cannot be called.
    #[must_use]
    pub fn limited(&self) -> u64 {
        match *self {}
    }
}

impl Publishing {
    /// Cannot be called.
    #[must_use]
    pub fn trail(&self) -> Trail {
        match *self {}
    }

    /// Cannot be called.
    pub fn arrived(self, _: u64, _: &Reach) {
        match self {}
    }
}
