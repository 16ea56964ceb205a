//! UTC dates of the proleptic Gregorian calendar, as GMS writes them: `2026-11-20T09:30:00.000Z`.

/// Writes milliseconds since 1970 UTC.
pub(crate) fn write(unix_ms: u64) -> String {
    let (days, rest) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let (year, month, day) = civil(days);
    let (seconds, ms) = (rest / 1_000, rest % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Milliseconds since 1970 UTC of a date such as `2026-11-20T09:30:00Z`, with or without milliseconds.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-');
    let year = number(date.next()?, 4)?;
    let (month, day) = (number(date.next()?, 2)?, number(date.next()?, 2)?);
    let (clock, ms) = match time.split_once('.') {
        Some((clock, fraction)) => (clock, number(fraction, 3)?),
        None => (time, 0),
    };
    let mut clock = clock.splitn(3, ':');
    let (hour, minute) = (number(clock.next()?, 2)?, number(clock.next()?, 2)?);
    let second = number(clock.next()?, 2)?;
    if !(1970..=9999).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let days = days(year, month, day);
    (civil(days) == (year, month, day))
        .then_some(((days * 24 + hour) * 60 + minute) * 60_000 + second * 1_000 + ms)
}

fn number(text: &str, digits: usize) -> Option<u64> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Days since 1970-01-01, from a year that begins in March, so that the leap day is its last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - MARCH_YEAR_0_TO_1970
}

/// Year, month and day of a number of days since 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + MARCH_YEAR_0_TO_1970;
    let (era, of_era) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

const DAYS_OF_400_YEARS: u64 = 146_097;
const MARCH_YEAR_0_TO_1970: u64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_survive_the_round_trip() {
        assert_eq!(write(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(parse("2000-02-29T00:00:00Z"), Some(951_782_400_000));
        for day in 0..80_000 {
            let ms = day * 86_400_000 + 45_296_789;
            assert_eq!(parse(&write(ms)), Some(ms));
        }
    }

    #[test]
    fn dates_that_are_none_are_refused() {
        for text in [
            "",
            "2026-11-20",
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "1969-01-01T00:00:00Z",
            "é-é-éTé:é:éZ",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
