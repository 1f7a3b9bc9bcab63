//! Hostile and broken input, size by size and byte by byte.
//!
//! Each attack runs against the real program while a group of ordinary clients listens. The process
//! has to live without a panic, its memory stays within the bound of the row, its descriptors return,
//! and the group misses nothing and waits for nothing. Measured growth is printed.
//! Source: reliability.md section 2, rows T1, T2, T3, T5, T6, T9, T10, T12, T13, T15, T19.

mod bodies;
mod channels;
mod frames;
mod heads;
mod hijack;
mod json;
mod leaks;
mod siege;
mod smuggling;
mod unicode;
