//! Metrics: operations.md 7, docs/metrics.md.

mod access;
mod files;
mod numbers;
mod trouble;
