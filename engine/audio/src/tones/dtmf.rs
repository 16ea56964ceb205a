//! The sixteen telephone keys as tones (ITU-T Q.23).

use super::{Segment, Tone};

/// Frequencies of the rows, in Hz.
pub const ROWS_HZ: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
/// Frequencies of the columns, in Hz.
pub const COLUMNS_HZ: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
/// The keys, by row and column.
pub const KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// Row and column frequency of a key, in Hz; letters of either case. `None` if it is no key.
#[must_use]
pub fn dtmf_frequencies(key: char) -> Option<[f32; 2]> {
    let key = key.to_ascii_uppercase();
    let row = KEYS.iter().position(|row| row.contains(&key))?;
    let column = KEYS[row].iter().position(|&k| k == key)?;
    Some([ROWS_HZ[row], COLUMNS_HZ[column]])
}

/// One key press and the pause after it. `level_dbm0` is that of each frequency; -7 is usual (RFC 4733 §2.3.3 range).
/// `None` if `key` is no key.
#[must_use]
pub fn dtmf(key: char, on_ms: u32, off_ms: u32, level_dbm0: f32) -> Option<Tone> {
    let pair = dtmf_frequencies(key)?;
    Some(Tone::new(&[Segment::dual(pair, level_dbm0, on_ms), Segment::silence(off_ms)], false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_frequencies_in_either_case() {
        assert_eq!(dtmf_frequencies('1'), Some([697.0, 1209.0]));
        assert_eq!(dtmf_frequencies('#'), Some([941.0, 1477.0]));
        assert_eq!(dtmf_frequencies('d'), Some([941.0, 1633.0]));
        assert_eq!(dtmf_frequencies('x'), None);
        assert_eq!(dtmf('x', 100, 100, -7.0), None);
    }
}
