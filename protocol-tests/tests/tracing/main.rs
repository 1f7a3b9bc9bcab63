//! Traces, as an OpenTelemetry collector gets them (docs/tracing.md).

mod export;
mod losses;
mod parents;
mod spans;
