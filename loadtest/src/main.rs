//! Offhook.
fn main() {}
