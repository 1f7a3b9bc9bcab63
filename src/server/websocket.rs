//! (being built)

pub mod io;
