mod clock;
mod media;
mod sip;
mod units;
fn main() {}
