//! Cookies: a prefix that no other client has, and a counter.

/// Makes cookies and knows them again.
#[derive(Debug)]
pub(super) struct Cookies {
    prefix: String,
}

impl Cookies {
    pub(super) fn new(seed: u64) -> Self {
        Self { prefix: format!("{:016x}-", mix(seed)) }
    }

    pub(super) fn cookie(&self, id: u64) -> String {
        format!("{}{id:x}", self.prefix)
    }

    pub(super) fn id(&self, cookie: &str) -> Option<u64> {
        u64::from_str_radix(cookie.strip_prefix(&self.prefix)?, 16).ok()
    }
}

/// Seeds that are near each other give prefixes that are not (the finaliser of SplitMix64, a bijection).
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
